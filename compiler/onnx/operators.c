/* operators.c: the ONNX operators that can be imported: a row for each, its function in the file that operators.h names.
 * Attributes: "name:kind", with a condition on the opset where it came or went (see OpRow). */
#include "onnx/operators.h"

#include <stdlib.h>
#include <string.h>

#define OLD_BROADCAST "axis:i<7 broadcast:i<7 consumed_inputs:I<6"
#define OLD "consumed_inputs:I<6"
#define LAYER "activations:S activation_alpha:F activation_beta:F clip:f direction:s hidden_size:i layout:i>=14 "
#define WINDOW "auto_pad:s dilations:I kernel_shape:I pads:I strides:I "
#define REDUCE "axes:I<18 keepdims:i noop_with_empty_axes:i>=18"

static const OpRow rows[] = {
	{ "Abs", 1, 1, 1, OLD, op_unary, &unary_abs },
	{ "Add", 2, 2, 1, OLD_BROADCAST, op_binary, &math_add },
	{ "And", 2, 2, 1, OLD_BROADCAST, op_binary, &math_and },
	{ "ArgMax", 1, 1, 1, "axis:i keepdims:i select_last_index:i>=12", op_argmax, 0 },
	{ "ArgMin", 1, 1, 1, "axis:i keepdims:i select_last_index:i>=12", op_argmax, "least" },
	{ "AveragePool", 1, 1, 1, WINDOW "ceil_mode:i>=10 count_include_pad:i>=7", op_pool, &(const OpKind){ O_reducesum } },
	{ "BatchNormalization", 5, 5, 5, "epsilon:f momentum:f spatial:i<9 is_test:i<7 training_mode:i>=14 " OLD,
	  op_batch_norm, 0 },
	{ "Cast", 1, 1, 1, "to:i>=6 saturate:i>=19 round_mode:s>=24", op_cast, 0 },
	{ "Ceil", 1, 1, 1, OLD, op_unary, &unary_ceil },
	{ "Clip", 1, 3, 1, "min:f<11 max:f<11 " OLD, op_clip, 0 },
	{ "Concat", 1, -1, 1, "axis:i", op_concat, 0 },
	{ "ConcatFromSequence", 1, 1, 1, "axis:i new_axis:i", op_concat_from_sequence, 0 },
	{ "Constant", 0, 0, 1, "value:t value_float:f>=12 value_floats:F>=12 value_int:i>=12 value_ints:I>=12 "
	  "value_string:s>=12 value_strings:S>=12", op_constant, 0 },
	{ "ConstantOfShape", 1, 1, 1, "value:t", op_constant_of_shape, 0 },
	{ "Conv", 2, 3, 1, WINDOW "group:i", op_conv, 0 },
	{ "ConvInteger", 2, 4, 1, WINDOW "group:i", op_conv_integer, 0 },
	{ "ConvTranspose", 2, 3, 1, WINDOW "group:i output_padding:I output_shape:I", op_conv_transpose, 0 },
	{ "DequantizeLinear", 2, 3, 1, "axis:i>=13 block_size:i>=21 output_dtype:i>=23", op_dequantize, 0 },
	{ "Div", 2, 2, 1, OLD_BROADCAST, op_binary, &math_div },
	{ "Dropout", 1, 3, 2, "ratio:f<12 seed:i>=12 is_test:i<7 " OLD, op_dropout, 0 },
	{ "DynamicQuantizeLinear", 1, 1, 3, "", op_dynamic_quantize, 0 },
	{ "Elu", 1, 1, 1, "alpha:f " OLD, op_unary, &unary_elu },
	{ "Equal", 2, 2, 1, OLD_BROADCAST, op_binary, &math_equal },
	{ "Erf", 1, 1, 1, "", op_unary, &unary_erf },
	{ "Exp", 1, 1, 1, OLD, op_unary, &unary_exp },
	{ "Expand", 2, 2, 1, "", op_expand, 0 },
	{ "Flatten", 1, 1, 1, "axis:i", op_flatten, 0 },
	{ "Floor", 1, 1, 1, OLD, op_unary, &unary_floor },
	{ "GRU", 3, 6, 2, LAYER "linear_before_reset:i>=3 output_sequence:i<7", op_layer, &layer_gru },
	{ "Gather", 2, 2, 1, "axis:i", op_gather, 0 },
	{ "GatherElements", 2, 2, 1, "axis:i", op_gather_elements, 0 },
	{ "Gemm", 2, 3, 1, "alpha:f beta:f transA:i transB:i broadcast:i<7", op_gemm, 0 },
	{ "GlobalAveragePool", 1, 1, 1, "", op_global_pool, &(const OpKind){ O_reducemean } },
	{ "GlobalMaxPool", 1, 1, 1, "", op_global_pool, &(const OpKind){ O_reducemax } },
	{ "Greater", 2, 2, 1, OLD_BROADCAST, op_binary, &math_greater },
	{ "GreaterOrEqual", 2, 2, 1, "", op_binary, &math_greatereq },
	{ "HardSigmoid", 1, 1, 1, "alpha:f beta:f " OLD, op_unary, &unary_hardsigmoid },
	{ "Identity", 1, 1, 1, "", op_identity, 0 },
	{ "If", 1, 1, -1, "then_branch:g else_branch:g", op_if, 0 },
	{ "InstanceNormalization", 3, 3, 1, "epsilon:f " OLD, op_instance_norm, 0 },
	{ "LSTM", 3, 8, 3, LAYER "input_forget:i output_sequence:i<7", op_layer, &layer_lstm },
	{ "LayerNormalization", 2, 3, 3, "axis:i epsilon:f stash_type:i", op_layer_norm, 0 },
	{ "LeakyRelu", 1, 1, 1, "alpha:f " OLD, op_unary, &unary_leakyrelu },
	{ "Less", 2, 2, 1, OLD_BROADCAST, op_binary, &math_less },
	{ "LessOrEqual", 2, 2, 1, "", op_binary, &math_lesseq },
	{ "Log", 1, 1, 1, OLD, op_unary, &unary_log },
	{ "LogSoftmax", 1, 1, 1, "axis:i", op_softmax, &(const OpKind){ O_logsoftmax } },
	{ "Loop", 0, -1, -1, "body:g", op_loop, 0 },
	{ "MatMul", 2, 2, 1, "", op_matmul, 0 },
	{ "MatMulInteger", 2, 4, 1, "", op_matmul_integer, 0 },
	{ "Max", 1, -1, 1, OLD, op_nary, &math_max },
	{ "MaxPool", 1, 1, 2, WINDOW "ceil_mode:i>=10 storage_order:i>=8", op_pool, &(const OpKind){ O_reducemax } },
	{ "Mean", 1, -1, 1, OLD, op_nary, &math_mean },
	{ "Min", 1, -1, 1, OLD, op_nary, &math_min },
	{ "Mod", 2, 2, 1, "fmod:i", op_binary, &math_mod },
	{ "Mul", 2, 2, 1, OLD_BROADCAST, op_binary, &math_mul },
	{ "Neg", 1, 1, 1, OLD, op_unary, &unary_neg },
	{ "Not", 1, 1, 1, "", op_unary, &unary_not },
	{ "Or", 2, 2, 1, OLD_BROADCAST, op_binary, &math_or },
	{ "PRelu", 2, 2, 1, OLD, op_prelu, 0 },
	{ "Pad", 1, 4, 1, "mode:s value:f<11 pads:I<11 paddings:I<2", op_pad, 0 },
	{ "Pow", 2, 2, 1, OLD_BROADCAST, op_binary, &math_pow },
	{ "QLinearConv", 8, 9, 1, WINDOW "group:i", op_qlinear_conv, 0 },
	{ "QLinearMatMul", 8, 8, 1, "", op_qlinear_matmul, 0 },
	{ "QuantizeLinear", 2, 3, 1, "axis:i>=13 saturate:i>=19 block_size:i>=21 output_dtype:i>=21 precision:i>=23",
	  op_quantize, 0 },
	{ "RNN", 3, 6, 2, LAYER "output_sequence:i<7", op_layer, &layer_rnn },
	{ "Range", 3, 3, 1, "", op_range, 0 },
	{ "Reciprocal", 1, 1, 1, OLD, op_unary, &unary_reciprocal },
	{ "ReduceMax", 1, 2, 1, REDUCE, op_reduce, &reduce_max },
	{ "ReduceMean", 1, 2, 1, REDUCE, op_reduce, &reduce_mean },
	{ "ReduceMin", 1, 2, 1, REDUCE, op_reduce, &reduce_min },
	{ "ReduceProd", 1, 2, 1, REDUCE, op_reduce, &reduce_prod },
	{ "ReduceSum", 1, 2, 1, "axes:I<13 keepdims:i noop_with_empty_axes:i>=13", op_reduce, &reduce_sum },
	{ "Relu", 1, 1, 1, OLD, op_unary, &unary_relu },
	{ "Reshape", 1, 2, 1, "shape:I<5 allowzero:i>=14 " OLD, op_reshape, 0 },
	{ "Resize", 1, 4, 1, "mode:s coordinate_transformation_mode:s>=11 nearest_mode:s>=11 cubic_coeff_a:f>=11 "
	  "exclude_outside:i>=11 extrapolation_value:f>=11 antialias:i>=18 axes:I>=18 keep_aspect_ratio_policy:s>=18",
	  op_resize, 0 },
	{ "ReverseSequence", 2, 2, 1, "time_axis:i batch_axis:i", op_reverse_sequence, 0 },
	{ "Round", 1, 1, 1, "", op_unary, &unary_round },
	{ "Scan", 0, -1, -1, "body:g num_scan_inputs:i directions:I<9 scan_input_directions:I>=9 "
	  "scan_output_directions:I>=9 scan_input_axes:I>=9 scan_output_axes:I>=9", op_scan, 0 },
	{ "ScatterND", 3, 3, 1, "reduction:s>=16", op_scatter_nd, 0 },
	{ "SequenceAt", 2, 2, 1, "", op_sequence_at, 0 },
	{ "SequenceConstruct", 1, -1, 1, "", op_sequence_construct, 0 },
	{ "SequenceEmpty", 0, 0, 1, "dtype:i", op_sequence_empty, 0 },
	{ "SequenceInsert", 2, 3, 1, "", op_sequence_insert, 0 },
	{ "SequenceLength", 1, 1, 1, "", op_sequence_length, 0 },
	{ "Shape", 1, 1, 1, "start:i>=15 end:i>=15", op_shape, 0 },
	{ "Sigmoid", 1, 1, 1, OLD, op_unary, &unary_sigmoid },
	{ "Sign", 1, 1, 1, "", op_unary, &unary_sign },
	{ "Size", 1, 1, 1, "", op_size, 0 },
	{ "Slice", 1, 5, 1, "starts:I<10 ends:I<10 axes:I<10", op_slice, 0 },
	{ "Softmax", 1, 1, 1, "axis:i", op_softmax, &(const OpKind){ O_softmax } },
	{ "Softplus", 1, 1, 1, "", op_unary, &unary_softplus },
	{ "Softsign", 1, 1, 1, "", op_unary, &unary_softsign },
	{ "Split", 1, 2, -1, "axis:i split:I<13 num_outputs:i>=18", op_split, 0 },
	{ "SplitToSequence", 1, 2, 1, "axis:i keepdims:i", op_split_to_sequence, 0 },
	{ "Sqrt", 1, 1, 1, OLD, op_unary, &unary_sqrt },
	{ "Squeeze", 1, 2, 1, "axes:I<13", op_squeeze, 0 },
	{ "Sub", 2, 2, 1, OLD_BROADCAST, op_binary, &math_sub },
	{ "Sum", 1, -1, 1, OLD, op_nary, &math_add },
	{ "Tanh", 1, 1, 1, OLD, op_unary, &unary_tanh },
	{ "ThresholdedRelu", 1, 1, 1, "alpha:f", op_unary, &unary_thresholdedrelu },
	{ "Tile", 2, 2, 1, "", op_tile, 0 },
	{ "Transpose", 1, 1, 1, "perm:I", op_transpose, 0 },
	{ "Unsqueeze", 1, 2, 1, "axes:I<13", op_unsqueeze, 0 },
	{ "Upsample", 1, 2, 1, "mode:s scales:F<9", op_resize, 0 },
	{ "Where", 3, 3, 1, "", op_where, 0 },
	{ "Xor", 2, 2, 1, OLD_BROADCAST, op_binary, &math_xor },
	{ "com.microsoft.DequantizeLinear", 2, 3, 1, "axis:i", op_dequantize, 0 },
	{ "com.microsoft.DynamicQuantizeLSTM", 3, 12, 3, LAYER "input_forget:i", op_dynamic_quantize_lstm, 0 },
	{ "com.microsoft.QuantizeLinear", 2, 3, 1, "axis:i", op_quantize, 0 },
};
enum { N_ROWS = sizeof rows / sizeof *rows };

bool takes_sequence(const OpRow *r)
{
	return r->import == op_sequence_at || r->import == op_sequence_insert || r->import == op_sequence_length ||
	       r->import == op_concat_from_sequence || r->import == op_identity;
}

static int compare(const void *name, const void *row)
{
	return strcmp(name, ((const OpRow *)row)->name);
}

const OpRow *op_row(const char *name)
{
	return bsearch(name, rows, N_ROWS, sizeof *rows, compare);
}

const char *op_names(Arena *a)
{
	char *list = arena_strdup(a, rows[0].name);
	for (int i = 1; i < N_ROWS; i++)
		list = arena_printf(a, "%s %s", list, rows[i].name);
	return list;
}

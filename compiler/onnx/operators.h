/* operators.h: the operators' functions, by file.  operators.c has their rows. */
#ifndef GATEFOLD_ONNX_OPERATORS_H
#define GATEFOLD_ONNX_OPERATORS_H

#include "onnx/import.h"

typedef bool Operator(Node *n);

/* ops_math.c: element by element */
typedef struct Math Math;
extern const Math math_add, math_sub, math_mul, math_div, math_mod, math_pow, math_min, math_max, math_mean;
extern const Math math_equal, math_less, math_greater, math_lesseq, math_greatereq, math_and, math_or, math_xor;
Operator op_binary, op_nary, op_where;

/* ops_unary.c: functions of one operand */
typedef struct Unary Unary;
extern const Unary unary_neg, unary_abs, unary_relu, unary_sigmoid, unary_tanh, unary_exp, unary_log, unary_sqrt,
	unary_erf, unary_softsign, unary_softplus, unary_floor, unary_ceil, unary_round, unary_sign, unary_reciprocal,
	unary_leakyrelu, unary_thresholdedrelu, unary_hardsigmoid, unary_elu, unary_not;
Operator op_unary, op_clip, op_prelu;

/* ops_linear.c */
Operator op_matmul, op_gemm;
Val *fuse_bias(Node *n, Value *x, const Value *c);

/* ops_rnn.c */
typedef struct Layer Layer;
extern const Layer layer_lstm, layer_gru, layer_rnn;
Operator op_layer;

/* ops_shape.c: shapes and what only changes them */
Operator op_shape, op_size, op_reshape, op_squeeze, op_unsqueeze, op_flatten;
bool shape_from(Node *n, const Sym *dim, int rank, Shape *s);    /* a wanted shape as the IR has it */

/* ops_expand.c: tensors made from shapes */
Operator op_expand, op_constant_of_shape, op_range, op_tile;

/* ops_move.c, ops_slice.c: moving elements */
Operator op_transpose, op_concat, op_split;
Operator op_slice, op_gather;

/* ops_scatter.c, ops_pick.c: the latter's rows have an argument when the least is meant */
Operator op_scatter_nd;
Operator op_gather_elements, op_reverse_sequence, op_argmax;

/* ops_conv.c, ops_pool.c, ops_pad.c, ops_norm.c, ops_resize.c */
Operator op_conv, op_conv_transpose;
Operator op_pool, op_global_pool;
Operator op_pad;
Operator op_batch_norm, op_layer_norm, op_instance_norm;
Operator op_resize;

/* ops_reduce.c */
typedef struct Reduce Reduce;
extern const Reduce reduce_sum, reduce_mean, reduce_max, reduce_min, reduce_prod;
Operator op_reduce, op_softmax;

/* ops_misc.c: constants, casts */
Operator op_constant, op_identity, op_dropout, op_cast;

/* ops_quant.c */
Operator op_dequantize, op_quantize, op_dynamic_quantize, op_matmul_integer, op_qlinear_matmul, op_conv_integer,
	op_qlinear_conv, op_dynamic_quantize_lstm;

/* ops_if.c, ops_loop.c, ops_scan.c: subgraphs */
Operator op_if, op_loop, op_scan;

/* ops_sequence.c */
Operator op_sequence_empty, op_sequence_construct, op_sequence_insert, op_sequence_at, op_sequence_length,
	op_split_to_sequence, op_concat_from_sequence;

/* fold.c: element-wise operators on constants */
typedef double Real2(double x, double y);
/* Result k = whole(a, b) on integers, real(a, b) otherwise, broadcast; its elements are of type `type`. */
bool fold_binary(Node *n, int k, HostType type, const Value *a, const Value *b, SymOp *whole, Real2 *real);
bool fold_where(Node *n, const Value *c, const Value *a, const Value *b);

#endif

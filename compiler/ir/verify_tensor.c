/* verify_tensor.c: tensor ops: their attributes are known ones of the right kind, and their results have the
 * types that the operands give (infer.c), the element but for quantization. */
#include <string.h>

#include "ir/infer.h"
#include "ir/verify.h"

typedef struct {
	const char *ops;        /* names between blanks */
	const char *name;
	AttrKind kind;
	bool list;
	const char *words;      /* of strings: the legal ones between blanks; 0: any */
} AttrRule;

#define LAYERS " lstm gru rnn "

static const AttrRule rules[] = {
	{ LAYERS, "hidden", A_INT, false, 0 },
	{ LAYERS, "direction", A_STRING, false, " forward reverse bidirectional " },
	{ LAYERS, "activations", A_STRING, true, 0 },
	{ LAYERS, "alpha", A_FLOAT, true, 0 },
	{ LAYERS, "beta", A_FLOAT, true, 0 },
	{ LAYERS, "clip", A_FLOAT, false, 0 },
	{ LAYERS, "layout", A_INT, false, 0 },
	{ " lstm ", "input_forget", A_INT, false, 0 },
	{ " gru ", "linear_before_reset", A_INT, false, 0 },
	{ " linear ", "gates", A_STRING, false, " iofc zr h " },
	{ " scan ", "seq", A_INT, false, 0 },
	{ " scan ", "init", A_INT, false, 0 },
	{ " scan ", "axis", A_INT, true, 0 },
	{ " scan ", "out_axis", A_INT, true, 0 },
	{ " scan ", "keep", A_STRING, true, " all last " },
	{ " scan ", "reverse", A_INT, false, 0 },
	{ " softmax logsoftmax slice concat gather pick argmax ", "axis", A_INT, false, 0 },
	{ " slice observe ", "at", A_INT, false, 0 },
	{ " slice ", "step", A_INT, false, 0 },
	{ " transpose ", "perm", A_INT, true, 0 },
	{ " conv ", "kernel", A_INT, true, 0 },
	{ " conv ", "stride", A_INT, true, 0 },
	{ " conv ", "dilation", A_INT, true, 0 },
	{ " conv ", "pads", A_INT, true, 0 },
	{ " conv ", "groups", A_INT, false, 0 },
	{ " pad ", "lo", A_INT, true, 0 },
	{ " pad ", "hi", A_INT, true, 0 },
	{ " pad ", "mode", A_STRING, false, " constant edge reflect " },
	{ " pad ", "value", A_FLOAT, false, 0 },
	{ " affine leakyrelu thresholdedrelu scaledtanh hardsigmoid elu ", "alpha", A_FLOAT, false, 0 },
	{ " affine scaledtanh hardsigmoid ", "beta", A_FLOAT, false, 0 },
	{ " clip ", "lo", A_FLOAT, false, 0 },
	{ " clip ", "hi", A_FLOAT, false, 0 },
	{ " reducesum reducemean reducemax reducemin reduceprod ", "axes", A_INT, true, 0 },
	{ " reducesum reducemean reducemax reducemin reduceprod argmax ", "keepdims", A_INT, false, 0 },
	{ " argmax ", "last", A_INT, false, 0 },
};

/* Is `word` in a list like " a b "? */
static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = list; n && (p = strstr(p, word)); p++)
		if (p > list && p[-1] == ' ' && p[n] == ' ')
			return true;
	return false;
}

static const AttrRule *rule_of(const Op *o, const Attr *a)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (!strcmp(rules[i].name, a->name) && in_list(rules[i].ops, op_info[o->kind].name))
			return &rules[i];
	return 0;
}

static bool check_attr(Verify *v, const Op *o, const Attr *a)
{
	static const char *const kinds[] = { "an integer", "a float", "a string" };
	const AttrRule *r = rule_of(o, a);
	if (!r)
		return fault(v, "has no attribute '%s'", a->name);
	bool fits = a->kind == r->kind || (r->kind == A_FLOAT && a->kind == A_INT && !a->list) || !a->n;
	if (!fits || a->list != r->list || (!a->list && a->n != 1))
		return fault(v, "attribute '%s' should be %s%s", a->name, r->list ? "a list, each " : "",
		             kinds[r->kind]);
	for (int i = 0; r->words && i < a->n; i++)
		if (!in_list(r->words, a->v.s[i]))
			return fault(v, "attribute '%s': \"%s\" is none of%s", a->name, a->v.s[i], r->words);
	return true;
}

static bool check_result(Verify *v, const Op *o, int i, const Type *want)
{
	const Type *have = o->out[i]->type;
	char a[128], b[128];
	bool exact = o->kind == O_scan || o->kind == O_call;
	if (exact ? have == want : type_same_shape(have, want) && plain_elem(have) == want->elem)
		return true;
	return fault(v, "result %d is %s, but should be %s", i + 1, type_text(have, a, sizeof a),
	             type_text(want, b, sizeof b));
}

/* Only a cast rounds to levels; moves keep the type. */
static bool check_levels(Verify *v, const Op *o, int i)
{
	const Quant *q = o->out[i]->type->quant;
	switch (q && q->levels ? o->kind : O_cast) {
	case O_cast: case O_scan: case O_call:
		return true;
	case O_reshape: case O_transpose: case O_slice: case O_expand:
		if (o->in[0]->type->quant == q)
			return true;
		/* fall through */
	default:
		return fault(v, "result %d is one of $%s, which only a cast rounds to", i + 1, q->levels->name);
	}
}

bool verify_tensor_op(Verify *v, const Op *o)
{
	char err[300];
	for (const Attr *a = o->attr; a; a = a->next)
		if (!check_attr(v, o, a))
			return false;
	int room = o->callee ? o->callee->nret + o->callee->nstate : 0;
	const Type **want = NEWN(v->tmp, const Type *, room + 4);
	int n = infer_types(v->m, o, want, err, sizeof err);
	if (n < 0)
		return fault(v, "%s", err);
	bool layer = o->kind == O_lstm || o->kind == O_gru || o->kind == O_rnn;
	if (layer ? o->nout > n || !o->nout : o->nout != n)
		return fault(v, "%d results, but should have %d", o->nout, n);
	for (int i = 0; i < o->nout; i++)
		if (!check_result(v, o, i, want[i]) || !check_levels(v, o, i))
			return false;
	return true;
}

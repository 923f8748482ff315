/* c_ops.c: each row of ops.def that a module uses becomes a small function whose body is the row's C column;
 * with several lanes, a loop over it. */
#include "emit/c.h"

#include <string.h>

static const char classes[] = "bhwls";
static const char names[] = "abc";

static int log2_of(int lanes)
{
	int n = 0;
	while (lanes >> (n + 1))
		n++;
	return n;
}

static void use_type(C *c, const Type *t)
{
	char k = c_letter(t);
	c->floats |= k == 's';
	if (t->lanes > 1)
		c->vector[strchr(classes, k) - classes][log2_of(t->lanes)] = true;
}

void c_use_row(C *c, const Op *o)
{
	RowUse use = { .kind = o->kind, .lanes = { o->nout ? o->out[0]->type->lanes : 0 } };
	for (int i = 0; i < o->nout; i++)
		if (o->out[i]->type->form == T_REG)
			use_type(c, o->out[i]->type);
	for (int i = 0; i < o->nin; i++)
		if (o->in[i]->type->form == T_REG)
			use_type(c, o->in[i]->type);
	if (!op_info[o->kind].c)
		return;
	for (int i = 0; i < o->nin && i < 3; i++)
		use.lanes[i + 1] = o->in[i]->type->lanes;
	RowUse **at = &c->rows;
	for (; *at; at = &(*at)->next)
		if ((*at)->kind == use.kind && !memcmp((*at)->lanes, use.lanes, sizeof use.lanes))
			return;
	*at = arena_copy(c->arena, &use, sizeof use);
}

void c_vector_types(C *c)
{
	for (int k = 0; k < 5; k++)
		for (int n = 0; n < 7; n++)
			if (c->vector[k][n])
				fprintf(c->f, "typedef struct { %s v[%d]; } %c%d_t;\n", c_class(classes[k]), 1 << n,
				        classes[k], 1 << n);
}

/* op_addw; op_addw_8: 8 lanes; op_addw_8vs: the second operand has one lane for all. */
static const char *row_name(C *c, const RowUse *r)
{
	const OpInfo *t = &op_info[r->kind];
	char form[4] = "";
	bool mixed = false;
	for (int i = 0; i < 3 && t->arg[i]; i++) {
		form[i] = r->lanes[i + 1] > 1 ? 'v' : 's';
		mixed |= form[i] == 's';
	}
	if (r->lanes[0] == 1)
		return arena_printf(c->arena, t->klass == OC_VECTOR ? "op_%s_1" : "op_%s", t->name);
	return arena_printf(c->arena, "op_%s_%d%s", t->name, r->lanes[0], mixed ? form : "");
}

const char *c_row_name(C *c, const Op *o)
{
	RowUse r = { .kind = o->kind, .lanes = { o->out[0]->type->lanes } };
	for (int i = 0; i < o->nin && i < 3; i++)
		r.lanes[i + 1] = o->in[i]->type->lanes;
	return row_name(c, &r);
}

static void put_type(C *c, char klass, int lanes)
{
	if (lanes > 1)
		fprintf(c->f, "%c%d_t", klass, lanes);
	else
		fputs(c_class(klass), c->f);
}

/* `lanes_apart`: operands that the body takes apart are called va, vb, vc. */
static void put_head(C *c, const RowUse *r, bool lanes_apart)
{
	const OpInfo *t = &op_info[r->kind];
	fputs("static inline ", c->f);
	put_type(c, t->res, r->lanes[0]);
	fprintf(c->f, " %s(", row_name(c, r));
	for (int i = 0; i < 3 && t->arg[i]; i++) {
		fputs(i ? ", " : "", c->f);
		put_type(c, t->arg[i], r->lanes[i + 1]);
		fprintf(c->f, lanes_apart && (t->klass == OC_VECTOR || r->lanes[i + 1] > 1) ? " v%c" : " %c", names[i]);
	}
	fputs(")\n{\n", c->f);
}

static void scalar_row(C *c, const RowUse *r)
{
	put_head(c, r, false);
	fprintf(c->f, "\treturn %s;\n}\n\n", op_info[r->kind].c);
}

static void lanes_row(C *c, const RowUse *r)
{
	const OpInfo *t = &op_info[r->kind];
	put_head(c, r, true);
	fprintf(c->f, "\t%c%d_t r;\n\tfor (int j = 0; j < %d; j++) {\n", t->res, r->lanes[0], r->lanes[0]);
	for (int i = 0; i < 3 && t->arg[i]; i++)
		if (r->lanes[i + 1] > 1)
			fprintf(c->f, "\t\t%s %c = v%c.v[j];\n", c_class(t->arg[i]), names[i], names[i]);
	fprintf(c->f, "\t\tr.v[j] = %s;\n\t}\n\treturn r;\n}\n\n", t->c);
}

/* Rows that mix lanes see whole arrays, the lane's number j and the row's unit n. */
static void mixing_row(C *c, const RowUse *r)
{
	const OpInfo *t = &op_info[r->kind];
	put_head(c, r, true);
	for (int i = 0; i < 3 && t->arg[i]; i++)
		fprintf(c->f, r->lanes[i + 1] > 1 ? "\tconst %s *%c = v%c.v;\n" : "\tconst %s *%c = &v%c;\n",
		        c_class(t->arg[i]), names[i], names[i]);
	fprintf(c->f, "\tenum { n = %d };\n", r->lanes[0] / t->rres);
	if (r->lanes[0] > 1)
		fprintf(c->f, "\t%c%d_t r;\n\tfor (int j = 0; j < %d; j++)\n\t\tr.v[j] = %s;\n\treturn r;\n}\n\n",
		        t->res, r->lanes[0], r->lanes[0], t->c);
	else
		fprintf(c->f, "\tconst int j = 0;\n\treturn %s;\n}\n\n", t->c);
}

void c_rows(C *c)
{
	for (const RowUse *r = c->rows; r; r = r->next) {
		if (op_info[r->kind].klass == OC_VECTOR)
			mixing_row(c, r);
		else if (r->lanes[0] > 1)
			lanes_row(c, r);
		else
			scalar_row(c, r);
	}
}

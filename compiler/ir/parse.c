/* parse.c: text -> module: the lines outside of functions.
 *
 * Names may be used before their definition: one pass over the top-level items declares all names, then
 * types, data and ports, function heads and function bodies are read in that order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/parse.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "data files are little endian, and so must be the machine this is built for"
#endif

enum { MAX_SPLAT = 1 << 28 };           /* bytes that a short text may ask to fill, in all */

/* ---- types -------------------------------------------------------------------------------------- */

static int parse_dims(Parser *p, int32_t *dim)
{
	int rank = 0;
	const Token *at = p->t;
	expect_punct(p, '[');
	while (!accept_punct(p, ']')) {
		if (rank && !accept_punct(p, ','))
			parse_fail(p, p->t, "',' or ']' is missing here");
		if (rank == MAX_RANK)
			parse_fail(p, p->t, "more than %d dimensions", MAX_RANK);
		if (accept_word(p, "T")) {
			dim[rank++] = DIM_T;
		} else {
			dim[rank++] = (int32_t)token_int(p, p->t, 0, INT32_MAX);
			p->t++;
		}
	}
	Type t = { .form = T_TENSOR, .elem = E_i8, .rank = (uint8_t)rank };
	memcpy(t.dim, dim, sizeof *dim * (size_t)rank);
	if (type_count(&t, 1) > INT32_MAX)
		parse_fail(p, at, "more than %d elements", INT32_MAX);
	return rank;
}

/* w, l, s; w8, b32: 0 when the word is no register. */
static const Type *parse_reg(Parser *p, const Token *t)
{
	static const char classes[] = "bhwls";
	static const Elem elems[] = { E_i8, E_i16, E_i32, E_i64, E_f32 };
	const char *c = memchr(classes, *t->at, 5);
	if (!c || t->len > 3)
		return 0;
	int lanes = t->len == 1 ? 1 : 0;
	for (int i = 1; i < t->len; i++)
		lanes = t->at[i] < '0' || t->at[i] > '9' ? 999 : lanes * 10 + t->at[i] - '0';
	if (t->len > 1 && (lanes < 2 || t->at[1] == '0'))
		return 0;
	Elem e = elems[c - classes];
	if ((lanes & (lanes - 1)) || lanes * elem_size(e) > MAX_LANE_BYTES)
		return 0;
	return type_reg(p->m, e, lanes);
}

const Type *parse_type(Parser *p)
{
	const Token *t = p->t;
	int32_t dim[MAX_RANK];
	if (t->kind == K_TYPE) {
		p->t++;
		Entry *e = table_find(&p->quants, t);
		if (!e)
			parse_fail(p, t, "there is no type ':%.*s'", t->len, t->at);
		int rank = parse_dims(p, dim);
		return type_quant(p->m, e->what, rank, dim);
	}
	bool ref = accept_punct(p, '&');
	t = expect(p, K_WORD, "a type");
	Elem e;
	if (t->len < 4 && elem_parse(token_text(p, t), &e)) {
		int rank = parse_dims(p, dim);
		return ref ? type_ref(p->m, e, rank, dim) : type_tensor(p->m, e, rank, dim);
	}
	const Type *r = ref ? 0 : parse_reg(p, t);
	if (!r)
		parse_fail(p, t, "'%.*s' is no type", t->len, t->at);
	return r;
}

static Elem parse_elem(Parser *p)
{
	const Token *t = expect(p, K_WORD, "an element type");
	Elem e;
	if (t->len > 3 || !elem_parse(token_text(p, t), &e) || elem_is_float(e))
		parse_fail(p, t, "an integer type such as i8 or u4 is missing here");
	return e;
}

Data *parse_data_name(Parser *p)
{
	const Token *t = expect(p, K_DATA, "a $name");
	Entry *e = table_find(&p->data, t);
	if (!e)
		parse_fail(p, t, "there is no data '$%.*s'", t->len, t->at);
	return e->what;
}

/* type :x = (i8 - 3) * 0x1p-7, type :h4 = i8 * 0x1p-7 of $h4_levels */
static void parse_quant(Parser *p)
{
	Quant *q = table_find(&p->quants, expect(p, K_TYPE, "a :name"))->what;
	expect_punct(p, '=');
	if (p->t->kind == K_DATA) {
		q->book = parse_data_name(p);
		expect_punct(p, '[');
		q->elem = parse_elem(p);
		expect_punct(p, ']');
	} else if (accept_punct(p, '(')) {
		q->elem = parse_elem(p);
		expect_punct(p, '-');
		q->zero = (int32_t)token_int(p, p->t, INT32_MIN, INT32_MAX);
		p->t++;
		expect_punct(p, ')');
	} else {
		q->elem = parse_elem(p);
	}
	expect_punct(p, '*');
	q->scale = 1;
	if (p->t->kind == K_DATA) {
		q->rows = parse_data_name(p);
		return;
	}
	q->scale = token_float(p, p->t);
	if (!(q->scale > 0) || isinf(q->scale))
		parse_fail(p, p->t, "a scale is a number greater than 0");
	p->t++;
	if (accept_word(p, "of"))
		q->levels = parse_data_name(p);
}

/* ---- data --------------------------------------------------------------------------------------- */

static void parse_element(Parser *p, Data *d, size_t i)
{
	Elem e = d->type->elem;
	size_t size = (size_t)elem_size(e);
	char *to = (char *)d->bytes + i * size;
	if (elem_is_float(e)) {
		float v = token_float(p, p->t);
		memcpy(to, &v, sizeof v);
	} else {
		int64_t v = token_int(p, p->t, elem_min(e), elem_max(e));
		memcpy(to, &v, size);           /* the low bytes come first */
	}
	p->t++;
}

static void parse_list(Parser *p, Data *d)
{
	const Token *at = p->t;
	size_t n = d->size / (size_t)elem_size(d->type->elem), have = 0;
	size_t left = (size_t)(p->end - at->at);
	expect_punct(p, '[');
	if (n > left)                   /* before memory is asked for */
		parse_fail(p, at, "the type wants %zu numbers", n);
	d->bytes = arena_alloc(p->m->arena, d->size);
	while (!accept_punct(p, ']')) {
		if (have && !accept_punct(p, ','))
			parse_fail(p, p->t, "',' or ']' is missing here");
		if (have == n)
			parse_fail(p, p->t, "more than the %zu numbers of the type", n);
		parse_element(p, d, have++);
	}
	if (have != n)
		parse_fail(p, at, "%zu numbers, but the type wants %zu", have, n);
}

static void parse_splat(Parser *p, Data *d)
{
	size_t size = (size_t)elem_size(d->type->elem);
	p->splat += (int64_t)d->size;
	if (p->splat > MAX_SPLAT)
		parse_fail(p, p->t, "data of one number repeated is limited to %d bytes in all", MAX_SPLAT);
	d->bytes = arena_alloc(p->m->arena, d->size < size ? size : d->size);
	parse_element(p, d, 0);
	for (size_t at = size; at < d->size; at += size)
		memcpy((char *)d->bytes + at, d->bytes, size);
}

/* file "kws.bin" 8192: beside the text. */
static void parse_file(Parser *p, Data *d)
{
	const Token *at = p->t;
	char *name = token_string(p, expect(p, K_STRING, "a file name in quotes"));
	int64_t offset = token_int(p, p->t, 0, INT64_MAX);
	p->t++;
	const char *slash = strrchr(p->path, '/');
	if (slash && *name != '/')
		name = arena_printf(p->tmp, "%.*s/%s", (int)(slash - p->path), p->path, name);
	struct stat st;
	FILE *f = stat(name, &st) || !S_ISREG(st.st_mode) ? 0 : fopen(name, "rb");
	if (!f)
		parse_fail(p, at, "cannot open '%s'", name);
	if (offset > st.st_size || (int64_t)d->size > st.st_size - offset) {
		fclose(f);
		parse_fail(p, at, "'%s' ends before these data: %zu bytes at %lld wanted, the file has %lld",
		           name,
		           d->size, (long long)offset, (long long)st.st_size);
	}
	d->bytes = arena_alloc(p->m->arena, d->size);
	bool ok = !fseek(f, (long)offset, SEEK_SET) && fread(d->bytes, 1, d->size, f) == d->size;
	fclose(f);
	if (!ok)
		parse_fail(p, at, "cannot read '%s'", name);
}

static void parse_data(Parser *p)
{
	Data *d = parse_data_name(p);
	const Token *at = p->t;
	d->type = parse_type(p);
	if (d->type->form != T_TENSOR || type_has_t(d->type))
		parse_fail(p, at, "data have a tensor type of known size");
	d->size = (size_t)type_size(d->type, 1);
	expect_punct(p, '=');
	if (accept_word(p, "file"))
		parse_file(p, d);
	else if (is_punct(p->t, '['))
		parse_list(p, d);
	else
		parse_splat(p, d);
}

/* ---- the other lines ---------------------------------------------------------------------------- */

static uint32_t parse_size(Parser *p)
{
	expect_punct(p, '=');
	return (uint32_t)token_int(p, p->t++, 0, UINT32_MAX);
}

static void parse_bodies(Parser *p, Module *m)
{
	enum { MAX_BODIES = 64 };
	m->body = NEWN(m->arena, const char *, MAX_BODIES);
	expect_punct(p, '=');
	expect_punct(p, '[');
	do {
		if (m->nbody == MAX_BODIES)
			parse_fail(p, p->t, "more than %d bodies", MAX_BODIES);
		m->body[m->nbody++] = token_text(p, expect(p, K_WORD, "the name of a body"));
	} while (accept_punct(p, ','));
	expect_punct(p, ']');
}

static void parse_module(Parser *p)
{
	Module *m = p->m;
	const Token *at = p->t;
	m->name = token_string(p, expect(p, K_STRING, "the module's name in quotes"));
	if (!is_ident(m->name))
		parse_fail(p, at, "a module's name is a C identifier");
	while (p->t->kind != K_EOL) {
		if (accept_word(p, "level")) {
			expect_punct(p, '=');
			if (!is_word(p->t, "tensor") && !is_word(p->t, "loop"))
				parse_fail(p, p->t, "a level is tensor or loop");
			m->level = is_word(p->t++, "loop") ? L_LOOP : L_TENSOR;
		} else if (accept_word(p, "state")) {
			m->state_size = parse_size(p);
		} else if (accept_word(p, "scratch")) {
			m->scratch_size = parse_size(p);
		} else if (accept_word(p, "scratch_step")) {
			m->scratch_step = parse_size(p);
		} else if (accept_word(p, "planned")) {
			m->planned = true;
		} else if (!m->nbody && accept_word(p, "bodies")) {
			parse_bodies(p, m);
		} else {
			parse_fail(p, p->t,
			           "a module has level= state= scratch= scratch_step= planned bodies=");
		}
	}
}

static void parse_port(Parser *p, Port **at)
{
	while (*at)
		at = &(*at)->next;
	Port *port = *at = NEW(p->m->arena, Port);
	port->name = token_string(p, expect(p, K_STRING, "a name in quotes"));
	const Token *t = p->t;
	port->type = parse_type(p);
	if (port->type->form != T_TENSOR)
		parse_fail(p, t, "a port has a tensor type");
}

static void parse_slot(Parser *p)
{
	Slot **at = &p->m->slots;
	while (*at)
		at = &(*at)->next;
	Slot *s = *at = NEW(p->m->arena, Slot);
	s->name = token_string(p, expect(p, K_STRING, "a name in quotes"));
	const Token *t = p->t;
	s->type = parse_type(p);
	if (s->type->form != T_TENSOR || type_has_t(s->type))
		parse_fail(p, t, "a slot has a tensor type of known size");
	if (!accept_word(p, "at"))
		parse_fail(p, p->t, "'at' is missing here");
	s->at = (uint32_t)token_int(p, p->t++, 0, UINT32_MAX);
}

/* ---- items: the top-level lines, a function being one -------------------------------------------- */

typedef struct {
	Token *start;           /* behind the first word */
	Token *body;            /* of a function: where its head ended */
	void *what;             /* its Data, Quant or Func */
	enum { I_MODULE, I_TYPE, I_DATA, I_INPUT, I_OUTPUT, I_SLOT, I_FUNC } kind;
} Item;

typedef struct {
	Item *at;
	size_t n, room;
} Items;

static void item_kind(Parser *p, Item *it)
{
	static const char *const words[] = { "module", "type", "data", "input", "output", "slot", "func" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (accept_word(p, words[i])) {
			it->kind = i;
			it->start = p->t;
			return;
		}
	parse_fail(p, p->t, "module, input, output, slot, type, data or func is missing here");
}

/* Give the item's name its struct, at the end of the module's list. */
static void declare(Parser *p, Item *it, Data ***data, Quant ***quant, Func ***func)
{
	Arena *a = p->m->arena;
	if (it->kind == I_DATA) {
		Data *d = it->what = **data = NEW(a, Data);
		d->name = table_add(p, &p->data, expect(p, K_DATA, "a $name"), d)->name;
		*data = &d->next;
	} else if (it->kind == I_TYPE) {
		Quant *q = it->what = **quant = NEW(a, Quant);
		q->name = table_add(p, &p->quants, expect(p, K_TYPE, "a :name"), q)->name;
		*quant = &q->next;
	} else if (it->kind == I_FUNC) {
		Func *f = it->what = **func = NEW(a, Func);
		f->name = table_add(p, &p->funcs, expect(p, K_FUNC, "an @name"), f)->name;
		*func = &f->next;
	}
}

/* To the end of the item: of the line, or of the last line with an open {. */
static void skip_item(Parser *p)
{
	int depth = 0;
	for (; p->t->kind != K_END && (depth || p->t->kind != K_EOL); p->t++) {
		depth += is_punct(p->t, '{');
		depth -= is_punct(p->t, '}') && depth;
	}
}

static Items find_items(Parser *p)
{
	Items list = { 0 };
	Data **data = &p->m->data;
	Quant **quant = &p->m->quants;
	Func **func = &p->m->funcs;
	for (;;) {
		while (p->t->kind == K_EOL)
			p->t++;
		if (p->t->kind == K_END)
			return list;
		if (list.n == list.room) {
			Item *old = list.at;
			list.room = list.room ? list.room * 2 : 64;
			list.at = NEWN(p->tmp, Item, list.room);
			if (list.n)
				memcpy(list.at, old, sizeof *old * list.n);
		}
		Item *it = &list.at[list.n++];
		const Token *first = p->t;
		item_kind(p, it);
		if (it->kind == I_MODULE && list.n > 1)
			parse_fail(p, first, "the module line comes first");
		declare(p, it, &data, &quant, &func);
		p->t = it->start;
		skip_item(p);
	}
}

static void parse_item(Parser *p, Item *it)
{
	p->t = it->start;
	switch (it->kind) {
	case I_MODULE: parse_module(p); break;
	case I_TYPE:   parse_quant(p); break;
	case I_DATA:   parse_data(p); break;
	case I_INPUT:  parse_port(p, &p->m->in); break;
	case I_OUTPUT: parse_port(p, &p->m->out); break;
	case I_SLOT:   parse_slot(p); break;
	case I_FUNC:
		if (!it->body) {
			parse_func_head(p, it->what);
			it->body = p->t;
			return;
		}
		p->t = it->body;
		parse_func_body(p, it->what);
		break;
	}
	if (p->t->kind != K_EOL)
		parse_fail(p, p->t, "the line should end here");
}

static void parse_items(Parser *p)
{
	lex(p);
	Items list = find_items(p);
	for (size_t i = 0; i < list.n; i++)     /* types know their elements before any type is written */
		if (list.at[i].kind == I_TYPE)
			parse_item(p, &list.at[i]);
	for (size_t i = 0; i < list.n; i++)
		if (list.at[i].kind != I_TYPE)
			parse_item(p, &list.at[i]);
	for (size_t i = 0; i < list.n; i++)     /* heads are known: now the bodies, which call them */
		if (list.at[i].kind == I_FUNC)
			parse_item(p, &list.at[i]);
}

Module *module_parse(const char *path, const char *text, size_t n, char *err, size_t nerr)
{
	Parser *p = calloc(1, sizeof *p);
	if (!p)
		return 0;
	p->text = text;
	p->end = text + n;
	p->err = err;
	p->nerr = nerr;
	p->tmp = arena_new();
	p->m = module_new("model");
	p->path = arena_strdup(p->m->arena, path);
	if (n > INT32_MAX)
		snprintf(err, nerr, "%s: error: the text is larger than 2 GiB", path);
	if (n > INT32_MAX || setjmp(p->fail)) {
		module_free(p->m);
		p->m = 0;
	} else {
		parse_items(p);
	}
	Module *m = p->m;
	arena_free(p->tmp);
	free(p);
	return m;
}

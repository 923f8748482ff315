/* c_names.c: names and literals in emitted C.
 *
 * A value keeps its IR name unless that would hide something of the file; then, and for the same name with
 * underscores behind it, one underscore is added, so that different names stay different. */
#include "emit/c.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

char c_letter(const Type *t)
{
	switch (t->elem) {
	case E_i8:  return 'b';
	case E_i16: return 'h';
	case E_i64: return 'l';
	case E_f32: return 's';
	default:    return 'w';
	}
}

const char *c_class(char klass)
{
	switch (klass) {
	case 'b': return "int8_t";
	case 'h': return "int16_t";
	case 'l': return "int64_t";
	case 's': return "float";
	default:  return "int32_t";
	}
}

const char *c_reg(C *c, const Type *t)
{
	return t->lanes > 1 ? arena_printf(c->arena, "%c%d_t", c_letter(t), t->lanes) : c_class(c_letter(t));
}

const char *c_plain_elem(Elem e)
{
	switch (elem_stored(e)) {
	case E_i8:  return "int8_t";
	case E_u8:  return "uint8_t";
	case E_i16: return "int16_t";
	case E_i64: return "int64_t";
	case E_f32: return "float";
	default:    return "int32_t";
	}
}

const char *c_elem(Elem e)
{
	switch (elem_stored(e)) {
	case E_i8:  return "int8_t";
	case E_u8:  return "uint8_t";
	case E_i16: return "mem_i16";
	case E_i64: return "mem_i64";
	case E_f32: return "mem_f32";
	default:    return "mem_i32";
	}
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool in_list(const char *list, const char *s, size_t n)
{
	for (const char *p = list; *p; p += strcspn(p, " "), p += *p == ' ')
		if (strcspn(p, " ") == n && !strncmp(p, s, n))
			return true;
	return false;
}

static bool starts_with_one_of(const char *list, const char *s)
{
	for (const char *p = list; *p; p += strcspn(p, " "), p += *p == ' ')
		if (!strncmp(s, p, strcspn(p, " ")))
			return true;
	return false;
}

static bool ends_with(const char *end, const char *s, size_t n)
{
	return n > strlen(end) && !strncmp(s + n - strlen(end), end, strlen(end));
}

/* Would s, n characters of it, be something else than a local name in the emitted file? */
static bool is_taken(const C *c, const char *s, size_t n)
{
	static const char *const words =
		"auto break case char const continue default do double else enum extern float for goto if inline int "
		"long register restrict return short signed sizeof static struct switch typedef union unsigned void "
		"volatile while asm typeof bool true false nullptr alignas alignof constexpr thread_local static_assert "
		"linux unix i386 near far lane";
	static const char *const prefixes =
		"k_ d_ op_ mem_ api_ gf_ GF_ INT UINT PTRDIFF_ SIZE_ SIG_ WCHAR_ WINT_ _";
	size_t own = strlen(c->m->name);
	return in_list(words, s, n) || starts_with_one_of(prefixes, s) || ends_with("_t", s, n) ||
	       ends_with("_next", s, n) || !strncmp(s, upper(c->arena, c->m->name), own);
}

const char *c_value_name(C *c, const Val *v)
{
	size_t n = strlen(v->name);
	while (n > 1 && v->name[n - 1] == '_')
		n--;
	return is_taken(c, v->name, n) ? arena_printf(c->arena, "%s_", v->name) : v->name;
}

const char *upper(Arena *a, const char *text)
{
	char *s = arena_strdup(a, text);
	for (char *p = s; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return s;
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

const Val *c_time(const Func *f)
{
	const Val *last = f->nparam ? f->param[f->nparam - 1] : 0;
	return last && last->type->form == T_REG && last->name && !strcmp(last->name, "T") ? last : 0;
}

/* ---- literals ------------------------------------------------------------------------------- */

const char *c_int(C *c, char klass, int64_t i)
{
	switch (klass) {
	case 'b': return arena_printf(c->arena, "%d", (int8_t)i);
	case 'h': return arena_printf(c->arena, "%d", (int16_t)i);
	case 'l':
		if (i == INT64_MIN)
			return "INT64_MIN";
		return arena_printf(c->arena, i < 0 ? "-INT64_C(%" PRId64 ")" : "INT64_C(%" PRId64 ")", i < 0 ? -i : i);
	default:
		return (int32_t)i == INT32_MIN ? "INT32_MIN" : arena_printf(c->arena, "%" PRId32, (int32_t)i);
	}
}

/* C99 has no portable spelling of infinity without math.h; the three macros are in the file's head. */
const char *c_float(C *c, float x)
{
	if (isnan(x))
		return "GF_NAN";
	if (isinf(x))
		return x < 0 ? "-GF_INF" : "GF_INF";
	return arena_printf(c->arena, "%af", (double)x);
}

static const char *literal(C *c, const Val *v)
{
	return elem_is_float(v->type->elem) ? c_float(c, v->lit.f) : c_int(c, c_letter(v->type), v->lit.i);
}

/* The same number on all lanes of a vector type. */
static const char *splat(C *c, const Val *v, const Type *t)
{
	bool zero = elem_is_float(v->type->elem) ? v->lit.f == 0 && !signbit(v->lit.f) : v->lit.i == 0;
	const char *one = zero ? "0" : literal(c, v), *all = one;
	for (int i = 1; i < t->lanes && !zero; i++)
		all = arena_printf(c->arena, "%s, %s", all, one);
	return arena_printf(c->arena, "(%s){{ %s }}", c_reg(c, t), all);
}

const char *c_value(C *c, const Val *v)
{
	return c_value_as(c, v, v->type);
}

const char *c_value_as(C *c, const Val *v, const Type *t)
{
	if (v->data)
		return arena_printf(c->arena, "d_%s", v->data->name);
	if (v->name)
		return c_value_name(c, v);
	return t->lanes > 1 ? splat(c, v, t) : literal(c, v);
}

const char *c_lane(C *c, const Val *v)
{
	if (!v->name)
		return literal(c, v);
	return v->type->lanes > 1 ? arena_printf(c->arena, "%s.v[lane]", c_value_name(c, v)) : c_value_name(c, v);
}

/* ---- text ----------------------------------------------------------------------------------- */

void c_comment(FILE *f, const char *text)
{
	for (const char *p = text; *p; p++) {
		unsigned char ch = (unsigned char)*p;
		bool joins = (ch == '*' && p[1] == '/') || (ch == '/' && p[1] == '*');
		fputc(ch < 32 || ch > 126 || ch == '\\' || ch == '?' ? '_' : ch, f);
		if (joins)
			fputc(' ', f);
	}
}

void c_string(FILE *f, const char *text)
{
	fputc('"', f);
	for (const char *p = text; *p; p++) {
		unsigned char ch = (unsigned char)*p;
		if (ch < 32 || ch > 126 || ch == '"' || ch == '\\' || ch == '?')        /* '?' begins trigraphs */
			fprintf(f, "\\%03o", ch);
		else
			fputc(ch, f);
	}
	fputc('"', f);
}

/* lex.c: text -> tokens, and the way a fault is told: file:line:col, the line, a caret.
 * Line ends inside ( ) and [ ] do not count; # and // start comments. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/parse.h"

enum { LONGEST_NAME = 255, LONGEST_NUMBER = 63, LONGEST_SHOWN = 110 };

/* "file:3:7: error: message", the line and a caret under its column, into p->err. */
_Noreturn void parse_fail(Parser *p, const Token *t, const char *fmt, ...)
{
	const char *at = t->at;
	if (at > p->text && (t->kind >= K_VAL && t->kind <= K_TYPE))
		at--;
	const char *start = at, *end = at;
	while (start > p->text && start[-1] != '\n')
		start--;
	while (end < p->end && *end != '\n')
		end++;
	int col = (int)(at - start) + 1;
	if (at - start > LONGEST_SHOWN / 2)
		start = at - LONGEST_SHOWN / 2;
	if (end - start > LONGEST_SHOWN)
		end = start + LONGEST_SHOWN;
	char msg[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	char line[LONGEST_SHOWN + 1], caret[LONGEST_SHOWN + 1];
	int n = (int)(end - start), k = (int)(at - start);
	for (int i = 0; i < n; i++)
		line[i] = start[i] == '\t' || isprint((unsigned char)start[i]) ? start[i] : '?';
	for (int i = 0; i < k; i++)
		caret[i] = line[i] == '\t' ? '\t' : ' ';
	line[n] = caret[k] = 0;
	if (p->nerr)
		snprintf(p->err, p->nerr, "%s:%d:%d: error: %s\n%s\n%s^", p->path, t->line, col, msg, line,
		         caret);
	longjmp(p->fail, 1);
}

/* ---- cutting the text ------------------------------------------------------------------------- */

typedef struct {
	Parser *p;
	const char *s;
	int line, depth;        /* depth of ( and [ */
	size_t n, room;
} Lexer;

static Token *add(Lexer *x, TokenKind k, const char *at, const char *end)
{
	if (x->n == x->room) {
		Token *old = x->p->tok;
		x->room = x->room ? x->room * 2 : 1024;
		x->p->tok = NEWN(x->p->tmp, Token, x->room);
		if (x->n)
			memcpy(x->p->tok, old, sizeof *old * x->n);
	}
	Token *t = &x->p->tok[x->n++];
	*t = (Token){ at, (int)(end - at), x->line, (uint8_t)k };
	return t;
}

static bool is_name(const char *s, const char *end, bool first)
{
	return s < end && (*s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
	                   (!first && *s >= '0' && *s <= '9'));
}

static bool digit_at(const char *s, const char *end)
{
	return s < end && *s >= '0' && *s <= '9';
}

static void lex_name(Lexer *x, TokenKind k)
{
	const char *s = x->s, *end = x->p->end;
	while (is_name(s, end, s == x->s))
		s++;
	Token *t = add(x, k, x->s, s);
	if (s == x->s)
		parse_fail(x->p, t, "a name is missing");
	if (s - x->s > LONGEST_NAME)
		parse_fail(x->p, t, "a name is longer than %d characters", LONGEST_NAME);
	if (k == K_WORD && t->len == 3 && (!memcmp(t->at, "nan", 3) || !memcmp(t->at, "inf", 3)))
		t->kind = K_FLOAT;
	x->s = s;
}

static void lex_number(Lexer *x)
{
	const char *s = x->s, *end = x->p->end;
	bool real = false;
	if (*s == '-')
		s++;
	if (end - s >= 3 && !memcmp(s, "inf", 3)) {
		s += 3;
		real = true;
	} else {
		bool hex = end - s > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
		for (; s < end; s++) {
			bool exp = hex ? *s == 'p' || *s == 'P' : *s == 'e' || *s == 'E';
			real |= exp || *s == '.';
			if (exp && s + 1 < end && (s[1] == '-' || s[1] == '+'))
				s++;
			else if (!is_name(s, end, false) && *s != '.')
				break;
		}
	}
	Token *t = add(x, real ? K_FLOAT : K_INT, x->s, s);
	if (t->len > LONGEST_NUMBER)
		parse_fail(x->p, t, "a number is longer than %d characters", LONGEST_NUMBER);
	x->s = s;
}

static void lex_string(Lexer *x)
{
	const char *start = ++x->s, *s = start, *end = x->p->end;
	while (s < end && *s != '"' && *s != '\n')
		s += *s == '\\' && s + 1 < end && s[1] != '\n' ? 2 : 1;
	Token *t = add(x, K_STRING, start, s);
	if (s == end || *s != '"')
		parse_fail(x->p, t, "a string does not end on its line");
	x->s = s + 1;
}

static void lex_punct(Lexer *x)
{
	char c = *x->s;
	Token *t = add(x, K_PUNCT, x->s, x->s + 1);
	if (!c || !strchr("()[]{},=*-<&", c))
		parse_fail(x->p, t, "this character has no meaning here");
	x->depth += c == '(' || c == '[';
	x->depth -= (c == ')' || c == ']') && x->depth > 0;
	x->s++;
}

static bool starts_number(const char *s, const char *end)
{
	if (*s == '-')
		return digit_at(s + 1, end) || (end - s > 3 && !memcmp(s + 1, "inf", 3) &&
		                                !is_name(s + 4, end, false));
	return digit_at(s, end);
}

void lex(Parser *p)
{
	Lexer x = { .p = p, .s = p->text, .line = 1 };
	while (x.s < p->end) {
		char c = *x.s;
		if (c == '\n') {
			if (!x.depth)
				add(&x, K_EOL, x.s, x.s);
			x.line++;
			x.s++;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			x.s++;
		} else if (c == '#' || (c == '/' && x.s + 1 < p->end && x.s[1] == '/')) {
			while (x.s < p->end && *x.s != '\n')
				x.s++;
		} else if (c == '%' || c == '$' || c == '@' || c == ':') {
			x.s++;
			lex_name(&x, c == '%' ? K_VAL : c == '$' ? K_DATA : c == '@' ? K_FUNC : K_TYPE);
		} else if (is_name(x.s, p->end, true)) {
			lex_name(&x, K_WORD);
		} else if (starts_number(x.s, p->end)) {
			lex_number(&x);
		} else if (c == '"') {
			lex_string(&x);
		} else {
			lex_punct(&x);
		}
	}
	add(&x, K_EOL, p->end, p->end);
	add(&x, K_END, p->end, p->end);
	p->t = p->tok;
}

/* ---- reading tokens --------------------------------------------------------------------------- */

bool is_punct(const Token *t, char c)
{
	return t->kind == K_PUNCT && *t->at == c;
}

bool is_word(const Token *t, const char *word)
{
	return t->kind == K_WORD && (int)strlen(word) == t->len && !memcmp(t->at, word, (size_t)t->len);
}

bool accept_punct(Parser *p, char c)
{
	if (!is_punct(p->t, c))
		return false;
	p->t++;
	return true;
}

bool accept_word(Parser *p, const char *word)
{
	if (!is_word(p->t, word))
		return false;
	p->t++;
	return true;
}

void expect_punct(Parser *p, char c)
{
	if (!accept_punct(p, c))
		parse_fail(p, p->t, "'%c' is missing here", c);
}

const Token *expect(Parser *p, TokenKind k, const char *what)
{
	if (p->t->kind != k)
		parse_fail(p, p->t, "%s is missing here", what);
	return p->t++;
}

char *token_text(Parser *p, const Token *t)
{
	char *s = arena_alloc(p->m->arena, (size_t)t->len + 1);
	memcpy(s, t->at, (size_t)t->len);
	return s;
}

static int hex_digit(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *token_string(Parser *p, const Token *t)
{
	char *s = arena_alloc(p->m->arena, (size_t)t->len + 1), *to = s;
	const char *end = t->at + t->len;
	for (const char *c = t->at; c < end; c++) {
		if (!*c)
			parse_fail(p, t, "a zero byte cannot stand in a string");
		if (*c != '\\' || ++c >= end) {
			*to++ = *c;
			continue;
		}
		int hi = *c == 'x' && end - c > 2 ? hex_digit(c[1]) : -1;
		int lo = hi >= 0 ? hex_digit(c[2]) : -1;
		if (*c == '"' || *c == '\\')
			*to++ = *c;
		else if (lo >= 0 && hi * 16 + lo)
			*to++ = (char)(hi * 16 + lo), c += 2;
		else
			parse_fail(p, t, "only \\\" \\\\ and \\x01 to \\xff can stand in a string");
	}
	return s;
}

int64_t token_int(Parser *p, const Token *t, int64_t min, int64_t max)
{
	char buf[LONGEST_NUMBER + 1], *end;
	if (t->kind != K_INT)
		parse_fail(p, t, "an integer is missing here");
	memcpy(buf, t->at, (size_t)t->len);
	buf[t->len] = 0;
	errno = 0;
	bool hex = strchr(buf, 'x') || strchr(buf, 'X');
	long long v = strtoll(buf, &end, hex ? 16 : 10);
	if (*end)
		parse_fail(p, t, "this is no number");
	if (errno || v < min || v > max)
		parse_fail(p, t, "this number is not in %lld .. %lld", (long long)min, (long long)max);
	return v;
}

float token_float(Parser *p, const Token *t)
{
	char buf[LONGEST_NUMBER + 1], *end;
	if (t->kind != K_INT && t->kind != K_FLOAT)
		parse_fail(p, t, "a number is missing here");
	memcpy(buf, t->at, (size_t)t->len);
	buf[t->len] = 0;
	float v = strtof(buf, &end);
	if (*end)
		parse_fail(p, t, "this is no number");
	if (isinf(v) && !strstr(buf, "inf"))
		parse_fail(p, t, "this number is too large for f32");
	return v;
}

/* ---- tables of names ---------------------------------------------------------------------------- */

static size_t hash(const char *s, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

static void table_grow(Parser *p, Table *t)
{
	Table big = { .n = t->n, .room = t->room ? t->room * 2 : 64 };
	big.bucket = NEWN(p->tmp, Entry *, big.room);
	for (size_t i = 0; i < t->room; i++)
		for (Entry *e = t->bucket[i], *next; e; e = next) {
			Entry **b = &big.bucket[hash(e->name, strlen(e->name)) & (big.room - 1)];
			next = e->next;
			e->next = *b;
			*b = e;
		}
	*t = big;
}

Entry *table_find(const Table *t, const Token *name)
{
	Entry *e = t->room ? t->bucket[hash(name->at, (size_t)name->len) & (t->room - 1)] : 0;
	while (e && (strncmp(e->name, name->at, (size_t)name->len) || e->name[name->len]))
		e = e->next;
	return e;
}

Entry *table_add(Parser *p, Table *t, const Token *name, void *what)
{
	if (table_find(t, name))
		parse_fail(p, name, "'%.*s' is defined twice", name->len, name->at);
	if (t->n >= t->room)
		table_grow(p, t);
	Entry **b = &t->bucket[hash(name->at, (size_t)name->len) & (t->room - 1)];
	Entry *e = NEW(p->tmp, Entry);
	*e = (Entry){ token_text(p, name), what, false, *b };
	t->n++;
	return *b = e;
}

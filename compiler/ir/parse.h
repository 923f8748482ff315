/* parse.h: what lex.c and parse*.c share; nobody else includes it. */
#ifndef GATEFOLD_IR_PARSE_H
#define GATEFOLD_IR_PARSE_H

#include <setjmp.h>

#include "ir/ir.h"

typedef enum {
	K_END, K_EOL,
	K_WORD,                 /* load, f32, range */
	K_VAL, K_DATA, K_FUNC, K_TYPE,          /* %x $x @x :x */
	K_INT, K_FLOAT, K_STRING,
	K_PUNCT,                /* one of ( ) [ ] { } , = * - < & */
} TokenKind;

typedef struct {
	const char *at;         /* in the text; names start behind their sigil, strings behind their quote */
	int len;
	int line;
	uint8_t kind;
} Token;

typedef struct Entry {          /* a name in a table */
	const char *name;
	void *what;
	bool hidden;            /* its block has ended */
	struct Entry *next;     /* in its bucket */
} Entry;

typedef struct {
	Entry **bucket;
	size_t n, room;
} Table;

typedef struct {
	const char *path, *text, *end;
	Token *tok;             /* ends with K_END */
	Token *t;               /* the next one */
	Module *m;
	Arena *tmp;             /* freed when parsing ends */
	Table data, quants, funcs;
	int64_t splat;          /* bytes filled from one number so far */
	char *err;
	size_t nerr;
	jmp_buf fail;           /* every fault leaves by here */
} Parser;

/* lex.c */
void lex(Parser *p);
_Noreturn void parse_fail(Parser *p, const Token *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool is_punct(const Token *t, char c);
bool is_word(const Token *t, const char *word);
bool accept_punct(Parser *p, char c);
bool accept_word(Parser *p, const char *word);
void expect_punct(Parser *p, char c);
const Token *expect(Parser *p, TokenKind k, const char *what);
char *token_text(Parser *p, const Token *t);                    /* in the module's arena */
char *token_string(Parser *p, const Token *t);                  /* escapes resolved */
int64_t token_int(Parser *p, const Token *t, int64_t min, int64_t max);
float token_float(Parser *p, const Token *t);                   /* integers too */
Entry *table_add(Parser *p, Table *t, const Token *name, void *what);   /* a fault when it is there already */
Entry *table_find(const Table *t, const Token *name);

/* parse.c */
const Type *parse_type(Parser *p);
Data *parse_data_name(Parser *p);

/* parse_attr.c */
bool at_attr(const Parser *p);                  /* is the next thing name=? */
void parse_attr(Parser *p, Op *o);
void parse_ranges(Parser *p, Val **v, int n);   /* [lo, hi] or none of each */

/* parse_func.c */
void parse_func_head(Parser *p, Func *f);       /* up to the { */
void parse_func_body(Parser *p, Func *f);       /* to the } */

#endif

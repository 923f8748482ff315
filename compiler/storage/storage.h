/* storage.h: a matrix of small integers in few bytes, without loss.
 *
 * Quantization chooses the integers; storage looks at them and finds a form from which they come back exactly:
 *	rows	every row in fields of the least width that holds it, one behind the other; or, where quantization names
 *		books, in fields whose windows stand for integers (passes/book.h)
 *	coded	every row as symbols of an entropy coder (rANS), with frequencies that fit it
 * Rows of one kind share a class.  A class also carries the row's scale where rows have few different scales, so a row's
 * own side information is one class number.  Pure: integers in, bytes out; the same on every machine. */
#ifndef GATEFOLD_STORAGE_H
#define GATEFOLD_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { STORE_PLAIN, STORE_ROWS, STORE_CODED } StorageKind;

enum {
	STORE_MAX_CLASSES = 256,
	STORE_ROWS_GROUP = 64,  /* rows for one place in the directory of `rows` */
	STORE_SUPER = 32,       /* groups of `coded` for one base, where their offsets fit 16 bits */
	STORE_BITS = 12,        /* frequencies of a table sum to 2^12 */
	STORE_LOW = 16          /* the coder's state lies in [2^16, 2^32); it takes 16 bits at a time */
};

/* An array of a stored form: what is shipped, an element type and the name it gets behind the matrix's. */
typedef struct {
	void *p;                /* elements of `size` bytes, as this machine has them */
	int32_t n;
	int size;
	bool is_signed;
} Column;

typedef struct {
	StorageKind kind;       /* STORE_ROWS or STORE_CODED */
	int32_t M, K;
	bool reach;             /* has a directory: any row can be found */
	/* scales */
	int32_t nscale;         /* different ones, carried by the classes; 0: row i has scale i of M */
	int32_t *scale_of;      /* [M] not shipped: index of the row's scale */
	int32_t *scale_row;     /* [nscale] not shipped: a row that has it */
	/* classes */
	int32_t nclass;
	int32_t *class_of;      /* [M] not shipped */
	Column class_scale;     /* u8[nclass]; none when nscale < 2 */
	/* rows: value = book ? book[field] : add + step * field; with windows book[place + window], the window being the field and
	 * `memory` bits in front of it, zeros where the row begins */
	int class_bits;         /* of a row's class number: fields in `classes` */
	Column classes;         /* u8; one byte more than filled */
	Column width;           /* u8[nclass] */
	Column step;            /* u8[nclass]; none: all 1 */
	Column add;             /* i8[nclass] */
	Column book;            /* i8; none: no book */
	bool windows;
	Column memory;          /* windows: u8[nclass] */
	Column place;           /* windows: i16[nclass] */
	Column order;           /* windows: i16[K], the columns in the order of the fields; none: as they come */
	Column fields;          /* u8; two bytes more than filled */
	Column start;           /* i32[groups]: first bit of every 64th row; none when there is one class */
	/* coded: value = lo[table] + step[table] * symbol */
	Column class_table;     /* u8[nclass]: the table of the row's values */
	Column first;           /* i16[tables + 2]: where in cum each table begins; table 0 is that of the classes */
	Column cum;             /* i16: cumulative frequencies; one 0 behind the last */
	Column lo;              /* i8[tables + 1] */
	Column stride;          /* u8[tables + 1]; none: all 1 */
	Column stream;          /* i16: the coder's words; two more than filled */
	int32_t group, super;   /* rows for one stream; groups for one base */
	Column base, offset;    /* i32, i16 (unsigned): word at which group g begins: base[g / super] + offset[g] */
	int32_t most;           /* symbols of the largest table */
	size_t bytes;           /* all that is shipped */
} Stored;

/* What rows may be paths through: books of 2^(width + memory) integers, in the order of their width. */
typedef struct { int width, memory; const int8_t *value; } StoreBook;
enum { STORE_BOOKS = 8, STORE_BOOK_STATES = 64 };
typedef struct {
	int n;
	StoreBook book[STORE_BOOKS];
	const int32_t *order;   /* [K] columns in the order in which windows follow one another; 0: as they come */
} StoreBooks;

/* Bytes that the M x K integers w take in this form, each with row_scale (or one for all: 0), with a directory.
 * plain: fields of the one width that holds all, and a float for each row's scale. */
size_t storage_bytes(const int8_t *w, const float *row_scale, int32_t M, int32_t K, StorageKind kind);

/* The form itself.  scale_of: any numbers that tell rows' scales apart, or 0: one scale.  M, K >= 1, M K < 2^28.  books (or 0)
 * are used, for rows, where that makes it smaller. */
Stored *storage_pack(const int8_t *w, const float *row_scale, int32_t M, int32_t K, StorageKind kind, bool reach,
                     const StoreBooks *books);
void storage_free(Stored *s);
/* What a compiled model does, in C: rows [row, row + n) into w, found through the directory.  For tests. */
void storage_unpack(const Stored *s, int32_t row, int32_t n, int8_t *w);
/* The sum of the entropies of its rows' values in `classes` classes of equal size: what papers count; bits. */
double storage_entropy(const int8_t *w, int32_t M, int32_t K, int classes);

#endif

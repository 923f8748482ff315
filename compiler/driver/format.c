/* format.c: types in words. */
#include "driver/format.h"

#include <stdio.h>
#include <string.h>

const char *format_text(const Type *t, char *buf, size_t n)
{
	const Quant *q = t->quant;
	int exponent;
	if (!q)
		snprintf(buf, n, "%s", elem_name(t->elem));
	else if (q->rows)
		snprintf(buf, n, "%s * rows", elem_name(q->elem));
	else if (is_pow2(q->scale, &exponent) && !q->zero && !q->book)
		snprintf(buf, n, "%s Q%d.%d", elem_name(q->elem), elem_bits(q->elem) - 1 + exponent, -exponent);
	else
		snprintf(buf, n, "%s * %.4g", elem_name(q->elem), q->scale);
	size_t k = strlen(buf);
	if (q && q->levels)
		snprintf(buf + k, n - k, " of %d", q->levels->type->dim[0]);
	return buf;
}

const char *dims_text(const Type *t, char *buf, size_t n)
{
	size_t k = (size_t)snprintf(buf, n, "[");
	for (int i = 0; i < t->rank && k < n; i++) {
		k += (size_t)snprintf(buf + k, n - k, "%s", i ? "," : "");
		if (k < n)
			k += t->dim[i] == DIM_T ? (size_t)snprintf(buf + k, n - k, "T")
			                        : (size_t)snprintf(buf + k, n - k, "%d", t->dim[i]);
	}
	if (k < n)
		snprintf(buf + k, n - k, "]");
	return buf;
}

/* report_hex.c: memory images. */
#include "driver/format.h"
#include "driver/report.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *report_path(const char *folder, const char *name)
{
	return text_new("%s/%s.hex", folder, name);
}

static uint64_t stored_bits(const void *p, int size, int64_t i)
{
	switch (size) {
	case 1:  return ((const uint8_t *)p)[i];
	case 2:  return ((const uint16_t *)p)[i];
	case 4:  return ((const uint32_t *)p)[i];
	default: return ((const uint64_t *)p)[i];
	}
}

bool report_hex(const char *dir, const char *folder, const char *name, const Type *t, const void *stored,
                int64_t count,
                Diag *d)
{
	char *path = text_new("%s/%s/%s.hex", dir, folder, name), dims[128], format[64];
	int bits = elem_bits(t->elem), size = elem_size(t->elem);
	FILE *f = fopen(path, "w");
	if (f) {
		fprintf(f, "// %s %s %s, %d bits an element, row-major\n", name, dims_text(t, dims, sizeof dims),
		        format_text(t, format, sizeof format), bits);
		uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : ~UINT64_C(0);
		for (int64_t i = 0; i < count; i++)
			fprintf(f, "%0*llx\n", (bits + 3) / 4, (unsigned long long)(stored_bits(stored, size, i) & mask));
	}
	bool good = f && !ferror(f);
	good = (!f || !fclose(f)) && good;
	if (!good)
		diag_error(d, "--report: %s cannot be written", path);
	free(path);
	return good;
}

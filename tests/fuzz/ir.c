/* ir.c: any text is refused with a message, or becomes a module that prints, comes back equal and clones. */
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *text, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *text, size_t n)
{
	char err[400] = "";
	Module *m = module_parse("fuzz.ir", (const char *)text, n, err, sizeof err);
	if (!m) {
		if (strncmp(err, "fuzz.ir:", 8))
			abort();
		return 0;
	}
	char *again;
	size_t len;
	FILE *f = open_memstream(&again, &len);
	module_print(m, f, 0, 0);
	fclose(f);
	Module *m2 = module_parse("fuzz.ir", again, len, err, sizeof err);
	if (!m2 || !module_equal(m, m2))
		abort();
	Module *c = module_clone(m);
	if (!module_equal(m, c) || module_verify(m, err, sizeof err) != module_verify(c, err, sizeof err))
		abort();
	module_free(m);
	module_free(m2);
	module_free(c);
	free(again);
	return 0;
}

/* onnx.c: any bytes are refused with a message, or become a module that verifies.
 * Seeds: published models of a few kB; an empty folder of its own keeps external data out. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char path[40], err[500];
	Options opt = { 0 };
	int fd = memfd_create("fuzz", 0);
	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	Diag *d = diag_new();
	Module *m = import_onnx(path, &opt, d);
	close(fd);
	if (!m == !diag_errors(d) || diag_bugs(d))
		abort();
	if (m && !module_verify(m, err, sizeof err))
		abort();
	module_free(m);
	diag_free(d);
	return 0;
}

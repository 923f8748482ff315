/* output.c: a module to files; the suffix says which form. */
#include "driver/output.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static bool is_stdout(const char *path)
{
	return !strncmp(path, "-.", 2);
}

static FILE *open_main(const char *path, Outputs *o, Diag *d)
{
	return outputs_add(o, is_stdout(path) ? "-" : path, d);
}

/* Text, and large data beside it. On standard output everything is in the text. */
static bool write_ir(const Module *m, const EmitInfo *info, const char *path, Outputs *o, Diag *d)
{
	(void)info;
	FILE *text = open_main(path, o, d), *bin = 0;
	if (!text)
		return false;
	char *bin_path = path_beside(path, ".bin");
	if (!is_stdout(path))
		bin = outputs_add(o, bin_path, d);
	if (!diag_errors(d))
		module_print(m, text, bin, path_base(bin_path));
	if (bin && ftell(bin) == 0)     /* nothing was large */
		outputs_drop(o, bin);
	free(bin_path);
	return !diag_errors(d);
}

static bool write_c(const Module *m, const EmitInfo *info, const char *path, Outputs *o, Diag *d)
{
	FILE *f = open_main(path, o, d);
	if (f)
		emit_c(m, info, f);
	return f != 0;
}

static bool write_llvm(const Module *m, const EmitInfo *info, LlvmForm form, const char *path, Outputs *o, Diag *d)
{
#ifdef GATEFOLD_LLVM
	void *p;
	size_t n;
	char err[1024];
	FILE *f = open_main(path, o, d);
	if (!f)
		return false;
	if (!emit_llvm(m, info, form, &p, &n, err, sizeof err)) {
		diag_error(d, "%s", err);
		return false;
	}
	fwrite(p, 1, n, f);
	free(p);
	return true;
#else
	(void)m, (void)info, (void)form, (void)o;
	diag_error(d, "-o %s: this gatefold was built without LLVM; write a .c file", path);
	return false;
#endif
}

#define LLVM_WRITER(name, form) \
	static bool name(const Module *m, const EmitInfo *info, const char *path, Outputs *o, Diag *d) \
	{ \
		return write_llvm(m, info, form, path, o, d); \
	}
LLVM_WRITER(write_object, EMIT_OBJECT)
LLVM_WRITER(write_asm, EMIT_ASM)
LLVM_WRITER(write_llvm_ir, EMIT_IR)
LLVM_WRITER(write_bitcode, EMIT_BITCODE)

static const OutputForm forms[] = {
	{".ir", false, false, false, write_ir},
	{".c",  true,  true,  false, write_c},
	{".o",  true,  true,  true,  write_object},
	{".s",  true,  false, true,  write_asm},
	{".ll", true,  false, true,  write_llvm_ir},
	{".bc", true,  false, true,  write_bitcode},
};

const OutputForm *output_form(const char *path, Diag *d)
{
	for (size_t i = 0; path && i < sizeof forms / sizeof *forms; i++)
		if (!strcmp(path_suffix(path), forms[i].suffix))
			return &forms[i];
	if (path)
		diag_error(d, "-o %s: the suffix must be one of .o .s .ll .bc .c .ir", path);
	else
		diag_error(d, "say where to write: -o OUT, with suffix .o .s .ll .bc .c or .ir");
	return 0;
}

bool output_write(const OutputForm *form, const Module *m, const EmitInfo *info, const char *path, Diag *d)
{
	Outputs *o = outputs_new();
	bool good = form->write(m, info, path, o, d);
	if (good && form->header && !is_stdout(path)) {
		char *header = text_new("%.*s%s.h", (int)(path_base(path) - path), path, m->name);
		FILE *f = outputs_add(o, header, d);
		if (f)
			emit_header(m, info, f);
		free(header);
		good = f != 0;
	}
	good = good && outputs_commit(o, d);
	outputs_free(o);
	return good;
}

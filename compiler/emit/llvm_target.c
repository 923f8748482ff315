/* llvm_target.c: what --target and --cpu mean: triple, processor, features, ABI. */
#include "emit/llvm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct { const char *name, *features; } isas[N_ISA] = {
	[ISA_BASE] = {"portable", ""},
	[ISA_AVX2] = {"avx2", "+avx2"},
	[ISA_AVX512VNNI] = {"avx512vnni", "+avx2,+avx512f,+avx512bw,+avx512vl,+avx512vnni"},
};

bool llvm_isa_find(const char *name, Isa *isa)
{
	*isa = ISA_BASE;
	if (!name)
		return true;
	for (int i = 0; i < N_ISA; i++)
		if (!strcmp(isas[i].name, name)) {
			*isa = (Isa)i;
			return true;
		}
	return false;
}

const char *llvm_isa_features(Isa isa)
{
	return isas[isa].features;
}

/* LLVM ends the process after this. */
static void on_fatal(const char *why)
{
	fprintf(stderr, "error: LLVM: %s\n", why);
}

void llvm_init(void)
{
	static bool done;
	if (done)
		return;
	done = true;
	LLVMInstallFatalErrorHandler(on_fatal);
	LLVMInitializeAllTargetInfos();
	LLVMInitializeAllTargets();
	LLVMInitializeAllTargetMCs();
	LLVMInitializeAllAsmPrinters();
	LLVMInitializeAllAsmParsers();
}

/* Processor and features where --cpu says nothing: the least that C compilers assume for the triple. */
static const struct { const char *arch, *cpu, *features; } defaults[] = {
	{"x86_64", "x86-64", ""},
	{"i386", "pentium4", ""}, {"i486", "pentium4", ""}, {"i586", "pentium4", ""},
	{"i686", "pentium4", ""},       /* with SSE2: the x87 registers would round twice */
	{"thumbv6m", "cortex-m0", ""},
	{"thumbv7m", "cortex-m3", ""},
	{"thumbv7em", "cortex-m4", ""},
	{"thumbv8m.base", "cortex-m23", ""},
	{"thumbv8m.main", "cortex-m33", ""},
	{"thumbv8.1m.main", "cortex-m55", ""},
	{"riscv32", "generic-rv32", "+m,+a,+c"},
	{"riscv64", "generic-rv64", "+m,+a,+c"},
	{"avr", "atmega328p", ""},
	{"powerpc64le", "ppc64le", ""},
	{"systemz", "z10", ""}, {"s390x", "z10", ""},
	{"loongarch64", "generic-la64", "+d"},
	{"aarch64", "generic", ""}, {"arm64", "generic", ""},
};

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static bool is_arch(const char *triple, const char *arch)
{
	size_t n = strlen(arch);
	return starts(triple, arch) && (triple[n] == '-' || !triple[n]);
}

static void add_features(LlvmTarget *t, const char *more)
{
	size_t n = strlen(t->features);
	snprintf(t->features + n, sizeof t->features - n, "%s%s", n && *more ? "," : "", more);
}

static void find_cpu(LlvmTarget *t, const char *cpu)
{
	if (cpu && *cpu) {
		const char *comma = strchr(cpu, ',');
		snprintf(t->cpu, sizeof t->cpu, "%.*s", comma ? (int)(comma - cpu) : (int)strlen(cpu), cpu);
		add_features(t, comma ? comma + 1 : "");
		return;
	}
	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (is_arch(t->triple, defaults[i].arch)) {
			snprintf(t->cpu, sizeof t->cpu, "%s", defaults[i].cpu);
			add_features(t, defaults[i].features);
			if (t->pic && is_arch(t->triple, "riscv64"))
				add_features(t, "+f,+d");
			return;
		}
}

/* LLVM ignores a processor or feature it does not know, with a line on stderr only.  We refuse it: what is
 * written there while the target machine is made is kept in `said`. */
static void make_and_listen(const LlvmTarget *t, char *said, size_t n)
{
	FILE *f = tmpfile();
	int keep = f ? dup(STDERR_FILENO) : -1;
	said[0] = 0;
	if (keep < 0)
		return;
	fflush(stderr);
	dup2(fileno(f), STDERR_FILENO);
	LLVMTargetMachineRef tm = llvm_target_machine(t);
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	close(keep);
	if (tm)
		LLVMDisposeTargetMachine(tm);
	rewind(f);
	said[fread(said, 1, n - 1, f)] = 0;
	fclose(f);
}

static bool cpu_exists(const LlvmTarget *t, const char *cpu, char *err, size_t nerr)
{
	char said[300];
	make_and_listen(t, said, sizeof said);
	if (!strstr(said, "is not a recognized"))
		return true;
	snprintf(err, nerr, "target %s has no processor or feature '%s': %.*s", t->triple, cpu,
	         (int)strcspn(said, "("), said);
	return false;
}

bool llvm_target_find(LlvmTarget *t, const char *triple, const char *cpu, bool floats, char *err,
                      size_t nerr)
{
	static const char *const hosted[] = {"linux", "bsd", "darwin", "macos", "android"};
	static const char *const wide_results[] = {"riscv64", "powerpc64", "powerpc64le", "s390x", "mips64",
		"mips64el", "loongarch64", "sparcv9"};
	static const char *const scalar_arm[] = {"thumbv6m", "thumbv7m", "thumbv7em", "thumbv8m"};
	llvm_init();
	*t = (LlvmTarget){.x86_64 = false};
	/* LLVM misreads the parts of a triple that is not in its normal form (eabihf as the system, say). */
	char *normal = triple ? LLVMNormalizeTargetTriple(triple) : LLVMGetDefaultTargetTriple(), *why = 0;
	snprintf(t->triple, sizeof t->triple, "%s", normal);
	LLVMDisposeMessage(normal);
	LLVMTargetRef target;
	if (LLVMGetTargetFromTriple(t->triple, &target, &why)) {
		snprintf(err, nerr, "target '%s' is unknown: %s", triple ? triple : t->triple, why);
		LLVMDisposeMessage(why);
		return false;
	}
	for (size_t i = 0; i < sizeof hosted / sizeof *hosted; i++)
		t->pic |= strstr(t->triple, hosted[i]) != 0;
	find_cpu(t, cpu);
	t->x86_64 = is_arch(t->triple, "x86_64");
	for (size_t i = 0; i < sizeof wide_results / sizeof *wide_results; i++)
		t->sign_extend |= is_arch(t->triple, wide_results[i]);
	bool m_profile = false;         /* Cortex-M without vectors */
	for (size_t i = 0; i < sizeof scalar_arm / sizeof *scalar_arm; i++)
		m_profile |= starts(t->triple, scalar_arm[i]);
	t->no_fp_regs = m_profile && !floats;
	bool soft = !strstr(t->triple, "eabihf");
	if (m_profile && soft)          /* the core may be one without a floating point unit */
		add_features(t, "-fpregs");
	return !cpu || cpu_exists(t, cpu, err, nerr);
}

/* The ABI's name where the triple alone does not say it (RISC-V: are floats passed in floats' registers?). */
static const char *abi(const LlvmTarget *t)
{
	bool floats = strstr(t->features, "+d") != 0;
	if (is_arch(t->triple, "riscv32"))
		return floats ? "ilp32d" : "ilp32";
	if (is_arch(t->triple, "riscv64"))
		return floats ? "lp64d" : "lp64";
	return "";
}

LLVMTargetMachineRef llvm_target_machine(const LlvmTarget *t)
{
	LLVMTargetRef target;
	if (LLVMGetTargetFromTriple(t->triple, &target, 0))
		return 0;
	LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
	LLVMTargetMachineOptionsSetCPU(o, t->cpu);
	LLVMTargetMachineOptionsSetFeatures(o, t->features);
	LLVMTargetMachineOptionsSetABI(o, abi(t));
	LLVMTargetMachineOptionsSetCodeGenOptLevel(o, LLVMCodeGenLevelDefault);
	LLVMTargetMachineOptionsSetRelocMode(o, t->pic ? LLVMRelocPIC : LLVMRelocStatic);
	LLVMTargetMachineRef tm = LLVMCreateTargetMachineWithOptions(target, t->triple, o);
	LLVMDisposeTargetMachineOptions(o);
	return tm;
}

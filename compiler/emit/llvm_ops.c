/* llvm_ops.c: the rows of ops.def in LLVM: the table's LLVM column is compiled here.
 *
 * The column's words (SX16, SEL, DP4, ...) are the macros and functions of this file.  They work for any
 * number of lanes; one lane is a plain scalar in LLVM.  Rows that mix lanes take the x86 instruction that
 * does just that where the function's instruction set has it for this width; everywhere else they are
 * spelled out, and mean the same. */
#include "emit/llvm.h"

#include <string.h>

static int lanes_of(LLVMValueRef v)
{
	LLVMTypeRef t = LLVMTypeOf(v);
	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t) : 1;
}

static LLVMTypeRef class_type(Llvm *e, char klass, int lanes)
{
	switch (klass) {
	case 'b': return llvm_lanes(e->i8, lanes);
	case 'h': return llvm_lanes(e->i16, lanes);
	case 'w': return llvm_lanes(e->i32, lanes);
	case 'l': return llvm_lanes(e->i64, lanes);
	}
	return llvm_lanes(e->f32, lanes);
}

static LLVMValueRef extend(Llvm *e, LLVMValueRef v, char klass)
{
	return LLVMBuildSExt(e->b, v, class_type(e, klass, lanes_of(v)), "");
}

static LLVMValueRef zero_extend(Llvm *e, LLVMValueRef v, char klass)
{
	return LLVMBuildZExt(e->b, v, class_type(e, klass, lanes_of(v)), "");
}

static LLVMValueRef trunc_to(Llvm *e, LLVMValueRef v, char klass)
{
	return LLVMBuildTrunc(e->b, v, class_type(e, klass, lanes_of(v)), "");
}

static LLVMValueRef mask(Llvm *e, LLVMValueRef v, int64_t bits)
{
	return LLVMBuildAnd(e->b, v, llvm_int(LLVMTypeOf(v), bits), "");
}

static LLVMValueRef is_zero(Llvm *e, LLVMValueRef v)
{
	return LLVMBuildICmp(e->b, LLVMIntEQ, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

static LLVMValueRef unsigned_divide(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	LLVMTypeRef t = LLVMTypeOf(b);
	LLVMValueRef none = is_zero(e, b);
	LLVMValueRef safe = LLVMBuildSelect(e->b, none, llvm_int(t, 1), b, "");
	return LLVMBuildSelect(e->b, none, llvm_int(t, -1), LLVMBuildUDiv(e->b, a, safe, ""), "");
}

static LLVMValueRef float_to_int(Llvm *e, LLVMValueRef a)
{
	return llvm_intrinsic(e, "llvm.fptosi.sat", class_type(e, 'w', lanes_of(a)), LLVMTypeOf(a), 1, &a);
}

static LLVMValueRef absolute(Llvm *e, LLVMValueRef a)
{
	LLVMValueRef arg[] = {a, LLVMConstInt(e->i1, 0, 0)};     /* 0: the least value stays as it is */
	return llvm_intrinsic(e, "llvm.abs", LLVMTypeOf(a), 0, 2, arg);
}

/* Lanes at, at + step, ... of v: n of them. */
static LLVMValueRef pick(Llvm *e, LLVMValueRef v, int at, int step, int n)
{
	LLVMValueRef lane[64];
	if (n == 1)
		return LLVMBuildExtractElement(e->b, v, llvm_int(e->i32, at), "");
	for (int j = 0; j < n; j++)
		lane[j] = llvm_int(e->i32, at + j * step);
	LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(v));
	return LLVMBuildShuffleVector(e->b, v, none, LLVMConstVector(lane, (unsigned)n), "");
}

static LLVMValueRef half(Llvm *e, LLVMValueRef v, int which)
{
	int n = lanes_of(v) / 2;
	return pick(e, v, which * n, 1, n);
}

/* The bits of v as lanes of another class.  The table numbers the parts of a lane from its low end. */
static LLVMValueRef recast(Llvm *e, LLVMValueRef v, char klass)
{
	static const char size[] = {['b'] = 1, ['h'] = 2, ['w'] = 4, ['s'] = 4, ['l'] = 8};
	int parts = 4 / size[(int)klass];
	if (e->big_endian && parts == 4)
		v = llvm_intrinsic(e, "llvm.bswap", LLVMTypeOf(v), 0, 1, &v);
	if (e->big_endian && parts == 2) {
		LLVMValueRef arg[] = {v, v, llvm_int(LLVMTypeOf(v), 16)};
		v = llvm_intrinsic(e, "llvm.fshl", LLVMTypeOf(v), 0, 3, arg);
	}
	return LLVMBuildBitCast(e->b, v, class_type(e, klass, lanes_of(v) * parts), "");
}

/* Halfwords as twice as many bytes, or back, the low byte first on every machine. */
static LLVMValueRef relane(Llvm *e, LLVMValueRef v, char klass)
{
	int n = lanes_of(v);
	LLVMTypeRef h = class_type(e, 'h', klass == 'b' ? n : n / 2);
	LLVMValueRef eight = llvm_int(h, 8);
	if (klass == 'h')
		v = LLVMBuildBitCast(e->b, v, h, "");
	if (e->big_endian) {
		LLVMValueRef arg[] = {v, v, eight};
		v = llvm_intrinsic(e, "llvm.fshl", h, 0, 3, arg);
	}
	return klass == 'b' ? LLVMBuildBitCast(e->b, v, class_type(e, 'b', 2 * n), "") : v;
}

/* Halfwords out of n low bytes and, behind them, n high bytes. */
static LLVMValueRef zip_bytes(Llvm *e, LLVMValueRef v)
{
	int n = lanes_of(v) / 2;
	LLVMValueRef lane[64];
	for (int j = 0; j < n; j++) {
		lane[2 * j] = llvm_int(e->i32, j);
		lane[2 * j + 1] = llvm_int(e->i32, j + n);
	}
	v = LLVMBuildShuffleVector(e->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(lane, (unsigned)(2 * n)), "");
	return relane(e, v, 'h');
}

/* v, times times over.  Four bytes go as one word: x86 broadcasts that from memory in one instruction. */
static LLVMValueRef repeat(Llvm *e, LLVMValueRef v, int times)
{
	int n = lanes_of(v), total = n * times;
	LLVMValueRef lane[64], from = v;
	bool word = n == 4;
	if (word)
		from = LLVMBuildInsertElement(e->b, LLVMGetPoison(LLVMVectorType(e->i32, 1)),
			LLVMBuildBitCast(e->b, v, e->i32, ""), llvm_int(e->i32, 0), "");
	int lanes = word ? times : total;
	for (int j = 0; j < lanes; j++)
		lane[j] = llvm_int(e->i32, word ? 0 : j % n);
	LLVMValueRef r = LLVMBuildShuffleVector(e->b, from, LLVMGetPoison(LLVMTypeOf(from)),
		LLVMConstVector(lane, (unsigned)lanes), "");
	return word ? LLVMBuildBitCast(e->b, r, class_type(e, 'b', total), "") : r;
}

/* ---- instructions of x86 ---------------------------------------------------------------------- */

/* The instruction for results of 128, 256 and 512 bits, and what a function must have for it. */
typedef struct { const char *name[3]; Isa isa[3]; } X86;
static const X86 x86_dp4 = {
	{"llvm.x86.avx512.vpdpbusd.128", "llvm.x86.avx512.vpdpbusd.256", "llvm.x86.avx512.vpdpbusd.512"},
	{ISA_AVX512VNNI, ISA_AVX512VNNI, ISA_AVX512VNNI},
};
static const X86 x86_madub = {
	{"llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx512.pmaddubs.w.512"},
	{ISA_AVX2, ISA_AVX2, ISA_AVX512VNNI},
};
static const X86 x86_madw = {
	{"llvm.x86.sse2.pmadd.wd", "llvm.x86.avx2.pmadd.wd", "llvm.x86.avx512.pmaddw.d.512"},
	{ISA_AVX2, ISA_AVX2, ISA_AVX512VNNI},
};
static const X86 x86_signb = {
	{"llvm.x86.ssse3.psign.b.128", "llvm.x86.avx2.psign.b", 0},
	{ISA_AVX2, ISA_AVX2, N_ISA},
};
static const X86 x86_mulhrs = {
	{"llvm.x86.ssse3.pmul.hr.sw.128", "llvm.x86.avx2.pmul.hr.sw", "llvm.x86.avx512.pmul.hr.sw.512"},
	{ISA_AVX2, ISA_AVX2, ISA_AVX512VNNI},
};

/* 0 where the current function may not use it. */
static LLVMValueRef x86(Llvm *e, const X86 *op, int result_bytes, int n, LLVMValueRef *arg)
{
	int size = result_bytes == 16 ? 0 : result_bytes == 32 ? 1 : result_bytes == 64 ? 2 : -1;
	if (size < 0 || !op->name[size] || e->isa < op->isa[size])
		return 0;
	return llvm_intrinsic(e, op->name[size], 0, 0, n, arg);
}

static const X86 x86_shufb = {{"llvm.x86.ssse3.pshuf.b.128", "llvm.x86.avx2.pshuf.b", "llvm.x86.avx512.pshuf.b.512"},
	{ISA_AVX2, ISA_AVX2, ISA_AVX512VNNI}};
static const X86 x86_perm2h = {{"llvm.x86.avx512.vpermi2var.hi.128", "llvm.x86.avx512.vpermi2var.hi.256", "llvm.x86.avx512.vpermi2var.hi.512"},
	{ISA_AVX512VNNI, ISA_AVX512VNNI, ISA_AVX512VNNI}};

/* Lane by lane: table[from + index & mask], for machines without the instruction. */
static LLVMValueRef look_up(Llvm *e, LLVMValueRef table, LLVMValueRef index, int mask, bool by16)
{
	int n = lanes_of(index);
	LLVMValueRef r = LLVMGetPoison(LLVMTypeOf(index));
	for (int j = 0; j < n; j++) {
		LLVMValueRef i = LLVMBuildExtractElement(e->b, index, llvm_int(e->i32, j), "");
		i = LLVMBuildAnd(e->b, LLVMBuildZExt(e->b, i, e->i32, ""), llvm_int(e->i32, mask), "");
		if (by16)
			i = LLVMBuildAdd(e->b, i, llvm_int(e->i32, j & ~15), "");
		LLVMValueRef v = LLVMBuildExtractElement(e->b, table, i, "");
		r = LLVMBuildInsertElement(e->b, r, v, llvm_int(e->i32, j), "");
	}
	return r;
}

static LLVMValueRef shufb(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef v = x86(e, &x86_shufb, lanes_of(a), 2, (LLVMValueRef[]){a, b});
	if (v)
		return v;
	LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(b));
	return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, b, zero, ""), zero,
		look_up(e, a, b, 15 & (lanes_of(a) - 1), true), "");
}

static LLVMValueRef perm2h(Llvm *e, LLVMValueRef index, LLVMValueRef lo, LLVMValueRef hi)
{
	int n = lanes_of(index);
	LLVMValueRef v = x86(e, &x86_perm2h, 2 * n, 3, (LLVMValueRef[]){lo, index, hi}), lane[64];
	if (v)
		return v;
	for (int j = 0; j < 2 * n; j++)
		lane[j] = llvm_int(e->i32, j);
	v = LLVMBuildShuffleVector(e->b, lo, hi, LLVMConstVector(lane, (unsigned)(2 * n)), "");
	return look_up(e, v, index, 2 * n - 1, false);
}

static LLVMValueRef dp4(Llvm *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
	int n = lanes_of(a);
	LLVMValueRef v = x86(e, &x86_dp4, 4 * n, 3, (LLVMValueRef[]){a, b, c});
	if (v)
		return v;
	v = a;
	for (int i = 0; i < 4; i++) {
		LLVMValueRef x = zero_extend(e, pick(e, b, i, 4, n), 'w');
		LLVMValueRef y = extend(e, pick(e, c, i, 4, n), 'w');
		v = LLVMBuildAdd(e->b, v, LLVMBuildMul(e->b, x, y, ""), "");
	}
	return v;
}

static LLVMValueRef clamp(Llvm *e, LLVMValueRef v, int64_t lo, int64_t hi)
{
	LLVMTypeRef t = LLVMTypeOf(v);
	v = llvm_intrinsic(e, "llvm.smax", t, 0, 2, (LLVMValueRef[]){v, llvm_int(t, lo)});
	return llvm_intrinsic(e, "llvm.smin", t, 0, 2, (LLVMValueRef[]){v, llvm_int(t, hi)});
}

static LLVMValueRef madub(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	int n = lanes_of(a) / 2;
	LLVMValueRef v = x86(e, &x86_madub, 2 * n, 2, (LLVMValueRef[]){a, b}), part[2];
	if (v)
		return v;
	for (int i = 0; i < 2; i++)
		part[i] = LLVMBuildMul(e->b, zero_extend(e, pick(e, a, i, 2, n), 'w'),
		                       extend(e, pick(e, b, i, 2, n), 'w'), "");
	return trunc_to(e, clamp(e, LLVMBuildAdd(e->b, part[0], part[1], ""), -32768, 32767), 'h');
}

static LLVMValueRef madw(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	int n = lanes_of(a) / 2;
	LLVMValueRef v = x86(e, &x86_madw, 4 * n, 2, (LLVMValueRef[]){a, b}), part[2];
	if (v)
		return v;
	for (int i = 0; i < 2; i++)
		part[i] = LLVMBuildMul(e->b, extend(e, pick(e, a, i, 2, n), 'w'),
		                       extend(e, pick(e, b, i, 2, n), 'w'), "");
	return LLVMBuildAdd(e->b, part[0], part[1], "");
}

static LLVMValueRef signb(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef v = x86(e, &x86_signb, lanes_of(a), 2, (LLVMValueRef[]){a, b});
	if (v)
		return v;
	LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(b));
	v = LLVMBuildSelect(e->b, is_zero(e, b), zero, a, "");
	LLVMValueRef negative = LLVMBuildICmp(e->b, LLVMIntSLT, b, zero, "");
	return LLVMBuildSelect(e->b, negative, LLVMBuildNeg(e->b, a, ""), v, "");
}

static LLVMValueRef mulhrs(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef v = x86(e, &x86_mulhrs, 2 * lanes_of(a), 2, (LLVMValueRef[]){a, b});
	if (v)
		return v;
	v = LLVMBuildMul(e->b, extend(e, a, 'w'), extend(e, b, 'w'), "");
	LLVMTypeRef t = LLVMTypeOf(v);
	v = LLVMBuildAShr(e->b, LLVMBuildAdd(e->b, v, llvm_int(t, 16384), ""), llvm_int(t, 15), "");
	return trunc_to(e, v, 'h');
}

/* x86 without AVX2 has no shift by another amount for each lane; where LLVM's vectorizers make one of scalar
 * shifts, its code generator builds the powers of two as floats (pslld 23, cvttps2dq).  Integer models hold
 * no float instruction, so such a shift stays scalar: its result passes an empty assembler text, which no
 * vectorizer takes along. */
static LLVMValueRef shift_left(Llvm *e, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef v = LLVMBuildShl(e->b, a, mask(e, b, 31), "");
	const char *triple = e->target->triple;
	bool x86 = e->target->x86_64 || (triple[0] == 'i' && !strncmp(triple + 2, "86", 2));
	if (!x86 || e->isa != ISA_BASE || LLVMTypeOf(v) != e->i32 || LLVMIsConstant(b))
		return v;
	char constraints[] = "=r,0";
	LLVMTypeRef t = LLVMFunctionType(e->i32, &e->i32, 1, 0);
	LLVMValueRef nothing = LLVMGetInlineAsm(t, "", 0, constraints, strlen(constraints), 0, 0,
	                                        LLVMInlineAsmDialectATT, 0);
	return LLVMBuildCall2(e->b, t, nothing, &v, 1, "");
}

/* ---- the table -------------------------------------------------------------------------------- */

#define B               e->b
#define AND(v, k)       mask(e, v, k)
#define SX16(v)         extend(e, trunc_to(e, v, 'h'), 'w')
#define SXL(v)          extend(e, v, 'l')
#define SEXT(v, class)  extend(e, v, #class[0])
#define TRUNCW(v)       trunc_to(e, v, 'w')
#define BITCAST(v, class) recast(e, v, #class[0])
#define DIVU(a, b)      unsigned_divide(e, a, b)
#define CMP(p, a, b)    LLVMBuildICmp(B, LLVMInt##p, a, b, "")
#define FCMP(p, a, b)   LLVMBuildFCmp(B, LLVMReal##p, a, b, "")
#define SEL(c, a, b)    LLVMBuildSelect(B, c, a, b, "")
#define BOOL(c)         zero_extend(e, c, 'w')
#define TRUE(v)         LLVMBuildICmp(B, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "")
#define ITOF(v)         LLVMBuildSIToFP(B, v, class_type(e, 's', lanes_of(v)), "")
#define FTOI(v)         float_to_int(e, v)
#define SHLW(a, b)      shift_left(e, a, b)
#define SHRB(a, b)      LLVMBuildLShr(B, a, trunc_to(e, AND(b, 7), 'b'), "")
#define SARH(a, b)      LLVMBuildAShr(B, a, trunc_to(e, AND(b, 15), 'h'), "")
#define ABSB(v)         absolute(e, v)
#define SIGNB(a, b)     signb(e, a, b)
#define MULHRS(a, b)    mulhrs(e, a, b)
#define DP4(a, b, c)    dp4(e, a, b, c)
#define MADUB(a, b)     madub(e, a, b)
#define MADW(a, b)      madw(e, a, b)
#define NEGATIVE(v)     LLVMBuildICmp(B, LLVMIntSLT, v, LLVMConstNull(LLVMTypeOf(v)), "")
#define TRUNCH(v)       trunc_to(e, v, 'h')
#define RELANE(v, class) relane(e, v, #class[0])
#define SHUFB(a, b)     shufb(e, a, b)
#define PERM2H(a, b, c) perm2h(e, a, b, c)
#define ZIPBH(v)        zip_bytes(e, v)
#define REPEAT(v, times) repeat(e, v, times)
#define HALF(v, which)  half(e, v, which)

LLVMValueRef llvm_row(Llvm *e, const Op *o, const LLVMValueRef *in)
{
	const OpInfo *info = &op_info[o->kind];
	LLVMValueRef v[3] = {0, 0, 0};
	for (int i = 0; i < o->nin && i < 3; i++) {
		bool splat = info->klass == OC_SCALAR && o->in[i]->type->lanes == 1;
		v[i] = splat ? llvm_splat(e, in[i], o->out[0]->type->lanes) : in[i];
	}
	LLVMValueRef a = v[0], b = v[1], c = v[2];
	switch (o->kind) {
#define SCALAR(name, r, x, y, z, meaning, llvm)                         case O_##name: return llvm;
#define VECTOR(name, r, nr, x, nx, y, ny, z, nz, meaning, llvm)         case O_##name: return llvm;
#include "ir/ops.def"
	}
	llvm_fail(e, "%s is no op of the loop level", info->name);
	return LLVMGetPoison(llvm_type(e, o->out[0]->type));
}

/* llvm_mem.c: references, loads and stores in LLVM.
 *
 * A reference is a pointer; a subscript is one row-major element number, computed as wide as a pointer.
 * Data are private constants with the bytes in the target's order; in the JIT they stay where the compiler
 * has them, at a constant address. */
#include "emit/llvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of dimension d; the steps are the function's last parameter. */
static LLVMValueRef dim(Llvm *e, int32_t d)
{
	if (d != DIM_T)
		return llvm_int(e->word, d);
	LLVMValueRef t = e->val[e->f->param[e->f->nparam - 1]->id];
	return LLVMBuildIntCast2(e->b, t, e->word, 1, "");
}

static LLVMValueRef arith(Llvm *e, LLVMOpcode op, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef v = LLVMBuildBinOp(e->b, op, a, b, "");
	if (LLVMIsAInstruction(v) && LLVMGetIntTypeWidth(e->word) > 16)
		LLVMSetNSW(v, 1);       /* an element number is less than the bytes of memory */
	return v;
}

/* An index as wide as a pointer.  `bounded`: known to be at least 0. */
static LLVMValueRef widen(Llvm *e, LLVMValueRef i, bool bounded)
{
	bool zero = bounded && LLVMGetIntTypeWidth(e->word) > 32;
	i = LLVMBuildIntCast2(e->b, i, e->word, !zero, "");
	if (zero && LLVMIsAZExtInst(i))
		LLVMSetNNeg(i, 1);
	return i;
}

/* Address of the element of `ref` at idx[0..n); missing indices are 0.  `bounded`: each index is known to be
 * at least 0, as those of loads and stores are. */
static LLVMValueRef address(Llvm *e, const Val *ref, Val *const *idx, int n, bool bounded)
{
	const Type *t = ref->type;
	LLVMValueRef base = llvm_value(e, ref), at = llvm_int(e->word, 0);
	bool zero = true;
	for (int d = 0; d < t->rank; d++) {
		if (!zero)
			at = arith(e, LLVMMul, at, dim(e, t->dim[d]));
		if (d >= n || (is_literal(idx[d]) && idx[d]->lit.i == 0))
			continue;
		LLVMValueRef i = widen(e, llvm_value(e, idx[d]), bounded);
		at = zero ? i : arith(e, LLVMAdd, at, i);
		zero = false;
	}
	return zero ? base : LLVMBuildInBoundsGEP2(e->b, llvm_elem(e, t->elem), base, &at, 1, "");
}

/* Loads claim no more than an element's alignment: a view may start anywhere.  x86 does not ask even for
 * that, and a view of bytes as wider elements may not keep it there. */
static unsigned alignment(const Llvm *e, const Type *t)
{
	return e->target->x86_64 ? 1 : (unsigned)elem_size(t->elem);
}

static LLVMValueRef load_at(Llvm *e, const Op *o, LLVMTypeRef t, LLVMValueRef p)
{
	LLVMValueRef v = LLVMBuildLoad2(e->b, t, p, "");
	LLVMSetAlignment(v, alignment(e, o->in[0]->type));
	if (o->in[0]->data) {
		unsigned kind = LLVMGetMDKindIDInContext(e->ctx, "invariant.load", 14);
		LLVMSetMetadata(v, kind, LLVMMetadataAsValue(e->ctx, LLVMMDNodeInContext2(e->ctx, 0, 0)));
	}
	return v;
}

/* ---- gather and scatter: the last index has several lanes ------------------------------------- */

/* AVX-512 gathers elements of 32 and 64 bits.  So does AVX2, but loads one by one take no longer there, and
 * on processors with the fix for Downfall far less. */
static bool has_gather(const Llvm *e, const Type *t)
{
	return e->isa == ISA_AVX512VNNI && elem_size(t->elem) >= 4;
}

static LLVMValueRef lane_address(Llvm *e, const Type *t, LLVMValueRef row, LLVMValueRef index, int lane)
{
	LLVMValueRef i = widen(e, LLVMBuildExtractElement(e->b, index, llvm_int(e->i32, lane), ""), true);
	return LLVMBuildInBoundsGEP2(e->b, llvm_elem(e, t->elem), row, &i, 1, "");
}

static LLVMValueRef gather(Llvm *e, const Op *o, LLVMTypeRef memory)
{
	const Type *t = o->in[0]->type;
	const Val *last = o->in[o->nin - 1];
	int lanes = last->type->lanes;
	LLVMValueRef row = address(e, o->in[0], o->in + 1, o->nin - 2, true);
	LLVMValueRef index = llvm_value(e, last), v = LLVMGetPoison(memory);
	if (has_gather(e, t)) {
		LLVMValueRef p = LLVMBuildInBoundsGEP2(e->b, llvm_elem(e, t->elem), row, &index, 1, "");
		LLVMValueRef all = llvm_int(llvm_lanes(e->i1, lanes), 1);
		LLVMValueRef arg[] = {p, llvm_int(e->i32, alignment(e, t)), all, v};
		return llvm_intrinsic(e, "llvm.masked.gather", memory, LLVMTypeOf(p), 4, arg);
	}
	for (int j = 0; j < lanes; j++) {
		LLVMValueRef p = lane_address(e, t, row, index, j);
		LLVMValueRef one = load_at(e, o, llvm_elem(e, t->elem), p);
		v = LLVMBuildInsertElement(e->b, v, one, llvm_int(e->i32, j), "");
	}
	return v;
}

static void scatter(Llvm *e, const Op *o, LLVMValueRef v)
{
	const Type *t = o->in[0]->type;
	const Val *last = o->in[o->nin - 1];
	LLVMValueRef row = address(e, o->in[0], o->in + 2, o->nin - 3, true);
	for (int j = 0; j < last->type->lanes; j++) {
		LLVMValueRef p = lane_address(e, t, row, llvm_value(e, last), j);
		LLVMValueRef one = LLVMBuildExtractElement(e->b, v, llvm_int(e->i32, j), "");
		LLVMSetAlignment(LLVMBuildStore(e->b, one, p), alignment(e, t));
	}
}

/* ---- load, store, view ------------------------------------------------------------------------ */

static bool indexed_by_lanes(const Op *o, int first)
{
	return o->nin > first && o->in[o->nin - 1]->type->lanes > 1;
}

LLVMValueRef llvm_load(Llvm *e, const Op *o)
{
	const Type *t = o->in[0]->type, *reg = o->out[0]->type;
	LLVMTypeRef memory = llvm_lanes(llvm_elem(e, t->elem), reg->lanes), want = llvm_type(e, reg);
	LLVMValueRef v;
	if (indexed_by_lanes(o, 1))
		v = gather(e, o, memory);
	else
		v = load_at(e, o, memory, address(e, o->in[0], o->in + 1, o->nin - 1, true));
	if (memory == want)
		return v;
	return LLVMBuildIntCast2(e->b, v, want, elem_is_signed(elem_stored(t->elem)), "");
}

void llvm_store(Llvm *e, const Op *o)
{
	const Type *t = o->in[0]->type, *reg = o->in[1]->type;
	int lanes = reg->lanes;
	LLVMValueRef v = llvm_value(e, o->in[1]);
	if (indexed_by_lanes(o, 2) && lanes == 1) {
		lanes = o->in[o->nin - 1]->type->lanes;
		v = llvm_splat(e, v, lanes);
	}
	LLVMTypeRef memory = llvm_lanes(llvm_elem(e, t->elem), lanes);
	if (LLVMTypeOf(v) != memory)
		v = LLVMBuildIntCast2(e->b, v, memory, 1, "");
	if (indexed_by_lanes(o, 2)) {
		scatter(e, o, v);
		return;
	}
	LLVMValueRef p = address(e, o->in[0], o->in + 2, o->nin - 2, true);
	LLVMSetAlignment(LLVMBuildStore(e->b, v, p), alignment(e, t));
}

LLVMValueRef llvm_view(Llvm *e, const Op *o)
{
	return address(e, o->in[0], o->in + 1, o->nin - 1, false);
}

/* ---- data ------------------------------------------------------------------------------------- */

static unsigned data_alignment(const Llvm *e, const Data *d)
{
	unsigned own = (unsigned)elem_size(d->type->elem);
	if (e->target->x86_64)
		return d->size >= 64 ? 64 : 16;
	return LLVMGetIntTypeWidth(e->word) > 16 && own < 4 ? 4 : own;
}

/* The bytes in the target's order, as one string constant: LLVM keeps those as they are, however many. */
static LLVMValueRef data_bytes(Llvm *e, const Data *d)
{
	size_t size = (size_t)elem_size(d->type->elem);
	if (!e->big_endian || size == 1)
		return LLVMConstStringInContext(e->ctx, d->bytes, (unsigned)d->size, 1);
	char *swapped = malloc(d->size + 1);
	for (size_t i = 0; i < d->size; i++)
		swapped[i] = ((const char *)d->bytes)[i / size * size + (size - 1 - i % size)];
	LLVMValueRef v = LLVMConstStringInContext(e->ctx, swapped, (unsigned)d->size, 1);
	free(swapped);
	return v;
}

LLVMValueRef llvm_data(Llvm *e, const Data *d)
{
	char name[256];
	if (e->in_place)
		return LLVMConstIntToPtr(llvm_int(e->word, (int64_t)(intptr_t)d->bytes), e->ptr);
	snprintf(name, sizeof name, "%s.data.%s", e->m->name, d->name);
	LLVMValueRef g = LLVMGetNamedGlobal(e->mod, name);
	if (g)
		return g;
	LLVMValueRef bytes = data_bytes(e, d);
	g = LLVMAddGlobal(e->mod, LLVMTypeOf(bytes), name);
	LLVMSetInitializer(g, bytes);
	LLVMSetLinkage(g, LLVMInternalLinkage);
	LLVMSetGlobalConstant(g, 1);
	LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
	LLVMSetAlignment(g, data_alignment(e, d));
	return g;
}

/* wire.c: is a file's protobuf encoding sound?  protobuf-c unpacks nested messages by recursion, so nesting
 * is checked before, with a stack of our own.  Singular messages that come twice would be merged, which takes
 * time quadratic in the file's size; no exporter writes them, so they are refused. */
#include "onnx/model.h"

#include <stdio.h>

enum { MAX_NESTING = 100 };

typedef struct {
	const ProtobufCMessageDescriptor *type;
	const uint8_t *end;
	uint64_t seen;          /* bit per field number: singular messages met so far */
} Frame;

/* A number of up to ten bytes; false at the end of the bytes. */
static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (int shift = 0; shift < 70 && *p < end; shift += 7) {
		uint8_t byte = *(*p)++;
		if (shift < 64)
			*v |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return true;
	}
	return false;
}

/* The bytes of the next field's value. */
static bool field_size(const uint8_t **p, const uint8_t *end, unsigned wire, uint64_t *n)
{
	const uint8_t *at = *p;
	switch (wire) {
	case 0:
		*n = 0;
		uint64_t ignored;
		return read_varint(p, end, &ignored);
	case 1: *n = 8; break;
	case 2:
		if (!read_varint(p, end, n))
			return false;
		at = *p;
		break;
	case 5: *n = 4; break;
	default: return false;          /* groups and unknown forms */
	}
	return *n <= (uint64_t)(end - at);
}

bool wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n, char *err,
		size_t nerr)
{
	Frame stack[MAX_NESTING];
	int depth = 0;
	const uint8_t *p = bytes;
	stack[0] = (Frame){ type, bytes + n, 0 };
	while (depth >= 0) {
		Frame *f = &stack[depth];
		if (p == f->end) {
			depth--;
			continue;
		}
		uint64_t tag, size;
		const uint8_t *start = p;
		if (!read_varint(&p, f->end, &tag) || tag >> 3 == 0 || tag > UINT32_MAX
		    || !field_size(&p, f->end, tag & 7, &size)) {
			snprintf(err, nerr, "damaged or truncated at byte %zu of %zu",
				 (size_t)(start - bytes), n);
			return false;
		}
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field(f->type, (unsigned)(tag >> 3));
		if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE || (tag & 7) != 2) {
			p += size;
			continue;
		}
		if (field->label != PROTOBUF_C_LABEL_REPEATED && field->id < 64) {
			if (f->seen >> field->id & 1) {
				snprintf(err, nerr, "%s.%s comes twice (byte %zu)", f->type->short_name,
					 field->name, (size_t)(start - bytes));
				return false;
			}
			f->seen |= (uint64_t)1 << field->id;
		}
		if (++depth == MAX_NESTING) {
			snprintf(err, nerr, "nested more than %d levels deep (byte %zu)", MAX_NESTING,
				 (size_t)(start - bytes));
			return false;
		}
		stack[depth] = (Frame){ field->descriptor, p + size, 0 };
	}
	return true;
}

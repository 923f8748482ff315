/* sensitivity.c: round one weight tensor at a time and see what the outputs say. */
#include "driver/sensitivity.h"
#include "driver/format.h"
#include "passes/formats.h"
#include "passes/passes.h"
#include "passes/widths.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int measured[] = {2, 3, 4, 6, 8};
enum { NMEASURED = sizeof measured / sizeof *measured };

/* ---- what is measured --------------------------------------------------------------------------- */

static const Data *weights_of(const Op *o)
{
	int i = o->kind == O_linear || o->kind == O_conv ? 1 : o->kind == O_gather ? 0 : -1;
	const Data *w = i >= 0 && o->in[i] ? o->in[i]->data : 0;
	return w && w->type->elem == E_f32 && w->type->rank == 2 ? w : 0;
}

static void add(Sensitivity *s, const Data *w, char gate, int32_t from, int32_t rows)
{
	for (int i = 0; i < s->n; i++)
		if (s->tensor[i].data == w && s->tensor[i].from == from && s->tensor[i].rows == rows)
			return;
	const char *name = gate ? arena_printf(s->m->arena, "%s:%c", w->name, gate) : w->name;
	s->tensor = mem_grow(s->tensor, sizeof *s->tensor * (size_t)(s->n + 1));
	s->tensor[s->n++] = (Sensitive){.data = w, .name = name, .gate = gate, .from = from, .rows = rows};
}

static void list_tensors(Sensitivity *s, bool gates)
{
	each_func(f, s->m)
		each_op(o, &f->body) {
			const Data *w = weights_of(o);
			if (!w)
				continue;
			add(s, w, 0, 0, w->type->dim[0]);
			const char *letters = gates ? gates_of(s->m, w) : 0;
			int32_t rows = letters ? w->type->dim[0] / (int32_t)strlen(letters) : 0;
			for (int k = 0; letters && letters[k]; k++)
				add(s, w, letters[k], k * rows, rows);
		}
}

/* ---- rounding ----------------------------------------------------------------------------------- */

static double stored(const Data *d, size_t i)
{
	return elem_size(d->type->elem) == 1 ? ((const int8_t *)d->bytes)[i] : ((const int16_t *)d->bytes)[i];
}

/* Rows from .. from + rows of `to` rounded to `bits` bits as a tensor of their own. */
static void round_rows(Module *m, const Command *c, Data *to, int32_t from, int32_t rows, int bits)
{
	size_t K = (size_t)to->type->dim[1], n = (size_t)rows * K;
	float *x = (float *)to->bytes + (size_t)from * K;
	Data *part = data_new(m, "part", type_tensor(m, E_f32, 2, (const int32_t[]){rows, (int32_t)K}));
	memcpy(part->bytes, x, n * sizeof *x);
	weights_quantize(m, part, (WeightRule){.bits = bits, .rows = c->opt.per_row, .real = c->opt.real_scales});
	const Quant *q = part->type->quant;
	for (size_t i = 0; i < n; i++) {
		double s = q->rows ? (double)((const float *)q->rows->bytes)[i / K] : (double)q->scale;
		x[i] = (float)(stored(part, i) * s);
	}
}

/* Widths between measured ones: the logarithm of the loss is nearly a line.  Above 8 bits a quarter for
 * each bit. */
static void fill_widths(double *loss)
{
	for (int b = 1; b <= WIDEST; b++) {
		int k = 0;
		while (k < NMEASURED - 1 && measured[k + 1] < b)
			k++;
		int lo = measured[k], hi = k + 1 < NMEASURED ? measured[k + 1] : lo;
		if (b == lo || b == hi)
			continue;
		if (b > lo && b < hi && loss[lo] > 0 && loss[hi] > 0)
			loss[b] = exp(log(loss[lo]) + (b - lo) * (log(loss[hi]) - log(loss[lo])) / (hi - lo));
		else if (b < lo)
			loss[b] = loss[lo] * pow(4, lo - b);
		else
			loss[b] = loss[measured[NMEASURED - 1]] * pow(4, measured[NMEASURED - 1] - b);
	}
}

static bool measure(const Command *c, Sensitivity *s, Reference *r, Sensitive *t, Diag *d)
{
	for (int k = 0; k < NMEASURED; k++) {
		Module *m = module_clone(s->m);
		round_rows(m, c, data_find(m, t->data->name), t->from, t->rows, measured[k]);
		bool good = reference_loss(r, m, false, &t->loss[measured[k]], d);
		module_free(m);
		if (!good)
			return false;
	}
	fill_widths(t->loss);
	return true;
}

bool sensitivity_measure(const Command *c, Module *m, bool gates, Sensitivity *s, Diag *d)
{
	*s = (Sensitivity){.m = m};
	list_tensors(s, gates);
	Reference *r = reference_new(c, m, d);
	bool good = r != 0;
	for (int i = 0; good && i < s->n; i++)
		good = measure(c, s, r, &s->tensor[i], d);
	if (r) {
		s->divergence = reference_divergence(r);
		s->steps = reference_steps(r);
	}
	reference_free(r);
	return good;
}

void sensitivity_free(Sensitivity *s)
{
	free(s->tensor);
	*s = (Sensitivity){0};
}

/* ---- output ------------------------------------------------------------------------------------- */

static void as_json(const Sensitivity *s, cJSON *json)
{
	cJSON *list = cJSON_AddArrayToObject(json, "sensitivity");
	cJSON_AddStringToObject(json, "loss", s->divergence ? "divergence" : "relative error");
	cJSON_AddNumberToObject(json, "steps", (double)s->steps);
	for (int i = 0; i < s->n; i++) {
		const Sensitive *t = &s->tensor[i];
		cJSON *row = cJSON_CreateObject(), *loss;
		cJSON_AddItemToArray(list, row);
		cJSON_AddStringToObject(row, "name", t->name);
		cJSON_AddStringToObject(row, "tensor", t->data->name);
		if (t->gate)
			cJSON_AddStringToObject(row, "gate", (char[]){t->gate, 0});
		cJSON_AddNumberToObject(row, "first_row", t->from);
		cJSON_AddNumberToObject(row, "rows", t->rows);
		loss = cJSON_AddObjectToObject(row, "loss_by_bits");
		for (int k = 0; k < NMEASURED; k++) {
			char bits[8];
			snprintf(bits, sizeof bits, "%d", measured[k]);
			json_number(loss, bits, t->loss[measured[k]]);
		}
	}
}

void sensitivity_print(const Sensitivity *s, cJSON *json)
{
	if (json) {
		as_json(s, json);
		return;
	}
	printf("sensitivity: %s, one tensor rounded at a time, %lld steps of calibration data\n",
	       s->divergence ? "divergence of the outputs in nats"
		: "squared error of the outputs relative to their power",
	       (long long)s->steps);
	printf("  %-28s %9s", "weights", "elements");
	for (int k = 0; k < NMEASURED; k++)
		printf(" %7d b", measured[k]);
	printf("\n");
	for (int i = 0; i < s->n; i++) {
		const Sensitive *t = &s->tensor[i];
		printf("  %-28s %9lld", t->name, (long long)t->rows * t->data->type->dim[1]);
		for (int k = 0; k < NMEASURED; k++)
			printf(" %9.2g", t->loss[measured[k]]);
		printf("\n");
	}
}

int command_sensitivity(const Command *c, Diag *d)
{
	Options opt = c->opt;
	Sensitivity s = {0};
	opt.integer = true;
	Module *m = model_read(c->arg[0], &opt, d);
	bool good = m && passes_run(m, &opt, "observe", d) && sensitivity_measure(c, m, true, &s, d);
	if (good) {
		cJSON *json = opt.json ? cJSON_CreateObject() : 0;
		sensitivity_print(&s, json);
		if (json)
			json_finish(json);
	}
	sensitivity_free(&s);
	if (m)
		module_free(m);
	return good ? EXIT_DONE : EXIT_REFUSED;
}

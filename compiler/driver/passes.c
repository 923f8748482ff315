/* passes.c: `gatefold passes`: the pipeline. */
#include "driver/driver.h"
#include "passes/passes.h"
#include "util/json.h"

static const char *level_name(Level l)
{
	return l == L_TENSOR ? "tensors" : "loops";
}

static void print_json(void)
{
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < npasses; i++) {
		cJSON *row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "name", passes[i].name);
		cJSON_AddStringToObject(row, "from", level_name(passes[i].from));
		cJSON_AddStringToObject(row, "to", level_name(passes[i].to));
		cJSON_AddStringToObject(row, "doc", passes[i].doc);
		cJSON_AddItemToArray(list, row);
	}
	json_finish(list);
}

int command_passes(const Command *c, Diag *d)
{
	(void)d;
	if (c->opt.json) {
		print_json();
		return EXIT_DONE;
	}
	for (int i = 0; i < npasses; i++)
		printf("%-11s %-7s -> %-7s  %s\n", passes[i].name, level_name(passes[i].from), level_name(passes[i].to),
		       passes[i].doc);
	return EXIT_DONE;
}

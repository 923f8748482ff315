/* json.h: results as JSON, through cJSON. */
#ifndef GATEFOLD_JSON_H
#define GATEFOLD_JSON_H

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Print and free. */
static inline void json_finish(cJSON *j)
{
	char *text = cJSON_Print(j);
	if (text)
		puts(text);
	free(text);
	cJSON_Delete(j);
}

/* Infinities and NaN have no JSON number: null. */
static inline void json_number(cJSON *j, const char *name, double v)
{
	if (isfinite(v))
		cJSON_AddNumberToObject(j, name, v);
	else
		cJSON_AddNullToObject(j, name);
}

#endif

/* help.c: --help, from the same tables that are parsed by. */
#include "driver/option.h"

#include <string.h>

enum { LEFT = 26, WIDTH = 100 };

void help_all(FILE *f)
{
	fputs("usage: gatefold COMMAND ...\n\n", f);
	for (int i = 0; i < ncommands; i++)
		fprintf(f, "  %-9s %-26s%s\n", commands[i].name, commands[i].operands, commands[i].doc);
	fputs("\ngatefold COMMAND --help lists its options; gatefold --version says which one this is.\n"
	      "MODEL is a .onnx file, or a .ir file at any stage (-: from standard input).\n"
	      "Exit code 0: done and right.  1: a comparison failed, or an internal error.  2: the model, an input\n"
	      "or an option is refused, with the reason on standard error.\n", f);
}

/* text from column LEFT on, in lines of WIDTH */
static void wrapped(const char *text, FILE *f)
{
	size_t room = WIDTH - LEFT;
	while (strlen(text) > room) {
		size_t n = room;
		while (n && text[n] != ' ')
			n--;
		fprintf(f, "%.*s\n%*s", (int)n, text, LEFT, "");
		text += n + 1;
	}
	fprintf(f, "%s\n", text);
}

void help_command(const CommandRow *row, FILE *f)
{
	fprintf(f, "usage: gatefold %s %s%s[OPTION]...\n%s\n\n", row->name, row->operands, *row->operands ? " " : "",
	        row->doc);
	for (int i = 0; i < noptions; i++) {
		const OptionRow *o = &options[i];
		if (!(o->commands & row->is))
			continue;
		char left[64];
		int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
		                  : snprintf(left, sizeof left, "  --%s", o->name);
		if (o->argument)
			n += snprintf(left + n, sizeof left - (size_t)n, " %s", o->argument);
		fprintf(f, "%-*s", LEFT, left);
		if (n >= LEFT)
			fprintf(f, "\n%*s", LEFT, "");
		wrapped(o->help, f);
	}
}

/* main.c: pick the command, run it, show what it has to say. */
#include "driver/driver.h"

#include <string.h>

const CommandRow commands[] = {
	{"compile", "MODEL -o OUT", "ONNX or IR to an object file, assembly, LLVM, C or IR", COMPILE, 1, 1, command_compile},
	{"run", "MODEL INPUTS -o OUT.npz", "run a model on inputs: a .npz file or a folder with input_N.pb", RUN, 2, 2,
	 command_run},
	{"verify", "FOLDER...", "compare with the reference outputs of folders with model.onnx and test_data_set_*", VERIFY,
	 1, -1, command_verify},
	{"eval", "MODEL --data TEST.npz", "score the float and the fixed-point model on labelled data", EVAL, 1, 1,
	 command_eval},
	{"bench", "MODEL", "microseconds for each step, with every instruction set of this machine", BENCH, 1, 1,
	 command_bench},
	{"inspect", "MODEL", "layers, shapes, formats, bytes, multiplications, RAM and flash", INSPECT, 1, 1,
	 command_inspect},
	{"explore", "MODEL --calib C --data D", "the curve of memory against loss: many settings, each scored", EXPLORE, 1, 1,
	 command_explore},
	{"passes", "", "list the compiler's passes", PASSES, 0, 0, command_passes},
};
const int ncommands = sizeof commands / sizeof *commands;

static const CommandRow *find(const char *name)
{
	for (int i = 0; i < ncommands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return 0;
}

static int run(const CommandRow *row, int argc, char **argv)
{
	Command c;
	bool help;
	Diag *d = diag_new();
	int code = EXIT_REFUSED;
	if (options_parse(row, argc, argv, &c, &help, d)) {
		if (help)
			help_command(row, stdout), code = EXIT_DONE;
		else
			code = row->run(&c, d);
	}
	diag_print(d, stderr);
	if (diag_bugs(d))
		code = EXIT_WRONG;
	else if (diag_errors(d) && code == EXIT_DONE)
		code = EXIT_REFUSED;
	command_free(&c);
	diag_free(d);
	return code;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	if (!strcmp(name, "--version")) {
		puts("gatefold " GATEFOLD_VERSION);
		return EXIT_DONE;
	}
	if (!strcmp(name, "help") && argc > 2 && find(argv[2])) {
		help_command(find(argv[2]), stdout);
		return EXIT_DONE;
	}
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
		help_all(stdout);
		return EXIT_DONE;
	}
	if (find(name))
		return run(find(name), argc - 2, argv + 2);
	if (*name)
		fprintf(stderr, "error: there is no command '%s'\n", name);
	help_all(stderr);
	return EXIT_REFUSED;
}

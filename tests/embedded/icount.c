/* icount.c: a QEMU plugin that counts executed instructions, in all and for each function.
 *
 *	cc -O2 -shared -fPIC icount.c -o icount.so
 *	qemu-system-arm ... -d plugin -D COUNTS -plugin ./icount.so,from=begin,to=end
 *
 * Counting starts when the program enters the function `from` and stops when it enters `to`; neither of the
 * two is counted itself.  Without them everything is counted.  COUNTS then holds
 *
 *	icount spans 40                 how often from .. to was run
 *	icount instructions 812760      in all of them
 *	icount 700120 k_linear_0        and so on, the busiest function first
 *
 * The counts are the same in each run and on each machine.  They are instructions, not cycles, and an
 * instruction that its condition skips counts, too.
 *
 * Debian's QEMU takes plugins but ships no header for them, so what is used of the interface is declared here. A call
 * for each instruction is slow but means the same in every version of the interface. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- QEMU's side -------------------------------------------------------------------------------------- */

#define EXPORT __attribute__((visibility("default")))

typedef struct qemu_plugin_tb Block;            /* a translated block and its instructions, both opaque */
typedef struct qemu_plugin_insn Insn;
typedef uint64_t PluginId;
enum { NO_REGISTERS };                          /* the callback looks at no register of the guest */

void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id, void (*call)(PluginId, Block *));
void qemu_plugin_register_vcpu_insn_exec_cb(Insn *insn, void (*call)(unsigned cpu, void *data), int flags,
                                            void *data);
void qemu_plugin_register_atexit_cb(PluginId id, void (*call)(PluginId, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const Block *b);
Insn *qemu_plugin_tb_get_insn(const Block *b, size_t i);
uint64_t qemu_plugin_insn_vaddr(const Insn *insn);
const char *qemu_plugin_insn_symbol(const Insn *insn);
void qemu_plugin_outs(const char *text);

/* QEMU loads only plugins of an interface version that it knows: up to 8.x versions 0 to 1, from 9.0 on 2 and
 * later.  What is used here is the same in both, so the plugin says what the QEMU at hand likes to hear. */
__attribute__((weak)) void *qemu_plugin_scoreboard_new(size_t size);    /* came with version 2 */
EXPORT int qemu_plugin_version = 1;

__attribute__((constructor)) static void choose_version(void)
{
	if (qemu_plugin_scoreboard_new)
		qemu_plugin_version = 2;
}

/* ---- functions and their counts ----------------------------------------------------------------------- */

typedef struct Function {
	char *name;
	uint64_t count;
	uint64_t entry;                 /* lowest address seen */
	struct Function *next;
} Function;

static Function *functions;
static const char *from, *to;           /* 0: count everything */
static bool counting = true;
static uint64_t spans;

static Function *find(const char *name, uint64_t address)
{
	Function *f = functions;
	while (f && strcmp(f->name, name))
		f = f->next;
	if (!f) {
		f = calloc(1, sizeof *f);
		f->name = strdup(name);
		f->entry = address;
		f->next = functions;
		functions = f;
	}
	if (address < f->entry)
		f->entry = address;
	return f;
}

static void on_start(unsigned cpu, void *data)
{
	(void)cpu, (void)data;
	counting = true;
	spans++;
}

static void on_stop(unsigned cpu, void *data)
{
	(void)cpu, (void)data;
	counting = false;
}

static void on_instruction(unsigned cpu, void *data)
{
	(void)cpu;
	Function *f = data;
	f->count += counting;
}

static bool is(const char *name, const char *marker)
{
	return marker && !strcmp(name, marker);
}

static void on_translation(PluginId id, Block *b)
{
	(void)id;
	size_t n = qemu_plugin_tb_n_insns(b);
	for (size_t i = 0; i < n; i++) {
		Insn *insn = qemu_plugin_tb_get_insn(b, i);
		const char *name = qemu_plugin_insn_symbol(insn);
		Function *f = find(name && *name ? name : "?", qemu_plugin_insn_vaddr(insn));
		bool begins = is(f->name, from), ends = is(f->name, to);
		if (begins || ends) {
			/* A function is translated from its first instruction on: the lowest address is its entry. */
			if (qemu_plugin_insn_vaddr(insn) == f->entry)
				qemu_plugin_register_vcpu_insn_exec_cb(insn, begins ? on_start : on_stop, NO_REGISTERS, 0);
		} else {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, NO_REGISTERS, f);
		}
	}
}

/* ---- report ------------------------------------------------------------------------------------------- */

static void say(const char *what, uint64_t n)
{
	char line[400];
	snprintf(line, sizeof line, "icount %s %" PRIu64 "\n", what, n);
	qemu_plugin_outs(line);
}

static Function *busiest(void)
{
	Function *best = 0;
	for (Function *f = functions; f; f = f->next)
		if (f->count && (!best || f->count > best->count))
			best = f;
	return best;
}

static void on_exit_of_qemu(PluginId id, void *data)
{
	(void)id, (void)data;
	uint64_t all = 0;
	for (Function *f = functions; f; f = f->next)
		all += f->count;
	say("spans", spans);
	say("instructions", all);
	for (Function *f; (f = busiest()); f->count = 0) {
		char line[400];
		snprintf(line, sizeof line, "icount %" PRIu64 " %s\n", f->count, f->name);
		qemu_plugin_outs(line);
	}
}

EXPORT int qemu_plugin_install(PluginId id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "from=", 5))
			from = strdup(argv[i] + 5);
		else if (!strncmp(argv[i], "to=", 3))
			to = strdup(argv[i] + 3);
		else
			return fprintf(stderr, "icount: unknown argument '%s'\n", argv[i]), 1;
	}
	counting = !from;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, 0);
	return 0;
}

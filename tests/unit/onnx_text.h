/* onnx_text.h: for tests of the import: small ONNX models as text, many to a file.
 *
 * A model is a block of lines, ended by an empty one.  `#` starts a comment line.
 *
 *	13 x:f[2,n]{-1,1} i=i[2]{0,1} --dim=n=3       opset, inputs NAME:TYPE[SIZES], constants =, options
 *		Gather x i > y axis=1                   operator, operands (- is an omitted one) > results, attributes
 *		-> y                                    results of the model (default: those of the last node)
 *		! message                               what a test expects; lines that start with a mark are the test's
 *
 * TYPE: f d h floats of 32, 64, 16 bits; i n k c integers of 64, 32, 16, 8 bits, u unsigned of 8; b bool;
 * s string; q int4.
 * Braces hold an input's range, or a constant's elements (default 1, 2, 3, ...).
 * Attributes: a=1 int, a=1.5 float (with a point), a="text", lists in brackets, a=t[2]{..}: tensor (t a type),
 * a=@name: the graph that lines below `@name NAME:TYPE[SIZES]..` describe, one tab further in, before the node
 * that has it.
 * A first word `domain.Operator` names the domain, when the text before the last point is no operator. */
#ifndef TEST_ONNX_TEXT_H
#define TEST_ONNX_TEXT_H

#include "unit/onnx_run.h"

typedef struct {
	char *at, *text;                /* the next line; all of the file */
	int line;                       /* its number */
} TextFile;

typedef struct {
	Build *b;
	int line;                       /* of the block's first line */
	char *head;
	char *marked[16];               /* the test's lines, behind their tab, mark included */
	int nmarked;
	const char *set_name[4], *set_value[4];
	float lo[8], hi[8];             /* ranges of the inputs */
	Onnx__Graph *graph[8];
	char *graph_name[8];
	int ngraph;
} TextModel;

static inline TextFile text_open(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s cannot be read", path);
	char *text = calloc(1, 1 << 20);
	if (fread(text, 1, (1 << 20) - 1, f) == (1 << 20) - 1)
		fail_msg("%s is too large", path);
	fclose(f);
	return (TextFile){.at = text, .text = text, .line = 1};
}

static inline char *text_line(TextFile *t)
{
	if (!*t->at)
		return 0;
	char *line = t->at, *end = line + strcspn(line, "\n");
	t->at = *end ? end + 1 : end;
	*end = 0;
	t->line++;
	return line;
}

/* What a test says now of the block that begins at a line: whole lines, tab and mark included. */
typedef struct { int line; char *text; } TextSaid;

/* Rewrite the file: in block said[k].line the lines with this mark become said[k].text.  In the file's order. */
static inline void text_update(const char *path, const char *mark, int n, const TextSaid *said)
{
	TextFile file = text_open(path);
	FILE *f = fopen(path, "w");
	char start[8];
	int k = -1, len = snprintf(start, sizeof start, "\t%s", mark);
	bool open = false;
	for (char *line; (line = text_line(&file));) {
		if (k + 1 < n && file.line - 1 == said[k + 1].line)
			k++, open = true;
		if (!*line && open) {
			fputs(said[k].text, f);
			open = false;
		}
		if (strncmp(line, start, (size_t)len))
			fprintf(f, "%s\n", line);
	}
	fclose(f);
}

/* ---- words ---- */

static inline int text_type(char c)
{
	static const struct { char c; int type; } types[] = {
		{'f', ONNX__TENSOR__DATA_TYPE__FLOAT}, {'d', ONNX__TENSOR__DATA_TYPE__DOUBLE},
		{'h', ONNX__TENSOR__DATA_TYPE__FLOAT16}, {'i', ONNX__TENSOR__DATA_TYPE__INT64},
		{'n', ONNX__TENSOR__DATA_TYPE__INT32}, {'k', ONNX__TENSOR__DATA_TYPE__INT16},
		{'c', ONNX__TENSOR__DATA_TYPE__INT8}, {'u', ONNX__TENSOR__DATA_TYPE__UINT8},
		{'b', ONNX__TENSOR__DATA_TYPE__BOOL}, {'s', ONNX__TENSOR__DATA_TYPE__TEXT},
		{'q', ONNX__TENSOR__DATA_TYPE__INT4},
	};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].c == c)
			return types[i].type;
	fail_msg("no type '%c'", c);
	return 0;
}

/* "2,n]..." -> "2 n"; *s moves behind the bracket. */
static inline char *text_list(Build *b, char **s, char close)
{
	char *end = strchr(*s, close), *list;
	if (!end)
		fail_msg("no %c in %s", close, *s);
	list = arena_printf(b->a, "%.*s", (int)(end - *s), *s);
	for (char *p = list; *p; p++)
		if (*p == ',')
			*p = ' ';
	*s = end + 1;
	return list;
}

/* A tensor from "f[2,3]{1,2}". */
static inline Onnx__Tensor *text_tensor(Build *b, const char *name, char *s)
{
	int type = text_type(*s);
	bool real = strchr("fdh", *s) != 0;
	s += 2;
	Onnx__Tensor *t = new_tensor(b, name, type, text_list(b, &s, ']'));
	size_t count = 1, n = 0;
	for (size_t i = 0; i < t->n_dims; i++)
		count *= t->dims[i] > 0 && t->dims[i] < 4096 ? (size_t)t->dims[i] : 0;
	char **value = *s == '{' ? (s++, words(b, text_list(b, &s, '}'), &n)) : 0;
	bool wide = type == ONNX__TENSOR__DATA_TYPE__INT64, twice = type == ONNX__TENSOR__DATA_TYPE__DOUBLE;
	count = value ? n : count;
	t->float_data = NEWN(b->a, float, count);
	t->int64_data = NEWN(b->a, int64_t, count);
	t->int32_data = NEWN(b->a, int32_t, count);
	t->double_data = NEWN(b->a, double, count);
	for (size_t i = 0; i < count; i++) {
		double v = value ? strtod(value[i], 0) : (double)(i + 1);
		t->float_data[i] = (float)v;
		t->double_data[i] = v;
		t->int64_data[i] = value ? strtoll(value[i], 0, 10) : (int64_t)(i + 1);
		t->int32_data[i] = (int32_t)t->int64_data[i];
	}
	*(wide ? &t->n_int64_data : twice ? &t->n_double_data : real ? &t->n_float_data : &t->n_int32_data) = count;
	return t;
}

static inline Onnx__Graph *text_graph(TextModel *m, const char *name)
{
	for (int i = 0; i < m->ngraph; i++)
		if (!strcmp(m->graph_name[i], name))
			return m->graph[i];
	fail_msg("no graph @%s", name);
	return 0;
}

/* "[1,2" or "[1.0" or "["a"": which list? */
static inline void text_attribute(TextModel *m, Onnx__Node *p, const char *name, char *v)
{
	Build *b = m->b;
	if (*v == '"') {
		set_string(b, p, name, (v++, text_list(b, &v, '"')));
	} else if (*v == '@') {
		set_graph(b, p, name, text_graph(m, v + 1));
	} else if (*v == '$') {
		add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__INT)->ref_attr_name = arena_strdup(b->a, v + 1);
	} else if (*v == '[') {
		char *list = (v++, text_list(b, &v, ']'));
		size_t n;
		if (*list == '"') {
			for (char *c = list; *c; c++)
				if (*c == '"')
					*c = ' ';
			set_strings(b, p, name, list);
		} else if (strchr(list, '.')) {
			char **w = words(b, list, &n);
			float x[MOST];
			for (size_t i = 0; i < n; i++)
				x[i] = strtof(w[i], 0);
			set_floats(b, p, name, (int)n, x);
		} else {
			set_ints(b, p, name, list);
		}
	} else if (v[0] && v[1] == '[') {
		Onnx__Attribute *a = add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__TENSOR);
		a->t = text_tensor(b, name, v);
	} else if (!strcmp(v, "none")) {
		add_attr(b, p, name, ONNX__ATTRIBUTE__TYPE__TENSOR);
	} else if (strchr(v, '.')) {
		set_float(b, p, name, strtof(v, 0));
	} else {
		set_int(b, p, name, strtoll(v, 0, 10));
	}
}

/* ---- lines ---- */

static inline void text_declare(TextModel *m, char *word)
{
	Build *b = m->b;
	char *mark = word + strcspn(word, ":=");
	char what = *mark;
	if (!what)
		fail_msg("%s: an input is NAME:TYPE[SIZES], a constant NAME=TYPE[SIZES]", word);
	*mark++ = 0;
	if (what == '=') {
		b->g.initializer[b->g.n_initializer++] = text_tensor(b, word, mark);
		return;
	}
	char *s = mark + 2;
	add_input(b, word, text_type(*mark), text_list(b, &s, ']'));
	int k = (int)b->g.n_input - 1;
	if (k < 8)
		m->lo[k] = -1, m->hi[k] = 1;
	if (*s == '{' && sscanf(s, "{%f,%f}", &m->lo[k], &m->hi[k]) != 2)
		fail_msg("%s: a range is {LEAST,GREATEST}", word);
}

static inline void text_option(TextModel *m, char *word)
{
	Build *b = m->b;
	char *name = strchr(word, '=') + 1, *value = strchr(name, '=');
	*value++ = 0;
	if (!strncmp(word, "--dim", 5)) {
		pin(b, name, atoll(value));
		return;
	}
	b->opt.set_name = m->set_name;
	b->opt.set_value = m->set_value;
	m->set_name[b->opt.nset] = name;
	m->set_value[b->opt.nset++] = value;
}

static inline void text_node(TextModel *m, char *line)
{
	Build *b = m->b;
	char *save = 0, *op = strtok_r(line, " ", &save), *word, in[400] = "", out[400] = "", *attr[24];
	int nattr = 0;
	bool results = false;
	while ((word = strtok_r(0, " ", &save)))
		if (!strcmp(word, ">"))
			results = true;
		else if (strchr(word, '='))
			attr[nattr++] = word;
		else
			strcat(strcat(results ? out : in, " "), word);
	char *dot = strrchr(op, '.');
	Onnx__Node *p = add_node(b, dot ? dot + 1 : op, in, out);
	if (dot)
		p->domain = arena_printf(b->a, "%.*s", (int)(dot - op), op);
	for (int i = 0; i < nattr; i++) {
		char *value = strchr(attr[i], '=');
		*value++ = 0;
		text_attribute(m, p, attr[i], value);
	}
}

static inline void text_outputs(Build *b, char *line)
{
	if (line) {
		size_t n;
		char **w = words(b, line, &n);
		for (size_t i = 0; i < n; i++)
			add_output(b, w[i]);
	} else if (b->g.n_node && !b->g.n_output) {
		Onnx__Node *p = b->g.node[b->g.n_node - 1];
		for (size_t i = 0; i < p->n_output; i++)
			if (*p->output[i])
				add_output(b, p->output[i]);
	}
}

static inline void text_head(TextModel *m, char *line)
{
	char *save = 0, *word = strtok_r(line, " ", &save);
	m->b = build_new(atoi(word));
	while ((word = strtok_r(0, " ", &save)))
		if (!strncmp(word, "--", 2))
			text_option(m, arena_strdup(m->b->a, word));
		else
			text_declare(m, word);
}

/* The next model of the file; false at its end.  The caller frees m->b. */
static inline bool text_next(TextFile *t, TextModel *m, const char *marks)
{
	char *line;
	*m = (TextModel){0};
	Onnx__Graph outer;
	bool inside = false;
	while ((line = text_line(t))) {
		if (*line == '#' || (!*line && !m->b))
			continue;
		if (!*line)
			break;
		if (inside && strncmp(line, "\t\t", 2)) {
			text_outputs(m->b, 0);
			m->b->g.name = m->graph_name[m->ngraph];
			m->graph[m->ngraph++] = graph_end(m->b, outer);
			inside = false;
		}
		if (!m->b) {
			m->line = t->line - 1;
			m->head = strdup(line);
			text_head(m, line);
			continue;
		}
		char *s = line + strspn(line, "\t");
		if (strchr(marks, *s)) {
			m->marked[m->nmarked++] = s;
		} else if (!strncmp(s, "->", 2)) {
			text_outputs(m->b, s + 2);
		} else if (*s == '@') {
			char *save = 0, *word = strtok_r(s + 1, " ", &save);
			m->graph_name[m->ngraph] = word;
			outer = graph_begin(m->b);
			inside = true;
			while ((word = strtok_r(0, " ", &save)))
				text_declare(m, word);
		} else {
			text_node(m, s);
		}
	}
	if (m->b)
		text_outputs(m->b, 0);
	return m->b != 0;
}

#endif

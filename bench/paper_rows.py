"""The rows of bench/paper: settings, floors and aims, and what has been published.

Models (eval/README.md beside them says how they were trained): ptb_*: one layer of 300 units, 10,000 words, embedding and
output layer of 300; imdb_*: embedding and layer of 64 units.  Sources of the published figures:
	seed	Rapuano, Pacini, Fanucci, Computational Intelligence and Neuroscience 2022, 9485933, table 3: post-training
	Xu	Xu et al., ICLR 2018 (arXiv 1802.00150), tables 1 and 2: post-training, weights only, float activations
	in-training rows (Hubara, He, HitNet, Xu 3/3) are quoted from the same two tables
"""

MODELS = {      # by file: which splits, which metric
	"ptb_lstm": ("ptb", "perplexity"), "ptb_gru": ("ptb", "perplexity"),
	"imdb_lstm": ("imdb", "accuracy"), "imdb_gru": ("imdb", "accuracy"),
}

GROUPS = {
	"plain": "Plain method: one power-of-two format a tensor, nearest rounding",
	"bits": "Few bits, fixed-width",
	"size": "By size: fixed-width rows, and entropy coded",
	"pow2": "Shifts only: scales that are powers of two; change and bound beside the real-scale row",
	"seed": "The seed's points: its plain method, and ours at the same bits",
	"weights": "Weights only: activations of 16 bits stand for floats",
	"time": "Seconds to compile, one core",
}

PLAIN = ["--effort", "0", "--ranges", "minmax"]
REAL = ["--granularity", "row", "--scales", "real"]
POW2 = ["--granularity", "row", "--scales", "pow2"]
TRELLIS = ["--grid", "trellis", "--storage", "rows", "--decode", "once"]
BOOK = ["--grid", "book", "--storage", "rows", "--decode", "once"]
VALUES = ["--value-grid", "book"]
EXPANDED = ["--storage", "rows", "--decode", "once"]     # the same integers as without, faster to score
EXECUTOR = ("--storage", "--decode")    # options that eval of a quantized module needs, too


class Row:
	def __init__(self, group, name, model, options, floor=None, aim=None, size=None, beside="", unit=None, effort=None,
	             near=None):
		self.group, self.name, self.model, self.arguments = group, name, model, options
		self.floor, self.aim, self.size, self.beside, self.effort = floor, aim, size, beside, effort
		self.near = near        # (name of another row, how much worse at most): the aim
		self.unit = unit or (" %" if MODELS[model][1] == "perplexity" else " pt")

	def options(self, effort):
		"""What the command line says; rows without an effort of their own take the given one."""
		if "--effort" in self.arguments:
			return self.arguments
		return self.arguments + ["--effort", str(self.effort if self.effort is not None else effort)]

	def executor_options(self):
		found = []
		for i, o in enumerate(self.arguments):
			if o in EXECUTOR:
				found += self.arguments[i:i + 2]
		return found


def bits(weights, activations):
	return ["--weights", str(weights), "--activations", str(activations)]


def size(bits_per_parameter, storage, activations=8):
	return ["--size", str(bits_per_parameter), "--activations", str(activations), "--storage", storage, "--decode", "once"]


ROWS = []


def add(group, name, cells, options, **by_cell):
	"""One row for each model; keyword values are one for all, or a tuple in the order of `cells`."""
	for i, model in enumerate(cells):
		task, cell = model.split("_")
		pick = {k: v[i] if isinstance(v, tuple) else v for k, v in by_cell.items()}
		label = f"{name}-{cell}" if task == "ptb" else f"{task}-{name}-{cell}"
		ROWS.append(Row(group, label, model, options, **pick))


PTB = ("ptb_lstm", "ptb_gru")
IMDB = ("imdb_lstm", "imdb_gru")

add("plain", "plain-w8a8", PTB, bits(8, 8) + PLAIN, floor=(0.1, 0.3), aim=0.0)
add("plain", "w8a8", IMDB, bits(8, 8) + PLAIN)
XU4 = ("Xu, A float: +1.8 %", "Xu, A float: +2.9 %")
add("bits", "w4a8", PTB, bits(4, 8) + REAL + TRELLIS, floor=(0.9, 1.5), aim=(0.3, 0.4), beside=XU4)
add("bits", "w4a8-uniform", PTB, bits(4, 8) + REAL, floor=(0.9, 1.5), beside=XU4)
add("bits", "w4a8-effort3", PTB, bits(4, 8) + REAL, effort=3, floor=(0.9, 1.5))
add("bits", "w4a4", PTB, bits(4, 4) + REAL + TRELLIS + VALUES, floor=(1.6, 2.5), aim=(0.8, 1.0),
    beside=("in training: +3.1 % (Hubara), +4.6 % (He)", "in training: +2.0 % (He)"))
add("bits", "w4a8", IMDB, bits(4, 8) + REAL)
for name, effort in (("", 1), ("-effort2", 2)):
	add("size", "3.2b" + name, PTB, size(3.2, "rows") + REAL, effort=effort, floor=(0.8, 1.2), aim=(0.2, 0.3), size=3.2)
	add("size", "2.0b-coded" + name, PTB, size(2.0, "coded") + REAL, effort=effort, floor=(1.6, 1.5), aim=(0.6, 0.5), size=2.0)
	add("size", "1.6b-coded" + name, PTB, size(1.6, "coded") + REAL, effort=effort, floor=(3.0, 2.5), aim=(1.2, 1.0), size=1.6)
add("size", "95", IMDB, size(1.6, "coded") + REAL, floor=0.5, aim=0.2, size=1.6, beside="seed: up to 90 %, below 1 pt")
add("size", "97", IMDB, size(0.96, "coded") + REAL, floor=1.0, aim=0.3, size=0.96)
add("pow2", "w4a8-pow2", PTB, bits(4, 8) + POW2 + TRELLIS, near=(("w4a8-lstm", 0.3), ("w4a8-gru", 0.3)))
add("pow2", "w4a4-pow2", PTB, bits(4, 4) + POW2 + TRELLIS + VALUES, near=(("w4a4-lstm", 0.3), ("w4a4-gru", 0.3)))
add("pow2", "3.2b-pow2", PTB, size(3.2, "rows") + POW2, effort=1, size=3.2, near=(("3.2b-lstm", 0.3), ("3.2b-gru", 0.3)))
add("seed", "w11a10", ("ptb_lstm",), bits(11, 10) + ["--state-bits", "10", "--gate-bits", "10"] + PLAIN,
    beside="seed: 92.8 -> 93.7, +0.97 %")
add("seed", "w11a10-state16", ("ptb_lstm",), bits(11, 10) + PLAIN)
add("seed", "w11a10-ours", ("ptb_lstm",), bits(11, 10) + REAL)
add("seed", "w8a3-state3", ("ptb_gru",), bits(8, 3) + ["--state-bits", "3"] + PLAIN, beside="seed: 91.3 -> 90.6, -0.77 %")
add("seed", "w8a3", ("ptb_gru",), bits(8, 3) + PLAIN)
add("seed", "w8a3-ours", ("ptb_gru",), bits(8, 3) + REAL)
add("seed", "w3a3-ours", ("ptb_gru",), bits(3, 3) + REAL + TRELLIS + VALUES, beside="in training: +0.4 % (Xu)")
for w, xu in ((2, ("+14.8", "+19.2")), (3, ("+4.5", "+5.2")), (4, ("+1.8", "+2.9"))):
	add("weights", f"w{w}", PTB, bits(w, 16) + REAL + TRELLIS, beside=tuple(f"Xu: {x} %" for x in xu))
	if w == 4:
		add("weights", f"w{w}-book", PTB, bits(w, 16) + REAL + BOOK, beside=tuple(f"Xu: {x} %" for x in xu))
	add("weights", f"w{w}-uniform", PTB, bits(w, 16) + REAL + EXPANDED, beside=tuple(f"Xu: {x} %" for x in xu))
add("time", "effort1", PTB, bits(4, 8) + REAL + TRELLIS, effort=1, floor=60, aim=30, unit="s")
add("time", "effort3", PTB, bits(4, 8) + REAL, effort=3, floor=1800, aim=600, unit="s")

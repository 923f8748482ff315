#!/usr/bin/env python3
"""make_models.py FOLDER [H...]: random recurrent models for the bench, in = hidden = H, batch 1.

For each H and for LSTM and GRU (linear_before_reset=1, as PyTorch has it):
	lstm_H.onnx         X [T,1,H] -> Y [T,1,1,H], states start at zero: what gatefold compiles
	lstm_H_state.onnx   the same weights with states as inputs and outputs: how ONNX Runtime streams
	lstm_H.npz          100 steps of X, for calibration
Files that exist are kept: weights and inputs depend on nothing but the name.  Needs Python alone, so that the bench runs
where the peers cannot be installed; the wire format of .onnx is written directly.
"""
import array
import os
import random
import struct
import sys
import zipfile

SIZES = [32, 64, 128, 256, 512, 1024]
CALIBRATION_STEPS = 100
FLOAT, INT = 1, 2         # TensorProto.DataType.FLOAT, AttributeProto.Type.INT


# ---- protobuf's wire format, as much of it as is used here

def varint(n):
	out = bytearray()
	while n > 127:
		out.append(n & 127 | 128)
		n >>= 7
	out.append(n)
	return bytes(out)


def number(field, n):
	return varint(field << 3) + varint(n)


def bytes_of(field, data):
	data = data.encode() if isinstance(data, str) else data
	return varint(field << 3 | 2) + varint(len(data)) + data


# ---- ONNX messages; the numbers are the fields' in onnx.proto

def tensor(name, dims, floats):
	return b"".join(number(1, d) for d in dims) + number(2, FLOAT) + bytes_of(8, name) + bytes_of(9, floats.tobytes())


def port(name, dims):
	shape = b"".join(bytes_of(1, bytes_of(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
	return bytes_of(1, name) + bytes_of(2, bytes_of(1, number(1, FLOAT) + bytes_of(2, shape)))


def attribute(name, value):
	return bytes_of(1, name) + number(3, value) + number(20, INT)


def node(op, inputs, outputs, attributes):
	return (b"".join(bytes_of(1, i) for i in inputs) + b"".join(bytes_of(2, o) for o in outputs) + bytes_of(4, op) +
	        b"".join(bytes_of(5, attribute(k, v)) for k, v in attributes.items()))


def model(name, nodes, weights, inputs, outputs):
	graph = (b"".join(bytes_of(1, n) for n in nodes) + bytes_of(2, name) + b"".join(bytes_of(5, w) for w in weights) +
	         b"".join(bytes_of(11, i) for i in inputs) + b"".join(bytes_of(12, o) for o in outputs))
	opset = number(2, 14)
	return number(1, 7) + bytes_of(2, "gatefold bench") + bytes_of(7, graph) + bytes_of(8, opset)


# ---- the models

def uniform(rng, n, most):
	"""n floats, uniform in -most..most."""
	steps = array.array("h", rng.randbytes(2 * n))
	return array.array("f", [s * (most / 32768) for s in steps])


def layer(kind, h, with_state):
	gates = {"lstm": 4, "gru": 3}[kind]
	rng = random.Random(f"{kind} {h}")
	most = h ** -0.5                        # PyTorch's initial weights
	weights = [tensor("W", [1, gates * h, h], uniform(rng, gates * h * h, most)),
	           tensor("R", [1, gates * h, h], uniform(rng, gates * h * h, most)),
	           tensor("B", [1, 2 * gates * h], uniform(rng, 2 * gates * h, most))]
	states = ["h", "c"] if kind == "lstm" else ["h"]
	inputs, outputs = ["X", "W", "R", "B"], ["Y"]
	ports_in, ports_out = [port("X", ["T", 1, h])], [port("Y", ["T", 1, 1, h])]
	if with_state:
		inputs += [""] + [s + "0" for s in states]      # no sequence_lens
		outputs += [s + "n" for s in states]
		ports_in += [port(s + "0", [1, 1, h]) for s in states]
		ports_out += [port(s + "n", [1, 1, h]) for s in states]
	attributes = {"hidden_size": h}
	if kind == "gru":
		attributes["linear_before_reset"] = 1
	recurrent = node(kind.upper(), inputs, outputs, attributes)
	return model(f"{kind}_{h}", [recurrent], weights, ports_in, ports_out)


def calibration(h):
	rng = random.Random(f"X {h}")
	x = array.array("f", [rng.gauss(0, 1) for _ in range(CALIBRATION_STEPS * h)])
	header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({CALIBRATION_STEPS}, 1, {h}), }}"
	header += " " * (-(len(header) + 11) % 64) + "\n"       # numpy wants the elements at a multiple of 64
	return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + x.tobytes()


def write(path, make):
	if os.path.exists(path):
		return
	with open(path + ".part", "wb") as f:
		f.write(make())
	os.rename(path + ".part", path)


def write_npz(path, name, make):
	if os.path.exists(path):
		return
	with zipfile.ZipFile(path + ".part", "w") as z:
		z.writestr(zipfile.ZipInfo(name + ".npy"), make())
	os.rename(path + ".part", path)


def main():
	folder = sys.argv[1]
	os.makedirs(folder, exist_ok=True)
	for h in [int(a) for a in sys.argv[2:]] or SIZES:
		for kind in ["lstm", "gru"]:
			base = os.path.join(folder, f"{kind}_{h}")
			write(base + ".onnx", lambda: layer(kind, h, False))
			write(base + "_state.onnx", lambda: layer(kind, h, True))
			write_npz(base + ".npz", "X", lambda: calibration(h))


if __name__ == "__main__":
	main()

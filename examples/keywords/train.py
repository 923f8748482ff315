#!/usr/bin/env python3
"""Train the two keyword models and export them to ONNX.

    python3 train.py                after make_data.py; writes
                                    keywords_gru.onnx and keywords_lstm.onnx
"""
import argparse
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
SEED = 7
HIDDEN = 64
EPOCHS = 24
BATCH = 128
PEAK_RATE = 4e-3


class Keywords(nn.Module):
    """One recurrent layer; its output after the last frame is classified."""

    def __init__(self, layer, bands, classes):
        super().__init__()
        self.recurrent = layer(bands, HIDDEN, batch_first=True)
        self.classify = nn.Linear(HIDDEN, classes)

    def forward(self, features):
        outputs, _ = self.recurrent(features)
        return self.classify(outputs[:, -1])


def load(path):
    data = np.load(path)
    return (torch.from_numpy(data["features"].astype(np.float32)),
            torch.from_numpy(data["labels"]))


def train(model, features, labels):
    optimizer = torch.optim.Adam(model.parameters())
    batches = -(-len(features) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, epochs=EPOCHS, steps_per_epoch=batches)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(features)).split(BATCH):
            optimizer.zero_grad()
            loss = loss_of(model(features[rows]), labels[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"  epoch {epoch + 1}: loss {total / len(features):.4f}",
              flush=True)


def start_from_zero(path):
    """Drop the initial state, which the exporter spells as shape arithmetic.

    It is all zeros, and that is what ONNX takes when the input is absent.
    """
    model = onnx.load(path)
    nodes = model.graph.node
    for node in nodes:
        if node.op_type in ("GRU", "LSTM"):
            del node.input[5:]
    used = {output.name for output in model.graph.output}
    for node in reversed(list(nodes)):
        if used.isdisjoint(node.output):
            nodes.remove(node)
        else:
            used.update(node.input)
    onnx.save(model, path)


def export(model, path, frames, bands):
    # It warns that it is the older of two exporters and that the batch size is
    # fixed; both are meant: the file has one GRU or LSTM node and runs one clip.
    warnings.simplefilter("ignore")
    torch.onnx.export(
        model, (torch.zeros(1, frames, bands),), path,
        input_names=["features"], output_names=["logits"],
        dynamic_axes={"features": {1: "T"}},
        opset_version=17, dynamo=False)
    start_from_zero(path)
    onnx.checker.check_model(str(path), full_check=True)


def check(model, path, features, labels):
    """The file must be the same model, at any number of frames."""
    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"])

    def run(clip):
        return session.run(["logits"], {"features": clip[None].numpy()})[0][0]

    with torch.no_grad():
        expected = model(features).numpy()
        for frames in (1, 7, features.shape[1], 3 * features.shape[1]):
            long = torch.cat([features[0]] * 3)[:frames]
            np.testing.assert_allclose(
                run(long), model(long[None])[0].numpy(), atol=1e-4)
    actual = np.stack([run(clip) for clip in features])
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    torch_right = (expected.argmax(1) == labels.numpy()).sum()
    onnx_right = (actual.argmax(1) == labels.numpy()).sum()
    assert torch_right == onnx_right
    ops = " ".join(node.op_type for node in onnx.load(path).graph.node)
    print(f"  {path.name}: {onnx_right} of {len(labels)} right, "
          f"{100 * onnx_right / len(labels):.2f} %, "
          f"{path.stat().st_size} bytes, ops: {ops}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dir", type=pathlib.Path, default=HERE,
                        help="where make_data.py wrote, and this will")
    folder = parser.parse_args().dir

    torch.set_num_threads(1)    # the order of summation decides the last bits
    torch.use_deterministic_algorithms(True)
    features, labels = load(folder / "build" / "train.npz")
    test = load(folder / "keywords_test.npz")
    classes = len((folder / "classes.txt").read_text().split())

    for name, layer in (("gru", nn.GRU), ("lstm", nn.LSTM)):
        print(name, flush=True)
        torch.manual_seed(SEED)
        model = Keywords(layer, features.shape[2], classes)
        train(model, features, labels)
        model.eval()
        path = folder / f"keywords_{name}.onnx"
        export(model, path, *features.shape[1:])
        check(model, path, *test)


if __name__ == "__main__":
    main()

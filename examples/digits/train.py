"""Trains the network of this example and writes ``digits.onnx`` beside this file.

Needs ``pip install "fitwright[torch]" onnxscript scikit-learn``; under a minute on two CPU
cores. Seeds are fixed, so the same versions on the same kind of CPU give the same weights.
The file is in the repository: run this only to train afresh.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
import digits

SEED = 0
BATCH = 64
CLASSES = 10
OPSET = 18
IR_VERSION = 10


def network() -> nn.Sequential:
    """Three convolutions (32, 64, 128 channels) and two dense layers; outputs logits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(128 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


def shifted(images: Tensor) -> Tensor:
    """Every image moved by -1, 0 or 1 pixel each way: more variety from few samples."""
    rows, columns = torch.randint(-1, 2, (2, len(images))).tolist()
    moved = [
        torch.roll(nn.functional.pad(image, (1, 1, 1, 1)), (row, column), (1, 2))[:, 1:-1, 1:-1]
        for image, row, column in zip(images, rows, columns, strict=True)
    ]
    return torch.stack(moved)


def train(model: nn.Module, images: Tensor, labels: Tensor, *, epochs: int) -> None:
    """Adam with a one-cycle learning rate; cross-entropy."""
    optimizer = torch.optim.Adam(model.parameters())
    steps = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3e-3, epochs=epochs, steps_per_epoch=steps
    )
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(shifted(images[chosen])), labels[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is the right class."""
    model.eval()
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).float().mean())


def export(model: nn.Module, file: Path) -> None:
    """ONNX with a free first dimension ``batch`` and nothing about the machine in it."""
    model.eval()
    torch.onnx.export(
        model,
        (torch.zeros(2, 1, 8, 8),),
        str(file),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
    )
    onnx.save(bare(onnx.load(file)), file)


def bare(exported: onnx.ModelProto) -> onnx.ModelProto:
    """The graph and its weights, without stack traces and other notes of the exporter."""
    exported.ir_version = min(exported.ir_version, IR_VERSION)
    exported.doc_string = ""
    exported.graph.name = "digits"
    exported.graph.doc_string = ""
    del exported.metadata_props[:]
    del exported.graph.metadata_props[:]
    del exported.graph.value_info[:]
    graph = exported.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.checker.check_model(exported, full_check=True)
    return exported


def main() -> None:
    """Train, say how good it is, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("digits.onnx"))
    chosen = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(2)
    parts = {name: torch.from_numpy(np.array(part)) for name, part in digits.split().items()}
    model = network()
    train(model, parts["train_image"], parts["train_labels"], epochs=chosen.epochs)
    held_out = accuracy(model, parts["image"], parts["labels"])
    export(model, chosen.out)
    print(f"held-out accuracy {held_out:.4f}, {chosen.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

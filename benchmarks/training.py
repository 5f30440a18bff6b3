"""What the training scripts of the benchmark share: honest splits, one loop, the files written.

A data set is split three ways, stratified: one part to train, one for the tools (calibration,
and whatever each of them judges on), and one that nobody sees before the comparison.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peer_inputs import BATCHES, Array, held_out_path, model_path, samples_path
from torch import Tensor, nn

SEED = 0
TRAIN_SHARE, TOOLS_SHARE = 0.5, 0.2  # the rest is held out
BATCH = 64
MODELS = Path(__file__).parent / ".work" / "models"


@dataclass(frozen=True, kw_only=True)
class Data:
    """A labelled data set in three parts.

    Attributes:
        train, tools, held_out: each (inputs, labels); inputs float32, first axis samples;
            labels int64.
    """

    name: str
    train: tuple[Array, Array]
    tools: tuple[Array, Array]
    held_out: tuple[Array, Array]


def split(inputs: Array, labels: Array, *, name: str) -> Data:
    """The three parts, each with the classes in the same proportions; seed 0."""
    from sklearn.model_selection import train_test_split

    inputs, labels = inputs.astype(np.float32), labels.astype(np.int64)
    x_train, x_rest, y_train, y_rest = train_test_split(
        inputs, labels, train_size=TRAIN_SHARE, random_state=SEED, stratify=labels
    )
    share = TOOLS_SHARE / (1 - TRAIN_SHARE)
    x_tools, x_held, y_tools, y_held = train_test_split(
        x_rest, y_rest, train_size=share, random_state=SEED, stratify=y_rest
    )
    return Data(
        name=name, train=(x_train, y_train), tools=(x_tools, y_tools), held_out=(x_held, y_held)
    )


def digits(name: str) -> Data:
    """1,797 handwritten digits, shape (samples, 1, 8, 8), 0..1; from scikit-learn."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    return split(loaded.images[:, None] / 16.0, loaded.target, name=name)


def shifted(images: Tensor) -> Tensor:
    """Every image moved by -1, 0 or 1 pixel each way: more variety from few samples."""
    rows, columns = torch.randint(-1, 2, (2, len(images))).tolist()
    moved = [
        torch.roll(nn.functional.pad(image, (1, 1, 1, 1)), (row, column), (1, 2))[:, 1:-1, 1:-1]
        for image, row, column in zip(images, rows, columns, strict=True)
    ]
    return torch.stack(moved)


def train(
    model: nn.Module,
    data: Data,
    *,
    epochs: int,
    rate: float,
    vary: Callable[[Tensor], Tensor] = lambda inputs: inputs,
) -> nn.Module:
    """AdamW with a one-cycle learning rate and cross-entropy; in evaluation mode at the end."""
    inputs, labels = (torch.from_numpy(part) for part in data.train)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, epochs=epochs, steps_per_epoch=-(-len(inputs) // BATCH)
    )
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(vary(inputs[chosen])), labels[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def accuracy(model: nn.Module, part: tuple[Array, Array]) -> float:
    """Share of samples whose largest logit is the right class."""
    inputs, labels = (torch.from_numpy(array) for array in part)
    with torch.no_grad():
        return float((model(inputs).argmax(1) == labels).float().mean())


def save(model: nn.Module, data: Data, *, argument: str, folder: Path) -> None:
    """The weights, the ONNX files of both batches, and the two parts of the data."""
    from model_export import export, save_weights

    save_weights(model, folder / f"{data.name}.pt")
    for batch in BATCHES:
        example = {argument: torch.from_numpy(data.train[0][:batch])}
        export(model, example, outputs=("logits",), file=model_path(data.name, folder, batch=batch))
    for path, (inputs, labels) in (
        (samples_path(data.name, folder), data.tools),
        (held_out_path(data.name, folder), data.held_out),
    ):
        np.savez(path, **{argument: inputs, "labels": labels})  # type: ignore[arg-type, unused-ignore]
    found = ", ".join(
        f"{accuracy(model, part):.4f} on {len(part[1])} {words}"
        for part, words in ((data.tools, "for the tools"), (data.held_out, "held out"))
    )
    print(f"{data.name}: accuracy {found}", flush=True)


def folder_argument(description: str | None) -> Path:
    """``--out`` of a training script; created when missing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=MODELS)
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    return folder

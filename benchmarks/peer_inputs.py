"""Synthetic inputs of the benchmark: what the models' configurations say they take.

Images are uniform in 0..1; token ids uniform over the vocabulary, one segment, no padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
NUM_CALIBRATION = 64
NUM_HELD_OUT = 16
VOCABULARY = 30522  # BertConfig().vocab_size
NUM_TOKENS = 128


def images(num: int, random: np.random.Generator) -> Arrays:
    """224x224 RGB noise for ``resnet50.onnx``."""
    return {"pixel_values": random.random((num, 3, 224, 224), dtype=np.float32)}


def sentences(num: int, random: np.random.Generator) -> Arrays:
    """128 token ids for ``bert-base.onnx``."""
    shape = (num, NUM_TOKENS)
    return {
        "input_ids": random.integers(0, VOCABULARY, shape, dtype=np.int64),
        "attention_mask": np.ones(shape, np.int64),
        "token_type_ids": np.zeros(shape, np.int64),
    }


INPUTS: Mapping[str, Callable[[int, np.random.Generator], Arrays]] = {
    "resnet50": images,
    "bert-base": sentences,
}


def calibration_file(name: str, folder: Path) -> Path:
    """The samples that every tool gets, as one ``.npz``; seed 1."""
    file = folder / "calibration.npz"
    samples = INPUTS[name](NUM_CALIBRATION, np.random.default_rng(1))
    np.savez(file, **samples)  # type: ignore[arg-type, unused-ignore]
    return file


def held_out(name: str) -> Arrays:
    """Queries that no tool has seen; seed 2; shape (queries, 1, ...)."""
    samples = INPUTS[name](NUM_HELD_OUT, np.random.default_rng(2))
    return {key: array[:, None] for key, array in samples.items()}

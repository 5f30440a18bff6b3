"""What the models of the benchmark are fed: synthetic inputs, or held-out real data.

Synthetic images are smooth noise (random fields of several scales, as photographs hold more of
the coarse than of the fine), normalised as image processors do, so that the answer to one image
differs from that to another: with all pixels in 0..1, ViT-S answers nearly the same to every
image, and an artefact could agree with it by answering nothing. Token ids are uniform over the
vocabulary, one segment, no padding. The trained models get data that their training never saw,
written by the scripts that trained them: ``NAME-samples.npz`` for the tools and
``NAME-held-out.npz`` for the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
NUM_CALIBRATION = 64  # samples that every tool gets, whatever the batch
NUM_HELD_OUT = 16  # queries of the models with random weights
BATCHES = (1, 8)
LABELS = "labels"
PIXEL_MEAN, PIXEL_DEVIATION = 0.5, 0.25  # of pixels in 0..1
NUM_TOKENS = 128
BERT_VOCABULARY = 30_522  # BertConfig().vocab_size
GPT_VOCABULARY = 50_257  # GPT2Config().vocab_size
TAGGER_VOCABULARY = 20_000
SCALES = (2, 4, 8, 16, 32)  # grids of the random fields, in cells per side


def images(num: int, random: np.random.Generator, *, side: int) -> Arrays:
    """Smooth RGB noise, normalised, shape (num, 3, side, side)."""
    pixels = 0.15 * random.random((num, 3, side, side), dtype=np.float32)
    for cells in SCALES:
        cell = -(-side // cells)
        field = random.random((num, 3, cells, cells), dtype=np.float32)
        pixels += np.kron(field, np.ones((cell, cell), np.float32))[..., :side, :side] / cells**0.5
    low, high = pixels.min(axis=(1, 2, 3), keepdims=True), pixels.max(axis=(1, 2, 3), keepdims=True)
    scaled = (pixels - low) / (high - low)
    return {"pixel_values": (scaled - PIXEL_MEAN) / PIXEL_DEVIATION}


def photographs(num: int, random: np.random.Generator) -> Arrays:
    """224x224 images."""
    return images(num, random, side=224)


def tiles(num: int, random: np.random.Generator) -> Arrays:
    """128x128 images for the U-Net."""
    return images(num, random, side=128)


def tokens(num: int, random: np.random.Generator, *, vocabulary: int) -> Arrays:
    """128 token ids each."""
    return {"input_ids": random.integers(0, vocabulary, (num, NUM_TOKENS), dtype=np.int64)}


def prompts(num: int, random: np.random.Generator) -> Arrays:
    """Token ids for the GPT."""
    return tokens(num, random, vocabulary=GPT_VOCABULARY)


def words(num: int, random: np.random.Generator) -> Arrays:
    """Token ids for the tagger."""
    return tokens(num, random, vocabulary=TAGGER_VOCABULARY)


def sentences(num: int, random: np.random.Generator) -> Arrays:
    """Token ids, mask and segments for the BERT kind."""
    shape = (num, NUM_TOKENS)
    return {
        **tokens(num, random, vocabulary=BERT_VOCABULARY),
        "attention_mask": np.ones(shape, np.int64),
        "token_type_ids": np.zeros(shape, np.int64),
    }


INPUTS: Mapping[str, Callable[[int, np.random.Generator], Arrays]] = {
    "resnet50": photographs,
    "mobilenet-v2": photographs,
    "vit-s": photographs,
    "unet": tiles,
    "bert-base": sentences,
    "minilm-l6": sentences,
    "gpt-small": prompts,
    "lstm-tagger": words,
}
TRAINED: Mapping[str, str] = {  # what their task is judged by
    "digits-cnn": "accuracy",
    "digits-transformer": "accuracy",
    "breast-cancer": "accuracy",
}
NAMES = (*INPUTS, *TRAINED)


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """What ONNX Runtime's optimiser wants to know; it is part of Olive's search.

    Attributes:
        kind: its word for the model. For the GPT its "gpt2" fails on what torch exports today
            (ONNX Runtime 1.31); "bert" is its default.
    """

    kind: str
    heads: int
    width: int


TRANSFORMERS: Mapping[str, Transformer] = {
    "vit-s": Transformer(kind="vit", heads=6, width=384),
    "bert-base": Transformer(kind="bert", heads=12, width=768),
    "minilm-l6": Transformer(kind="bert", heads=12, width=384),
    "gpt-small": Transformer(kind="bert", heads=8, width=512),
    "digits-transformer": Transformer(kind="vit", heads=4, width=128),
}


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What no tool has seen.

    Attributes:
        inputs: queries, shape (queries, batch, ...).
        labels: shape (queries, batch), or None for random weights.
    """

    inputs: Arrays
    labels: Array | None


def model_path(name: str, folder: Path, *, batch: int) -> Path:
    """``NAME.onnx``, or ``NAME-b8.onnx`` for a batch of 8."""
    return folder / (f"{name}.onnx" if batch == 1 else f"{name}-b{batch}.onnx")


def samples_path(name: str, folder: Path) -> Path:
    """Where the tools' samples of a trained model are."""
    return folder / f"{name}-samples.npz"


def held_out_path(name: str, folder: Path) -> Path:
    """Where the unseen samples of a trained model are."""
    return folder / f"{name}-held-out.npz"


def calibration(name: str, models: Path, *, batch: int) -> Arrays:
    """The samples that every tool gets, with labels for the trained models; seed 1.

    Whole batches only: what is left over goes to nobody.
    """
    if name in TRAINED:
        samples = loaded(samples_path(name, models))
    else:
        samples = INPUTS[name](NUM_CALIBRATION, np.random.default_rng(1))
    num = len(next(iter(samples.values()))) // batch * batch
    return {key: array[:num] for key, array in samples.items()}


def held_out(name: str, models: Path, *, batch: int) -> HeldOut:
    """Queries that no tool has seen; seed 2."""
    if name in TRAINED:
        samples = loaded(held_out_path(name, models))
    else:
        samples = INPUTS[name](NUM_HELD_OUT * batch, np.random.default_rng(2))
    num = len(next(iter(samples.values()))) // batch
    queries = {
        key: array[: num * batch].reshape(num, batch, *array.shape[1:])
        for key, array in samples.items()
    }
    labels = queries.pop(LABELS, None)
    return HeldOut(inputs=queries, labels=labels)


def loaded(file: Path) -> Arrays:
    """All arrays of an ``.npz``."""
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}

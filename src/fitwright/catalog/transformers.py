"""Public shapes of transformers, found by the names that people and tables give them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fitwright.catalog.transformer_size import Size, derived_shape, read_size
from fitwright.records.transformer import Transformer

TABLE = Path(__file__).parent / "models" / "transformers.yaml"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHAPE = ("hidden", "num_layers", "num_heads", "num_kv_heads", "head_size", "ffn", "vocab")
_NOT_OF_THE_RECORD = ("config", "shape", "gate", "parameters", "also", "check")
_NOISE = re.compile(
    r"instruct|inst|it|chat|hf|base|edge|dpo|sft|rlhf|pt|text|awq|gptq|gguf|w4a16|w8a8|dynamic"
    r"|(?:fp|bf|int|nvfp|mxfp|float)\d+|v\d+(?:\.\d+)*|\d{4}|\d+k|meta|delta|preview|uncased|cased"
)
_SAME_SIZE = 1.35
"""A name that states a size is never answered by a model that differs from it by more: names
round (Chameleon "30B" has 34.3, Gemma "7B" 8.5 thousand million parameters)."""


def _tokens(name: str) -> list[str]:
    """``meta-llama/Llama-3_1-8B`` -> llama, 3.1, 8b: the vendor left out, digits kept whole."""
    last = name.lower().rsplit("/", 1)[-1]
    last = re.sub(r"[-.](?:gguf|ggml|safetensors)$", "", last)
    last = re.sub(r"[-_.](?:ud-)?(?:i?q\d_[a-z\d_]+|q\d|b?f16|f32)$", "", last)  # of llama.cpp
    last = re.sub(r"(?<=\d)_(?=\d)(?!\d+(?:\.\d+)?[bm](?![a-z]))", ".", last)  # not 3.1_8B
    last = re.sub(r"(?<=\db)\.(?=a\d)", "-", last)  # 30B.A3B
    return [t.strip(".") for t in re.split(r"[-_\s:()]+", last) if t.strip(".")]


def _key(tokens: list[str]) -> str:
    return "".join(tokens)


def _row(raw: Mapping[str, Any]) -> Transformer:
    shape = dict(zip(_SHAPE, raw["shape"], strict=True))
    rest = {k: v for k, v in raw.items() if k not in _NOT_OF_THE_RECORD}
    return Transformer(
        **shape,
        **rest,
        num_ffn_matrices=3 if raw.get("gate") else 2,
        source=f"configuration of {raw['config']}",
    )


@cache
def _rows() -> tuple[Mapping[str, Any], ...]:
    return tuple(yaml.load(TABLE.read_text(), Loader=_Loader))


@cache
def transformers() -> tuple[Transformer, ...]:
    """All shapes of the table."""
    return tuple(_row(raw) for raw in _rows())


def published_parameters() -> Iterator[tuple[Transformer, float]]:
    """Each shape with the number of parameters that its authors state, where they compare."""
    for raw, shape in zip(_rows(), transformers(), strict=True):
        if raw.get("check", True):
            yield shape, float(raw["parameters"])


@cache
def _by_key() -> Mapping[str, Transformer]:
    named: dict[str, Transformer] = {}
    for raw, shape in zip(_rows(), transformers(), strict=True):
        for name in (raw["name"], *raw.get("also", ())):
            named.setdefault(_key(_tokens(name)), shape)
    return named


def _agrees(shape: Transformer, size: Size | None) -> bool:
    if size is None:
        return True
    ratio = shape.parameters / size.parameters
    return 1 / _SAME_SIZE < ratio < _SAME_SIZE


def _parts(tokens: list[str]) -> Iterator[list[str]]:
    """Consecutive tokens, most of them first, the front ones before the back ones."""
    for length in range(len(tokens), 0, -1):
        for start in range(len(tokens) - length + 1):
            yield tokens[start : start + length]


def _known(tokens: list[str], size: Size | None) -> Transformer | None:
    meaningful = [t for t in tokens if not _NOISE.fullmatch(t)]
    versioned = [t for t in tokens if not _NOISE.fullmatch(t) or re.fullmatch(r"v\d.*", t)]
    for candidate in (tokens, versioned, meaningful):
        if found := _by_key().get(_key(candidate)):
            return found
    for part in (*_parts(versioned), *_parts(meaningful)):
        found = _by_key().get(_key(part))
        if found and _agrees(found, size) and any(c.isalpha() for c in part[0]):
            return found
    return None


@cache
def find_transformer(name: str, *, line: str = "") -> Transformer | None:
    """The shape that a name stands for; None: neither the name nor a size in it says.

    Args:
        name: as a table or a user writes it: vendor, case, hyphens and suffixes such as
            ``-Instruct`` do not matter. A fine-tuned model is found by the model inside its name.
        line: the family when the name is a size alone: ``"30b"`` of ``"MPT"``.

    A name that is unknown but states a size gets a shape derived from it (`derived` is true and
    `source` says so).
    """
    tokens = _tokens(f"{line}-{name}" if line else name)
    size = read_size(tokens)
    return _known(tokens, size) or (derived_shape(name, size) if size else None)

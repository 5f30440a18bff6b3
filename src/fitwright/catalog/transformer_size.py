"""Shapes for transformers of which only a size is known: typical proportions, said as such."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fitwright.records.transformer import Transformer

_UNIT = {"m": 1e6, "b": 1e9, "t": 1e12}
_DENSE = re.compile(r"(\d+(?:\.\d+)?)([mbt])")
_EXPERTS = re.compile(r"(\d+)x(\d+(?:\.\d+)?)b")
_ACTIVE = re.compile(r"a(\d+(?:\.\d+)?)b")
HEAD = 128
VOCAB = 64_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a name says about the number of parameters.

    Attributes:
        active: of one token; below `parameters` in mixtures of experts.
    """

    parameters: float
    active: float
    num_experts: int = 1
    num_active_experts: int = 1


def read_size(tokens: Sequence[str]) -> Size | None:
    """The size in a name's tokens: ``13b``, ``8x7b`` or ``30b`` with ``a3b``; the first wins."""
    active = next((float(m[1]) * 1e9 for t in tokens if (m := _ACTIVE.fullmatch(t))), None)
    for token in tokens:
        if m := _EXPERTS.fullmatch(token):
            experts, each = int(m[1]), float(m[2]) * 1e9
            # attention is shared: Mixtral 8x7B has 46.7, 8x22B 141 thousand million (0.82 of it)
            return Size(
                parameters=0.82 * experts * each,
                active=2 * 0.9 * each,
                num_experts=experts,
                num_active_experts=2,
            )
        if m := re.search(r"(?:^|[a-z])" + _DENSE.pattern + "$", token):
            total = float(m[1]) * _UNIT[m[2]]
            if active is None or active >= total:
                return Size(parameters=total, active=total)
            return Size(parameters=total, active=active, num_experts=128, num_active_experts=8)
    return None


def derived_shape(name: str, size: Size) -> Transformer:
    """A shape with so many parameters: 128 times as wide as deep, heads of 128, 8 heads of keys.

    These are the proportions of Llama (7B: 4,096 wide, 32 deep; 70B: 8,192 and 80).
    """
    as_dense = 0.4 * size.active if size.num_experts > 1 else size.active  # 0.3 to 0.5 in Qwen3,
    # gpt-oss and Mixtral: their experts are narrow, so the model is narrower than a dense one
    hidden = max(HEAD * round((as_dense * HEAD / 12) ** (1 / 3) / HEAD), 2 * HEAD)
    layers = max(2, round(hidden / HEAD))
    heads = hidden // HEAD
    kv_heads = heads if heads % 8 or heads < 8 else 8
    attention = 2 * hidden * hidden + 2 * hidden * kv_heads * HEAD
    tied = size.parameters < 2e9
    left = (size.parameters - (1 if tied else 2) * VOCAB * hidden) / layers - attention
    ffn = max(hidden // size.num_experts, round(left / (3 * hidden * size.num_experts)))
    return Transformer(
        name=name,
        hidden=hidden,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_size=HEAD,
        ffn=ffn,
        num_ffn_matrices=3,
        vocab=VOCAB,
        num_experts=size.num_experts,
        num_active_experts=size.num_active_experts,
        tied=tied,
        derived=True,
        source=f"the shape of {name!r} is unknown: typical proportions for the size in its name",
    )

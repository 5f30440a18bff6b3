"""Which recipes may follow which."""

from __future__ import annotations

import pytest

from fitwright.adapt.legality import legal
from fitwright.records.recipe import (
    Bf16,
    Buckets,
    DropMasks,
    FixShapes,
    Fp16Weights,
    FuseAttention,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    PlainAttention,
    Recipe,
    Simplify,
    Trim,
)

NNCF = Int8Static(toolkit="nncf")
BUCKETS = Buckets(mask="mask", symbol="tokens", lengths=(8, 16))
TRIM = Trim(mask="mask", symbol="tokens", lengths=(4, 8, 16))


@pytest.mark.parametrize(
    "chain",
    [
        (FixShapes(),),
        (FixShapes(), Bf16()),
        (FixShapes(), Fp16Weights(), Bf16()),
        (FixShapes(), Int8Static(), Bf16()),
        (FixShapes(), NNCF),
        (FixShapes(), Simplify(), DropMasks(), FuseAttention(), NNCF, Bf16()),
        (NNCF, Bf16()),
        (FixShapes(), FuseAttention(), TRIM, Int8Static(), Bf16()),
        (FixShapes(), TRIM, NNCF),
        (FixShapes(), FuseAttention(), Int8Static(), BUCKETS, Bf16()),
        (Int8Weights(toolkit="nncf"),),
    ],
)
def test_sensible_chains_are_legal(chain: tuple[Recipe, ...]) -> None:
    assert legal(chain) is None


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        ((), "at least one recipe"),
        ((Simplify(),), "fix_shapes opens the chain"),
        ((FixShapes(), Int8Static(), FuseAttention()), "before weights are narrowed"),
        ((FixShapes(), FuseAttention(), FuseAttention()), "applied once"),
        ((FixShapes(), FuseAttention(), PlainAttention()), "attention is written in one form"),
        ((FixShapes(), FixShapes()), "applied once"),
        ((Int8Static(), NNCF), "applied once"),
        ((Fp16Weights(), FixShapes()), "fix_shapes comes first"),
        ((Bf16(), Int8Static()), "bf16 comes last"),
        ((Int8Static(), Int8Weights()), "one narrow form only"),
        ((Fp16Weights(), Int8Dynamic()), "one narrow form only"),
        ((NNCF, Fp16Weights()), "OpenVINO's own format"),
        ((Int8Dynamic(), Bf16()), "ONNX Runtime only"),
        ((Int4Weights(), Bf16()), "ONNX Runtime only"),
        ((TRIM,), "fix_shapes, which opens the chain"),
        ((FixShapes(), TRIM, Simplify()), "which trim takes away"),
        ((FixShapes(), Int8Static(), TRIM), "trim comes before weights are narrowed"),
        ((FixShapes(), TRIM, BUCKETS), "padding is spared in one way"),
        ((BUCKETS,), "fix_shapes, which opens the chain"),
        ((FixShapes(), BUCKETS, Int8Static()), "only bf16"),
        ((FixShapes(), NNCF, BUCKETS), "OpenVINO's own format"),
    ],
)
def test_other_chains_say_why_not(chain: tuple[Recipe, ...], reason: str) -> None:
    why = legal(chain)
    assert why is not None and reason in why

"""Which recipes may follow which, as one visible table of rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from fitwright.records.recipe import (
    REWRITING,
    Bf16,
    Buckets,
    FixShapes,
    Fp16Weights,
    FuseAttention,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    PlainAttention,
    Recipe,
    Trim,
    title,
)

QUANTISED = (Int8Static, Int8Dynamic, Int8Weights, Int4Weights)
STORED = (Fp16Weights, *QUANTISED)

Chain = Sequence[Recipe]
Kinds = tuple[type[Recipe], ...]
Rule = tuple[Callable[[Chain], bool], str]


def _behind(chain: Chain, later: Kinds, earlier: Kinds) -> bool:
    """Whether one of the first kinds stands anywhere behind one of the second."""
    return any(
        isinstance(recipe, later) and isinstance(before, earlier)
        for at, recipe in enumerate(chain)
        for before in chain[:at]
    )


def _repeats(chain: Chain) -> bool:
    kinds = [recipe.kind for recipe in chain]
    return len(set(kinds)) < len(kinds)


def _shapes_late(chain: Chain) -> bool:
    return any(isinstance(recipe, FixShapes) for recipe in chain[1:])


def _rewritten_after_trim(chain: Chain) -> bool:
    return _behind(chain, REWRITING, (Trim,))


def _trim_late(chain: Chain) -> bool:
    return _behind(chain, (Trim,), (*STORED, Bf16))


def _shortened_twice(chain: Chain) -> bool:
    return sum(isinstance(recipe, Buckets | Trim) for recipe in chain) > 1


def _rewritten_late(chain: Chain) -> bool:
    return _behind(chain, REWRITING, (*STORED, Bf16))


def _rewritten_unfixed(chain: Chain) -> bool:
    rewrites = any(isinstance(recipe, REWRITING) for recipe in chain)
    return rewrites and not isinstance(chain[0], FixShapes)


def _attention_twice(chain: Chain) -> bool:
    return sum(isinstance(recipe, FuseAttention | PlainAttention) for recipe in chain) > 1


def _bf16_early(chain: Chain) -> bool:
    return any(isinstance(recipe, Bf16) for recipe in chain[:-1])


def _buckets_early(chain: Chain) -> bool:
    return any(
        isinstance(recipe, Buckets) and not isinstance(after, Bf16)
        for recipe, after in pairwise(chain)
    )


def _buckets_unfixed(chain: Chain) -> bool:
    holds = any(isinstance(recipe, Buckets | Trim) for recipe in chain)
    return holds and not isinstance(chain[0], FixShapes)


def _stored_twice(chain: Chain) -> bool:
    return sum(isinstance(recipe, STORED) for recipe in chain) > 1


def _ir_continues(chain: Chain) -> bool:
    return any(
        getattr(recipe, "toolkit", None) == "nncf" and not isinstance(after, Bf16)
        for recipe, after in pairwise(chain)
    )


def _bf16_on_onnxruntime_form(chain: Chain) -> bool:
    return isinstance(chain[-1], Bf16) and any(
        isinstance(recipe, Int8Dynamic)
        or (isinstance(recipe, Int4Weights) and recipe.toolkit == "onnxruntime")
        for recipe in chain
    )


# Each row: what must not hold, and the sentence shown when it does.
RULES: tuple[Rule, ...] = (
    (lambda chain: not chain, "a chain needs at least one recipe"),
    (_repeats, "a recipe is applied once"),
    (_shapes_late, "fix_shapes comes first: the other recipes rely on known shapes"),
    (_rewritten_after_trim, "rewriting needs definite shapes, which trim takes away"),
    (_trim_late, "trim comes before weights are narrowed: it compares the models at some lengths"),
    (_shortened_twice, "padding is spared in one way: queries are cut, or lengths told apart"),
    (_rewritten_unfixed, "rewriting needs definite shapes, so fix_shapes opens the chain"),
    (_rewritten_late, "rewriting comes before weights are narrowed: it knows float operators"),
    (_attention_twice, "attention is written in one form: as one operator, or plain"),
    (_bf16_early, "bf16 comes last: it is a setting of the backend, not a change of the file"),
    (_buckets_unfixed, "each length is made by fix_shapes, which opens the chain"),
    (_buckets_early, "buckets join finished files: only bf16, which changes none, may follow"),
    (_ir_continues, "NNCF writes OpenVINO's own format, which only bf16 may follow"),
    (_stored_twice, "weights are stored in one narrow form only, so one of fp16 and int is chosen"),
    (_bf16_on_onnxruntime_form, "bf16 is OpenVINO's, and this form runs on ONNX Runtime only"),
)


def legal(chain: Sequence[Recipe]) -> str | None:
    """Why the recipes may not follow each other in this order, or None when they may."""
    for breaks, sentence in RULES:
        if breaks(chain):
            names = " + ".join(title(recipe) for recipe in chain) or "(empty)"
            return f"{names}: {sentence}"
    return None

"""Finer int8 ranges are worth making only where the usual ones are too coarse."""

from __future__ import annotations

import pytest

from fitwright.records.figure import Figure
from fitwright.records.need import Limit
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, FixShapes, Int8Dynamic, Int8Static, Recipe, Variant
from fitwright.records.trial import Candidate, Failure, Trial
from fitwright.tune.ranges import too_coarse
from needs import need


def variant(id_: str, *recipes: Recipe) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0" * 64,
        size_bytes=1, backends=("onnxruntime",),
    )  # fmt: skip


VARIANTS = (
    variant("original"),
    variant("usual", FixShapes(), Int8Static()),
    variant("nncf", FixShapes(), Int8Static(toolkit="nncf")),
    variant("finer", FixShapes(), Int8Static(method="percentile")),
    variant("dynamic", FixShapes(), Int8Dynamic()),
)


def trial(of: str, *, cause: str | None = None, drop: float = 0.0) -> Trial:
    return Trial(
        number=1, round=3, reason="", decision="failed" if cause else "rejected",
        candidate=Candidate(variant_id=of, title=of, backend="onnxruntime", settings=Settings()),
        failure=Failure(cause=cause, detail="") if cause else None,  # type: ignore[arg-type]
        figures={"accuracy_drop": Figure.measured(drop, low=drop, high=drop)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ((), frozenset()),
        ((trial("usual"),), frozenset()),
        ((trial("usual", cause="disagrees"),), {"onnxruntime"}),
        ((trial("usual", cause="crashed"),), frozenset()),
        ((trial("usual", drop=0.02),), {"onnxruntime"}),
        ((trial("nncf", cause="disagrees"), trial("usual")), {"nncf"}),
        ((trial("finer", cause="disagrees"),), frozenset()),
        ((trial("dynamic", cause="disagrees"), trial("original", drop=0.02)), frozenset()),
    ],
    ids=[
        "nothing tried", "near enough", "disagrees", "died", "breaks the limit",
        "by toolkit", "finer ones themselves", "other recipes",
    ],
)  # fmt: skip
def test_the_usual_ranges_are_too_coarse(
    trials: tuple[Trial, ...], expected: frozenset[str]
) -> None:
    limit = Limit(name="accuracy", figure="accuracy_drop", sense="at_most", bound=0.01)
    found = too_coarse(trials, Adapted(variants=VARIANTS), need=need(limit))
    assert found == expected

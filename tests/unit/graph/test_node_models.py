"""Every node model that onnx ships: counted or refused, never a crash.

Also a check from outside: many operators come a second time, written out in smaller ones by
onnx itself. Both forms must do the same matmul-like work.
"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import onnx
import pytest

from fitwright.errors import ModelRefused
from fitwright.graph.control import CONTROL
from fitwright.graph.cost.table import RULES
from fitwright.graph.summary import summarize
from fitwright.records.model import ModelSummary

NEWEST = 10_000
"""Caps lifted, so that the newest operators' rules are exercised too."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSummary | ModelRefused]:
    """By test name: the summary, or the refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, while onnx computes its expected outputs
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
    path = tmp_path_factory.mktemp("nodes") / "model.onnx"
    found: dict[str, ModelSummary | ModelRefused] = {}
    for case in cases:
        model = case.model or onnx.load(Path(case.model_dir) / "model.onnx")
        path.write_bytes(model.SerializeToString())
        try:
            found[case.name] = summarize(
                path, shapes={}, batch=1, _max_ir=NEWEST, _max_opset=NEWEST
            )
        except ModelRefused as refusal:
            found[case.name] = refusal
    return found


@pytest.mark.slow
def test_every_node_model_is_counted_or_refused_with_a_code(outcomes) -> None:
    assert len(outcomes) > 1500
    refused = Counter(o.code for o in outcomes.values() if isinstance(o, ModelRefused))
    # sequences and optionals at the model's edge; domains no backend has
    assert set(refused) <= {"FW233", "FW220"}
    assert refused.total() < 0.04 * len(outcomes)


@pytest.mark.slow
def test_nearly_every_node_model_is_counted_in_full(outcomes) -> None:
    summaries = [o for o in outcomes.values() if isinstance(o, ModelSummary)]
    complete = [s for s in summaries if not s.uncounted]
    # the rest depend on data: Unique, Loop with a computed end, axes given at run time
    assert len(complete) >= 0.95 * len(summaries)


@pytest.mark.slow
def test_a_gap_always_has_a_reason_and_no_rule_breaks_on_a_valid_node(outcomes) -> None:
    reasons = {
        (u.kind, u.reason)
        for o in outcomes.values()
        if isinstance(o, ModelSummary)
        for u in o.uncounted
    }
    assert all(reason for _, reason in reasons)
    assert [kind for kind, reason in reasons if "do not fit" in reason] == []
    assert {k for k, reason in reasons if "no counting rule" in reason} <= {
        "ImageDecoder",
        "TfIdfVectorizer",
        "SequenceMap",
    }


@pytest.mark.slow
def test_an_operator_and_its_expansion_do_the_same_products(outcomes) -> None:
    compared = 0
    for name, whole in outcomes.items():
        parts = outcomes.get(f"{name}_expanded")
        if not isinstance(whole, ModelSummary) or not isinstance(parts, ModelSummary):
            continue
        if whole.uncounted or parts.uncounted:
            continue
        assert whole.flops == parts.flops, name
        compared += bool(whole.flops)
    assert compared > 50  # attention in its many forms


def test_most_operators_of_onnx_have_a_rule() -> None:
    named = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    ruled = {kind for domain, kind in RULES if domain == ""} | set(CONTROL) | {"Constant"}
    assert len(named & ruled) >= 0.97 * len(named)

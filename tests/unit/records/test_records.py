"""Records are frozen, refuse what they do not know and survive their own JSON."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fitwright import records
from fitwright.records.contract import Contract
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, Int4Weights, Int8Static, Skipped, Variant, title
from fitwright.records.record import Record
from fitwright.records.trial import Candidate, Trial


def all_records() -> list[type[Record]]:
    found: dict[str, type[Record]] = {}
    for module in pkgutil.iter_modules(records.__path__):
        for value in vars(importlib.import_module(f"fitwright.records.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Record) and value is not Record:
                found[value.__name__] = value
    return list(found.values())


@pytest.mark.parametrize("kind", all_records())
def test_every_record_is_frozen_and_refuses_unknown_keys(kind: type[Record]) -> None:
    assert kind.model_config["frozen"] is True
    assert kind.model_config["extra"] == "forbid"


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Contract(model="m").model = "n"


@given(
    value=st.floats(allow_nan=False),
    unit=st.sampled_from(["s", "bytes", ""]),
    label=st.sampled_from(["measured", "predicted", "estimated"]),
    source=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_a_figure_survives_its_json(value: float, unit: str, label: Any, source: str) -> None:
    figure = Figure(value=value, low=value, high=value, unit=unit, label=label, source=source)
    assert Figure.model_validate_json(figure.to_json()) == figure


@pytest.mark.parametrize(
    "fields",
    [
        {"value": None, "label": "measured"},
        {"value": 0.0, "label": "unavailable"},
        {"value": float("nan"), "label": "measured"},
    ],
)
def test_a_figure_without_a_number_is_unavailable_and_never_zero(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Figure(**fields)
    assert Figure.unavailable("no counter here", unit="J").value is None


def test_a_measured_figure_without_an_interval_is_its_own_interval() -> None:
    figure = Figure.measured(3.0, unit="s")
    assert (figure.low, figure.value, figure.high) == (3.0, 3.0, 3.0)


def test_recipes_come_back_as_what_they_are() -> None:
    chain = (Int8Static(toolkit="nncf"), Int4Weights(block_size=64))
    adapted = Adapted(skipped=(Skipped(recipes=chain, reason="why"),))
    assert Adapted.model_validate_json(adapted.to_json()).skipped[0].recipes == chain
    assert [title(r) for r in chain] == ["int8_static/nncf", "int4_weights/onnxruntime"]


def test_a_variant_without_recipes_is_the_original() -> None:
    variant = Variant(
        id="a", recipes=(), file="m", files=("m",), format="onnx", sha256="0", size_bytes=1,
        backends=("b",),
    )  # fmt: skip
    assert variant.title == "original"


def test_settings_override_only_what_is_stated() -> None:
    merged = Settings(threads=2, mode="latency").merged(Settings(precision="bfloat16"))
    assert merged == Settings(threads=2, mode="latency", precision="bfloat16")
    assert merged.describe() == "threads=2, precision=bfloat16, mode=latency"
    assert Settings().describe() == "defaults"


def test_candidates_differ_when_any_part_differs() -> None:
    first = Candidate(variant_id="a", title="t", backend="b", settings=Settings())
    others = [
        first.model_copy(update=change)
        for change in ({"variant_id": "c"}, {"backend": "c"}, {"settings": Settings(threads=1)})
    ]
    assert len({first.key, *(o.key for o in others)}) == 4


@pytest.mark.parametrize(
    ("facts", "stated", "told"),
    [
        ({"precision": "bfloat16"}, Settings(), "bfloat16"),
        ({"precision": "bfloat16"}, Settings(precision="bfloat16"), ""),
        ({"precision": "float32"}, Settings(), ""),
        ({"precision": "as in the model"}, Settings(), ""),
        ({}, Settings(), ""),
    ],
)
def test_only_a_precision_lowered_without_being_asked_is_silent(
    facts: dict[str, str], stated: Settings, told: str
) -> None:
    candidate = Candidate(variant_id="a", title="t", backend="b", settings=stated)
    trial = Trial(
        number=1, round=1, candidate=candidate, decision="accepted", reason="", facts=facts
    )
    assert trial.silent_precision == told


def test_a_contract_in_base_units_reads_bare_numbers_and_a_users_does_not() -> None:
    limits = {"model": "m", "limits": {"latency_p99": 0.01}}
    assert Contract.model_validate(limits).limits.latency_p99 == 0.01
    with pytest.raises(ValidationError, match="has no unit"):
        Contract.model_validate(limits, context={"user": True})

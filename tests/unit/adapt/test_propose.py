"""The table of chains worth making."""

from __future__ import annotations

from fitwright.adapt.legality import legal
from fitwright.adapt.propose import ROWS, agenda
from fitwright.records.agenda import Chain
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import Bf16, FixShapes, Int8Static


def chains(
    summary: ModelSummary, device: Device, *, backends: tuple[str, ...]
) -> tuple[Chain, ...]:
    return agenda(summary, device, backends=backends).chains


def test_every_row_of_the_table_is_legal() -> None:
    assert [why for row in ROWS if (why := legal((FixShapes(), *row.recipes)))] == []


def test_no_chain_is_proposed_twice(summary: ModelSummary, device: Device) -> None:
    proposed = chains(summary, device, backends=("onnxruntime", "openvino"))
    assert len(set(proposed)) == len(proposed) > 5


def test_shapes_are_fixed_first_and_bf16_is_tried_before_int8(
    summary: ModelSummary, device: Device
) -> None:
    proposed = chains(summary, device, backends=("onnxruntime", "openvino"))
    assert {chain[0] for chain in proposed} == {FixShapes()}
    assert proposed[0] == (FixShapes(),)
    assert proposed.index((FixShapes(), Bf16())) < proposed.index((FixShapes(), Int8Static()))


def test_without_openvino_nothing_of_its_own_is_proposed(
    summary: ModelSummary, device: Device
) -> None:
    proposed = chains(summary, device, backends=("onnxruntime",))
    toolkits = {getattr(recipe, "toolkit", "") for chain in proposed for recipe in chain}
    assert "nncf" not in toolkits
    assert (FixShapes(), Bf16()) not in proposed
    assert (FixShapes(), Int8Static()) in proposed


def test_other_ways_to_choose_ranges_are_for_convolutions(
    summary: ModelSummary, device: Device
) -> None:
    conv = summary.operators[0].model_copy(update={"kind": "Conv"})
    with_conv = summary.model_copy(update={"operators": (conv,)})
    entropy = (FixShapes(), Int8Static(method="entropy"))
    assert entropy not in chains(summary, device, backends=("onnxruntime",))
    assert entropy == chains(with_conv, device, backends=("onnxruntime",))[-1]

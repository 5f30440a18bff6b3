"""The table of chains worth making."""

from __future__ import annotations

from fitwright.adapt.legality import legal
from fitwright.adapt.propose import REWRITINGS, ROWS, agenda, rewrites
from fitwright.records.agenda import Chain
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import (
    Bf16,
    DropMasks,
    FixShapes,
    FuseActivation,
    FuseAttention,
    FuseNormalization,
    Int8Static,
    PlainAttention,
    Simplify,
    Trim,
)


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


def test_what_spares_padding_is_made_of_the_longest_rewriting(
    summary: ModelSummary, device: Device
) -> None:
    trim = Trim(mask="mask", symbol="tokens", lengths=(4, 8, 16))
    found = agenda(summary, device, backends=("onnxruntime",), shorter=(trim,))
    assert (*max(found.rewrites, key=len), trim) in found.chains
    assert all(trim not in chain for chain in found.rewrites)


def holding(summary: ModelSummary, *kinds: str) -> ModelSummary:
    """The summary with operators of these kinds only."""
    one = summary.operators[0]
    return summary.model_copy(
        update={"operators": tuple(one.model_copy(update={"kind": kind}) for kind in kinds)}
    )


def test_rewriting_grows_step_by_step_and_only_by_what_the_model_holds(
    summary: ModelSummary, device: Device
) -> None:
    whole = holding(summary, "Softmax", "Erf", "ReduceMean", "MatMul")
    simple = (FixShapes(), Simplify())
    named = (*simple, FuseNormalization(), FuseActivation())
    assert rewrites(whole, device, backends=("onnxruntime",)) == (
        (FixShapes(),),
        simple,
        named,
        (*named, FuseAttention()),
    )
    assert rewrites(holding(summary, "Conv"), device, backends=("openvino",)) == (
        (FixShapes(),),
        simple,
    )


def test_masks_are_dropped_where_there_is_a_promise_and_guards_where_attention_does_not_do_it(
    summary: ModelSummary, device: Device
) -> None:
    plain, guarded = holding(summary, "Softmax"), holding(summary, "Softmax", "IsNaN")
    elsewhere = holding(summary, "IsNaN")
    promised = rewrites(plain, device, backends=("openvino",), constant_inputs={"m": 1.0})
    masks = DropMasks(constant_inputs=(("m", 1.0),))
    dropped = (FixShapes(), Simplify(), masks)
    assert promised[-2:] == ((*dropped, FuseAttention()), (*dropped, PlainAttention()))
    last = rewrites(guarded, device, backends=("onnxruntime",))[-1]
    assert last == (FixShapes(), Simplify(), FuseAttention())
    last = rewrites(elsewhere, device, backends=("onnxruntime",))[-1]
    assert last == (FixShapes(), Simplify(), DropMasks())


def test_the_plain_form_of_attention_is_for_openvino(summary: ModelSummary, device: Device) -> None:
    whole = holding(summary, "Softmax")
    plain = (FixShapes(), Simplify(), PlainAttention())
    assert plain in rewrites(whole, device, backends=("onnxruntime", "openvino"))
    assert plain not in rewrites(whole, device, backends=("onnxruntime",))


def test_every_rewriting_of_the_table_is_legal_and_part_of_the_agenda(
    summary: ModelSummary, device: Device
) -> None:
    everything = holding(summary, *(kind for kinds in REWRITINGS.values() for kind in kinds))
    both = ("onnxruntime", "openvino")
    found = rewrites(everything, device, backends=both, constant_inputs={"x": 1.0})
    assert {type(recipe) for chain in found for recipe in chain[1:]} == set(REWRITINGS)
    assert [why for chain in found if (why := legal(chain))] == []
    whole = agenda(everything, device, backends=both, constant_inputs={"x": 1.0})
    assert whole.rewrites == found


def test_nncf_goes_without_zero_points_first_and_further_schemes_are_for_transformers(
    summary: ModelSummary, device: Device
) -> None:
    def schemes(of: ModelSummary) -> list[tuple[bool, bool]]:
        found = agenda(of, device, backends=("openvino",)).bodies
        ends = [(body.recipes[-1], body.finer_ranges) for body in found]
        return [(r.symmetric, finer) for r, finer in ends
                if isinstance(r, Int8Static) and r.toolkit == "nncf"]  # fmt: skip

    softmax = summary.operators[0].model_copy(update={"kind": "Softmax"})
    attentive = summary.model_copy(update={"operators": (*summary.operators, softmax)})
    assert schemes(summary) == [(True, False), (False, True)]
    assert schemes(attentive) == [(True, False), (False, False), (True, False)]

"""What the contract's `padding_mask` means for a model: where nobody reads its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fitwright.analyze.complaints import did_you_mean
from fitwright.analyze.conform import bound_shape
from fitwright.analyze.signature import Signature
from fitwright.errors import ContractError, ModelRefused
from fitwright.graph.own_length import token_axes
from fitwright.graph.summary import summarize
from fitwright.records.contract import Contract
from fitwright.records.model import ModelSummary
from fitwright.records.need import Padding

_WHOLE_NUMBERS = ("int", "uint", "bool")


def padding_of(
    model: Path,
    contract: Contract,
    signature: Signature,
    summary: ModelSummary,
    *,
    shapes: Mapping[str, int],
) -> Padding | str | None:
    """The promise for this model; why shorter queries cannot be computed shorter; None: no promise.

    The model is read a second time, for queries half as long: what is half as long then is
    counted in tokens. Call it in a child process.

    Args:
        shapes: sizes that `summary` was made with.

    Raises:
        ContractError: the input named is none of the model's, or cannot be a mask.
    """
    mask = contract.padding_mask
    if mask is None:
        return None
    _check_mask(mask, summary)
    symbol = signature.shapes[mask][1]
    longest = bound_shape(next(i for i in summary.inputs if i.name == mask), summary)[1]
    if not isinstance(symbol, str):
        return f"the model takes {longest} tokens and no fewer: export it with a free length"
    if longest < 2:
        return "a query of one token has no padding"
    half = longest // 2
    try:
        shorter = summarize(model, shapes={**shapes, symbol: half}, batch=contract.traffic.batch)
    except ModelRefused as error:
        return f"the model cannot be read at {half} tokens: {error.rule}"
    try:
        outputs = _counted_in_tokens(summary, shorter, longest=longest, half=half)
    except ModelRefused as error:
        return error.rule
    return Padding(mask=mask, symbol=symbol, longest=longest, outputs=outputs)


def _check_mask(mask: str, summary: ModelSummary) -> None:
    inputs = {i.name: i for i in summary.inputs}
    if mask not in inputs:
        raise ContractError(
            f"padding_mask: the model has no input '{mask}'; {did_you_mean(mask, inputs)}",
            code="FW116",
            remedy="Correct 'padding_mask', or remove it.",
        )
    info = inputs[mask]
    if len(info.shape) != 2 or not info.dtype.startswith(_WHOLE_NUMBERS):
        raise ContractError(
            f"padding_mask: '{mask}' is {info.dtype} of {len(info.shape)} axes; a mask holds whole "
            "numbers or truth values, (batch, tokens)",
            code="FW129",
            remedy="Name the input that is zero where a query is padding, or remove the line.",
        )


def _counted_in_tokens(
    summary: ModelSummary, shorter: ModelSummary, *, longest: int, half: int
) -> tuple[tuple[str, int], ...]:
    """Output and axis.

    Raises:
        ModelRefused: an output changes otherwise.
    """
    return tuple(
        (whole.name, axis)
        for whole, part in zip(summary.outputs, shorter.outputs, strict=True)
        for axis in token_axes(whole.name, part.shape, whole.shape, length=half, longest=longest)
    )

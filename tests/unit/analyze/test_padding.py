"""What the promise about padding means for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fitwright.analyze.padding import padding_of
from fitwright.analyze.signature import read_signature
from fitwright.errors import ContractError
from fitwright.graph.summary import summarize
from fitwright.records.contract import Contract
from fitwright.records.need import Padding
from fitwright.testing.models import write_masked_encoder, write_two_layers


def promised(model: Path, mask: str | None, **shapes: int) -> Any:
    contract = Contract(model=str(model), padding_mask=mask)
    summary = summarize(model, shapes=shapes, batch=1)
    return padding_of(model, contract, read_signature(model), summary, shapes=shapes)


def test_outputs_with_a_value_per_token_are_found_by_reading_at_another_length(
    tmp_path: Path,
) -> None:
    model = write_masked_encoder(tmp_path / "m.onnx")
    assert promised(model, "mask", tokens=32) == Padding(
        mask="mask", symbol="tokens", longest=32, outputs=(("states", 1),)
    )


def test_without_the_promise_there_is_nothing(tmp_path: Path) -> None:
    assert promised(write_masked_encoder(tmp_path / "m.onnx"), None, tokens=32) is None


def test_a_model_of_fixed_length_is_told_to_be_exported_with_a_free_one(tmp_path: Path) -> None:
    model = write_masked_encoder(tmp_path / "m.onnx", tokens=16)
    assert "takes 16 tokens and no fewer" in promised(model, "mask")


def test_an_input_that_the_model_lacks_is_refused_with_a_guess(tmp_path: Path) -> None:
    model = write_masked_encoder(tmp_path / "m.onnx")
    with pytest.raises(ContractError, match=r"padding_mask.*masc.*mask") as error:
        promised(model, "masc", tokens=8)
    assert error.value.code == "FW116"


def test_an_input_of_floating_point_numbers_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="float32 of 2 axes") as error:
        promised(write_two_layers(tmp_path / "m.onnx"), "x")
    assert error.value.code == "FW129"

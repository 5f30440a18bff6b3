from __future__ import annotations

import pytest

from fitwright.validate.domains import inputs as read


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("half", "float16"),
        ("FP16", "float16"),
        ("torch.float16", "float16"),
        ("fp16 (float model)", "float16"),
        ("amp bf16", "bfloat16"),
        ("float", "float32"),
        ("FP8_E4M3", "float8"),
        ("UINT4", "int4"),
        ("uint8", "int8"),
        ("int8,fp16", "int8"),
        ("mixed", ""),
    ],
)
def test_dtypes_are_known_by_every_usual_spelling(spelled: str, name: str) -> None:
    assert read.dtype({"precision": spelled}, "precision") == name


def test_names_of_inputs_are_found_whatever_the_case_of_their_letters() -> None:
    inputs = {"GMACS": "4.1", "Batch": 8.0}
    assert read.number(inputs, "gmacs") == 4.1
    assert read.number(inputs, "batch", "batch_size") == 8


def test_what_is_null_or_no_number_is_passed_over() -> None:
    inputs = {"gmacs": None, "gops": float("nan"), "flops": "", "macs": "2.5 G"}
    assert read.number(inputs, "gmacs", "gops", "flops", "macs") == 2.5


def test_names_of_inputs_are_found_however_their_words_are_separated() -> None:
    assert read.number({"ReuseFactor": 8}, "reuse_factor") == 8
    assert read.number({"batch size": "b16"}, "batch", "batch_size") == 16


@pytest.mark.parametrize("given", [224, "224", "224x224", "3x224x224", "3,224,224"])
def test_the_side_of_an_image_is_its_longest(given: object) -> None:
    assert read.side({"input": given}) == 224

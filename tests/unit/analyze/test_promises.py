"""Inputs promised to be constant, held against the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitwright.analyze.promises import check_constant_inputs
from fitwright.analyze.samples import load_samples
from fitwright.errors import ContractError
from fitwright.records.contract import Contract, Data, InputRange

INPUTS = (("ids", "int64", (1, 4)), ("mask", "int64", (1, 4)))


@pytest.fixture
def check(tmp_path: Path, summary_of):
    """Check the promise against arrays, or against synthetic queries when there are none."""

    def run(promises: dict[str, float], mask: Any = None, **more: Any) -> Any:
        if mask is not None:
            np.savez(tmp_path / "data.npz", ids=np.zeros((8, 4), np.int64), mask=mask)
            more["data"] = Data(source="data.npz")
        contract = Contract(model="m", constant_inputs=promises, **more)
        summary = summary_of(*INPUTS)
        split = load_samples(contract, tmp_path, summary)
        check_constant_inputs(contract, summary, split)
        return split

    return run


def test_data_that_keeps_the_promise_passes(check) -> None:
    check({"mask": 1}, np.ones((8, 4), np.int64))


def test_one_other_value_anywhere_breaks_it(check) -> None:
    mask = np.ones((8, 4), np.int64)
    mask[5, 3] = 0
    with pytest.raises(ContractError, match=r"promised to be 1 always.*for instance 0") as error:
        check({"mask": 1}, mask)
    assert error.value.code == "FW120"


def test_a_name_that_the_model_lacks_is_refused_with_a_guess(check) -> None:
    with pytest.raises(ContractError, match=r"constant_inputs\.masc.*mask"):
        check({"masc": 1}, np.ones((8, 4), np.int64))


def test_synthetic_queries_keep_the_promise_whatever_range_is_stated(check) -> None:
    split = check({"ids": 1}, inputs={"ids": InputRange(low=0, high=9)})
    assert (split.evaluation.inputs["ids"] == 1).all()
    assert "always 1" in split.notes[0]


def test_a_value_that_the_type_cannot_hold_is_no_promise(check) -> None:
    with pytest.raises(ContractError, match=r"promised to be 0\.5"):
        check({"mask": 0.5})

"""Calibration data: how much, spread how, and said to be from where."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from fitwright.adapt.calibration import (
    calibration_in_runs,
    calibration_note,
    cut_calibration,
    num_calibration_queries,
    write_calibration,
)
from fitwright.ports import Samples
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings


def samples(num: int, *, origin: Literal["contract", "synthetic"] = "contract") -> Samples:
    x = np.arange(num, dtype=np.float32).reshape(num, 1, 1)
    return Samples(inputs={"x": x, "ids": x.astype(np.int64)}, labels=None, origin=origin)


def test_queries_are_spread_over_all_samples(tmp_path: Path) -> None:
    write_calibration(samples(100), tmp_path / "c.npz", num_queries=4)
    with np.load(tmp_path / "c.npz") as archive:
        assert archive["x"].ravel().tolist() == [0, 33, 66, 99]
        assert archive["ids"].dtype == np.int64


def test_fewer_samples_are_all_used(tmp_path: Path) -> None:
    note = write_calibration(samples(3), tmp_path / "c.npz", num_queries=64)
    assert note == "calibrated on 3 samples of the contract's data"


def test_the_note_is_kept_beside_the_data(tmp_path: Path) -> None:
    out = tmp_path / "c.npz"
    note = write_calibration(samples(5, origin="synthetic"), out, num_queries=4)
    assert "4 synthetic samples" in note
    assert calibration_note(out) == note


def test_a_model_that_takes_several_queries_is_calibrated_on_runs_of_them(tmp_path: Path) -> None:
    one_by_one = tmp_path / "c.npz"
    note = write_calibration(samples(6), one_by_one)
    assert calibration_in_runs(one_by_one, Settings()) == one_by_one
    together = calibration_in_runs(one_by_one, Settings(batch=4))
    with np.load(together) as archive:
        assert archive["x"].shape == (2, 4, 1)
        assert archive["x"].ravel().tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
        assert archive["ids"].dtype == np.int64
    assert calibration_note(together) == note
    assert calibration_in_runs(one_by_one, Settings(batch=4)) == together


def test_a_model_that_takes_a_part_of_a_query_is_calibrated_on_parts(tmp_path: Path) -> None:
    whole = tmp_path / "c.npz"
    x = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    note = write_calibration(Samples(inputs={"x": x}, labels=None, origin="contract"), whole)
    cut = calibration_in_runs(whole, Settings(parts=2))
    with np.load(cut) as archive:
        assert archive["x"].shape == (6, 2, 2)
        assert archive["x"].ravel().tolist() == x.ravel().tolist()
    assert calibration_note(cut) == note


def test_a_model_of_shorter_queries_is_calibrated_on_their_beginnings(tmp_path: Path) -> None:
    whole = tmp_path / "c.npz"
    ids = np.arange(24).reshape(2, 1, 12)
    given = Samples(inputs={"ids": ids, "x": np.ones((2, 1, 3))}, labels=None, origin="contract")
    note = write_calibration(given, whole)
    cut = cut_calibration(whole, shapes={"ids": (1, 5), "x": (1, 3)})
    with np.load(cut) as archive:
        assert archive["ids"].tolist() == [[[0, 1, 2, 3, 4]], [[12, 13, 14, 15, 16]]]
        assert archive["x"].shape == (2, 1, 3)
    assert calibration_note(cut) == note
    assert cut_calibration(whole, shapes={"ids": (1, 4), "x": (1, 3)}) != cut


def test_large_inputs_are_taken_in_smaller_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fitwright.adapt.calibration._MAX_BYTES", 40)
    # 4 bytes of x and 8 of ids per query: three fit in 40 bytes.
    assert "on 3 samples" in write_calibration(samples(9), tmp_path / "c.npz", num_queries=9)


@pytest.mark.parametrize(("flops", "queries"), [(10**6, 128), (8 * 10**9, 100), (10**12, 16)])
def test_heavy_models_are_calibrated_on_fewer_queries(
    flops: int, queries: int, summary: ModelSummary
) -> None:
    operator = summary.operators[0].model_copy(update={"flops": flops})
    heavy = summary.model_copy(update={"operators": (operator,)})
    assert num_calibration_queries(heavy) == queries

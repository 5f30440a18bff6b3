"""A run on disk holds whole records, or what it held before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fitwright.errors import StorageError, UsageError
from fitwright.records.contract import Contract
from fitwright.records.plan import Settings
from fitwright.records.run import RunFolder, write_atomically
from fitwright.records.trial import Candidate, Trial
from fitwright.records.verdict import Verdict


def trial(number: int) -> Trial:
    candidate = Candidate(variant_id="a", title="original", backend="b", settings=Settings())
    return Trial(number=number, round=1, candidate=candidate, decision="baseline", reason="first")


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run, contract = RunFolder(tmp_path / "r"), Contract(model="m.onnx")
    assert not run.has(Contract)
    run.write(contract)
    assert run.has(Contract)
    assert run.read(Contract) == contract


def test_trials_come_back_in_order(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for number in (10, 2, 1):
        run.record_trial(trial(number))
    assert [t.number for t in run.trials()] == [1, 2, 10]


def test_a_full_disk_leaves_the_old_record_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    run = RunFolder(tmp_path)
    run.write(Contract(model="old.onnx"))
    before = files(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        run.write(Contract(model="new.onnx"))
    assert caught.value.code == "FW520"
    assert files(tmp_path) == before
    assert run.read(Contract).model == "old.onnx"


def test_a_full_disk_leaves_no_new_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError):
        RunFolder(tmp_path / "runs" / "m-1").record_trial(trial(1))
    assert files(tmp_path) == []


def test_a_failing_write_keeps_what_others_put_beside_it(tmp_path: Path, monkeypatch) -> None:
    def fill_and_fail(_: int) -> None:
        (tmp_path / "a" / "other").touch()
        full(0)

    monkeypatch.setattr(os, "fsync", fill_and_fail)
    with pytest.raises(StorageError):
        write_atomically(tmp_path / "a" / "b" / "file", b"content")
    assert files(tmp_path) == ["a", "a/other"]


def test_a_file_in_place_of_a_folder_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(StorageError, match=r"under .*runs/m-1: ") as caught:
        RunFolder(tmp_path / "runs" / "m-1").write(Contract(model="m"))
    assert caught.value.code == "FW521"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no contract\.json") as caught:
        RunFolder(tmp_path).read(Contract)
    assert caught.value.code == "FW101"


@pytest.mark.parametrize("content", ["", "{", "{}", '{"model": "m", "unknown": 1}', "[]"])
def test_a_damaged_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "contract.json").write_text(content)
    with pytest.raises(UsageError) as caught:
        RunFolder(tmp_path).read(Contract)
    assert caught.value.code == "FW102"


def test_a_damaged_trial_is_refused_by_its_name(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.record_trial(trial(1))
    (tmp_path / "trials" / "0001.json").write_text("{")
    with pytest.raises(UsageError, match=r"0001\.json is not a Trial") as caught:
        run.trials()
    assert caught.value.code == "FW102"


def test_the_records_have_the_names_of_the_design(tmp_path: Path) -> None:
    for kind, name in ((Contract, "contract.json"), (Verdict, "6-verdict.json")):
        with pytest.raises(UsageError, match=name):
            RunFolder(tmp_path).read(kind)

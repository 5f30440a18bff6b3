"""A run on disk holds whole records, or what it held before."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from fitwright.errors import StorageError, UsageError
from fitwright.records.contract import Contract
from fitwright.records.plan import Settings
from fitwright.records.run import RunFolder, write_atomically
from fitwright.records.trial import Candidate, Trial
from fitwright.records.verdict import Verdict
from fitwright.testing.fake_store import FakeStore


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
        RunFolder(tmp_path / "runs" / "m-1").write(Contract(model="m.onnx"))
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


def one_file_each(folder: Path, *numbers: int) -> list[Trial]:
    """Trials as runs before `trials.db` kept them."""
    trials = [trial(number) for number in numbers]
    for old in trials:
        write_atomically(folder / "trials" / f"{old.number:04d}.json", old.to_json().encode())
    return trials


def test_the_trials_of_an_old_run_are_read_and_reading_changes_nothing(tmp_path: Path) -> None:
    old = one_file_each(tmp_path, 1, 2)
    before = files(tmp_path)
    assert RunFolder(tmp_path).trials() == tuple(old)
    assert files(tmp_path) == before


def test_an_old_run_goes_on_in_the_store_with_all_its_trials(tmp_path: Path) -> None:
    old = one_file_each(tmp_path, 1, 2)
    new = trial(3)
    RunFolder(tmp_path).record_trial(new)
    assert RunFolder(tmp_path).trials() == (*old, new)


def test_an_old_run_killed_while_its_store_was_made_loses_nothing(tmp_path: Path) -> None:
    old = one_file_each(tmp_path, 1, 2)
    run = RunFolder(tmp_path)
    run.store.claim("any", worker="one")  # the tables are there, no trial yet
    assert RunFolder(tmp_path).trials() == tuple(old)
    RunFolder(tmp_path).record_trial(trial(3))
    assert len(RunFolder(tmp_path).trials()) == 3


def test_a_damaged_trial_is_refused_by_its_name(tmp_path: Path) -> None:
    one_file_each(tmp_path, 1)
    (tmp_path / "trials" / "0001.json").write_text("{")
    with pytest.raises(UsageError, match=r"0001\.json is not a Trial") as caught:
        RunFolder(tmp_path).trials()
    assert caught.value.code == "FW102"


def test_a_trial_of_another_version_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path).record_trial(trial(1))
    with contextlib.closing(sqlite3.connect(tmp_path / "trials.db")) as other, other:
        other.execute("UPDATE fitwright_trials SET document = '{}'")
    with pytest.raises(UsageError, match=r"trials\.db holds a trial that this version") as caught:
        RunFolder(tmp_path).trials()
    assert caught.value.code == "FW102"


def test_a_run_moves_with_its_trials(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "here")
    run.record_trial(trial(1))
    (tmp_path / "here").rename(tmp_path / "there")
    assert RunFolder(tmp_path / "there").trials() == (trial(1),)


def test_the_database_file_alone_holds_every_trial(tmp_path: Path) -> None:
    RunFolder(tmp_path / "whole").record_trial(trial(1))
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "whole" / "trials.db", tmp_path / "copy" / "trials.db")
    assert RunFolder(tmp_path / "copy").trials() == (trial(1),)


def test_a_run_that_shares_its_trials_keeps_a_copy_of_everybodys(tmp_path: Path) -> None:
    shared = FakeStore()
    ours, theirs = (RunFolder(tmp_path / n, shared=shared) for n in ("ours", "theirs"))
    kept = [ours.record_trial(trial(1)), theirs.record_trial(trial(1))]
    assert kept[0] == kept[1], "the same trial is one"
    other = theirs.record_trial(trial(1).model_copy(update={"reason": "another"}))
    assert other.number == 2
    assert ours.trials() == (kept[0], other)
    assert RunFolder(tmp_path / "ours").trials() == (kept[0], other)


def test_the_records_have_the_names_of_the_design(tmp_path: Path) -> None:
    for kind, name in ((Contract, "contract.json"), (Verdict, "6-verdict.json")):
        with pytest.raises(UsageError, match=name):
            RunFolder(tmp_path).read(kind)

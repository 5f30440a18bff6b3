"""Two drivers of one run: the second is told who has it, and goes on where a killed one ended."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

import stub_roles
from fitwright.records.run import RunFolder
from fitwright.records.trial import Trial
from fitwright.store.open import url_store
from nursery import Nursery, notes
from postgres_server import postgres_programs

pytestmark = pytest.mark.slow

KILLED = -9
PATIENCE_S = 120.0
PROGRAMS = postgres_programs()
NEEDS_POSTGRES = pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server (initdb) here")
NewFolder = Callable[[], Path]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=NEEDS_POSTGRES)])
def new_folder(request: pytest.FixtureRequest, tmp_path: Path) -> NewFolder:
    """Makes a folder whose drivers share a database that keeps no run of theirs yet."""

    def made() -> Path:
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        url = f"sqlite:///{folder / 'shared.db'}"
        if request.param == "postgres":
            url = request.getfixturevalue("postgres")
        (folder / stub_roles.URL).write_text(url)
        return folder

    return made


def trials_of(folder: Path) -> tuple[Trial, ...]:
    url = (folder / stub_roles.URL).read_text()
    return url_store(url, run=folder.name, read=Trial.model_validate_json).trials()


def of(folder: Path, life: str, what: str) -> list[dict[str, object]]:
    """The lines of one life that tell of that."""
    return [line for line in notes(folder) if line["life"] == life and what in line]


def wait_for(folder: Path, life: str, what: str, *, number: int = 1) -> None:
    end = time.monotonic() + PATIENCE_S
    while len(of(folder, life, what)) < number:
        assert time.monotonic() < end, notes(folder)
        time.sleep(0.005)


def check_nothing_is_lost_or_twice(folder: Path) -> None:
    trials = trials_of(folder)
    assert [t.number for t in trials] == list(range(1, len(trials) + 1))
    told = [(n["number"], n["recorded"]) for n in notes(folder) if "recorded" in n]
    assert len(told) == len(set(told)), "a trial was told twice"
    assert set(told) <= {(t.number, t.candidate.key) for t in trials}, "a trial was lost"
    raced = [(t.candidate.key, t.round) for t in trials if t.stage == "short"]
    assert len(raced) == len(set(raced)), "a candidate was measured by both"


@pytest.fixture
def undisturbed(stable: Nursery, new_folder: NewFolder) -> tuple[str, int]:
    """What a driver alone ends with, and after how many trials."""
    folder = new_folder()
    assert stable.wait(stable.start("share", folder, "alone.run.here")) == 0
    (line,) = of(folder, "alone", "finished")
    return str(line["finished"]), len(trials_of(folder))


@pytest.mark.parametrize("second", ["run", "copy"])
def test_a_second_driver_is_refused_by_name_and_finishes_once_the_first_is_killed(
    stable: Nursery, new_folder: NewFolder, undisturbed: tuple[str, int], second: str
) -> None:
    folder = new_folder()
    first = stable.start("share", folder, "first.run.stay")
    wait_for(folder, "first", "opened", number=4)
    if second == "copy":
        (folder / "copy").mkdir()  # all that the database keeps is there; who asks has no folder
    before = time.monotonic()
    assert stable.wait(stable.start("share", folder, f"second.{second}.here")) == 0
    seconds = time.monotonic() - before
    assert stable.kill(first) == KILLED
    (refused,) = of(folder, "second", "ended")
    assert refused["ended"] == "FW121"
    assert f"process {first} on " in str(refused["text"])
    assert seconds < stub_roles.LEASE_S, "a process of this machine is not waited for"
    assert of(folder, "second", "opened") == [], "nothing was measured beside the first"
    num_before = len(trials_of(folder))
    before = time.monotonic()
    assert stable.wait(stable.start("share", folder, "third.run.here")) == 0
    assert time.monotonic() - before < stub_roles.LEASE_S, "nor is a dead one"
    (line,) = of(folder, "third", "finished")
    assert (line["finished"], len(trials_of(folder))) == undisturbed
    assert num_before < len(trials_of(folder))
    check_nothing_is_lost_or_twice(folder)


def test_a_killed_driver_of_another_machine_is_waited_for_as_long_as_its_lease(
    stable: Nursery, new_folder: NewFolder, undisturbed: tuple[str, int]
) -> None:
    folder = new_folder()
    first = stable.start("share", folder, "first.run.far")
    wait_for(folder, "first", "recorded")
    assert stable.kill(first) == KILLED
    before = time.monotonic()
    assert stable.wait(stable.start("share", folder, "second.run.far")) == 0
    assert time.monotonic() - before > stub_roles.SHORT_LEASE_S
    (line,) = of(folder, "second", "finished")
    assert (line["finished"], len(trials_of(folder))) == undisturbed
    check_nothing_is_lost_or_twice(folder)


def test_a_driver_that_was_silent_for_too_long_records_nothing_after_another_took_over(
    stable: Nursery, new_folder: NewFolder, undisturbed: tuple[str, int]
) -> None:
    folder = new_folder()
    first = stable.start("share", folder, "first.run.mute")
    wait_for(folder, "first", "opened")
    shutil.copytree(folder / "run", folder / "other")
    assert stable.wait(stable.start("share", folder, "second.other.far")) == 0
    assert of(folder, "second", "finished"), notes(folder)
    after = trials_of(folder)
    (folder / stub_roles.ENOUGH).touch()
    assert stable.wait(first) == 0
    (line,) = of(folder, "first", "ended")
    assert line["ended"] == "FW500"
    assert trials_of(folder) == after
    assert len(after) == undisturbed[1]
    check_nothing_is_lost_or_twice(folder)


def test_an_older_copy_of_a_run_that_went_on_elsewhere_is_refused(
    stable: Nursery, new_folder: NewFolder
) -> None:
    folder = new_folder()
    first = stable.start("share", folder, "first.run.mute")
    wait_for(folder, "first", "opened")  # nothing but the original is there
    assert stable.kill(first) == KILLED
    shutil.copytree(folder / "run", folder / "old")
    assert stable.wait(stable.start("share", folder, "second.run.far")) == 0
    after = trials_of(folder)
    assert stable.wait(stable.start("share", folder, "third.old.far")) == 0
    (line,) = of(folder, "third", "ended")
    assert line["ended"] == "FW162"
    assert trials_of(folder) == after


def test_what_a_killed_driver_was_making_is_gone_when_the_run_goes_on(
    stable: Nursery, new_folder: NewFolder
) -> None:
    """Even where its process id is in use again, as after a restart of the machine."""
    folder = new_folder()
    first = stable.start("share", folder, "first.run.stay")
    wait_for(folder, "first", "opened", number=4)
    assert stable.kill(first) == KILLED
    run = RunFolder(folder / "run")
    half_made = run.variants / f".making-{psutil.Process().pid}-abc"
    half_made.mkdir(parents=True)
    (half_made / "model.onnx").touch()
    torn = run.path / ".4-adapted.json.k2j4h5g6"
    torn.write_text("{")
    assert stable.wait(stable.start("share", folder, "second.run.here")) == 0
    assert of(folder, "second", "finished")
    assert list(run.variants.glob(".making-*")) == []
    assert not torn.exists()

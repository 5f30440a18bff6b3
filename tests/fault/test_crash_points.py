"""SIGKILL at random moments: nothing that was finished is lost, little is done twice.

60 moments by default; ``FITWRIGHT_CRASH_POINTS=200`` is the long variant.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

import stub_roles
from fitwright.records.recipe import Adapted
from fitwright.records.run import RunFolder
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.tune.proposal import RUNOFF
from nursery import Nursery, notes, nursery

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("FITWRIGHT_CRASH_POINTS", "60"))
SEED = 3
KILLED = -9


@pytest.fixture(scope="module")
def stable() -> Iterator[Nursery]:
    with nursery(Path(stub_roles.__file__)) as found:
        yield found
        assert psutil.Process(found.process.pid).children(recursive=True) == []


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A search that nobody kills: what it ends with, and how long that takes."""

    best: str
    seconds: float
    num_short: int


@pytest.fixture(scope="module")
def undisturbed(stable: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    start = time.monotonic()
    assert stable.wait(stable.start("drive", folder)) == 0
    return Undisturbed(
        best=notes(folder)[-1]["finished"],
        seconds=time.monotonic() - start,
        num_short=sum(t.stage == "short" for t in RunFolder(folder / "run").trials()),
    )


@dataclass
class Victim:
    """One run whose driver is killed again and again until it comes to its end."""

    folder: Path
    lives: list[str] = field(default_factory=list)

    def live(self, stable: Nursery, *, seconds: float) -> int:
        """A driver of the run until the moment of the kill; its status."""
        self.lives.append(str(len(self.lives)))
        pid = stable.start("drive", self.folder, self.lives[-1])
        end = time.monotonic() + seconds
        while time.monotonic() < end and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(min(0.005, max(end - time.monotonic(), 0.0)))
        return stable.kill(pid)

    def trials(self) -> tuple[Trial, ...]:
        return RunFolder(self.folder / "run").trials()

    def check_nothing_is_lost(self) -> None:
        """What was told to be recorded is there, once, and every record can be read."""
        trials = self.trials()
        assert [t.number for t in trials] == list(range(1, len(trials) + 1))
        kept = {(t.number, t.stage) for t in trials}
        told = [(n["number"], n["stage"]) for n in notes(self.folder) if "number" in n]
        assert len(told) == len(set(told)), "a trial was told twice"
        assert set(told) <= kept, "a recorded trial was lost"
        assert len(kept) - len(told) <= len(self.lives), "trials came from nowhere"
        # a run-off races a candidate once more on purpose, and once only
        short = [(t.candidate.key, t.round == RUNOFF) for t in trials if t.stage == "short"]
        assert len(short) == len(set(short)), "a finished trial was repeated"
        run = RunFolder(self.folder / "run")
        for kind in (Adapted, Verdict):
            if run.has(kind):
                run.read(kind)

    def num_redone(self) -> int:
        """Candidates that were begun once more because a kill came before their record."""
        begun: set[str] = set()
        done: set[str] = set()
        again, life = 0, ""
        for line in notes(self.folder):
            if line["life"] != life:
                life, before = line["life"], begun - done
            if "recorded" in line:
                done.add(line["recorded"])
            elif "opened" in line and line["opened"] not in done:
                again += line["opened"] in before
                before.discard(line["opened"])
                begun.add(line["opened"])
        return again


def test_a_driver_killed_at_any_moment_loses_nothing_and_comes_to_the_same_end(
    stable: Nursery, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    moments = random.Random(SEED)
    num_kills, num_redone, finished = 0, 0, []
    victim = Victim(tmp_path / "0")
    victim.folder.mkdir()
    while num_kills < NUM_KILLS or not finished:
        status = victim.live(stable, seconds=moments.uniform(0, undisturbed.seconds / 3))
        victim.check_nothing_is_lost()
        if status == KILLED:
            num_kills += 1
            continue
        assert status == 0
        finished.append(notes(victim.folder)[-1]["finished"])
        num_redone += victim.num_redone()
        victim = Victim(tmp_path / str(len(finished)))
        victim.folder.mkdir()
    assert set(finished) == {undisturbed.best}
    assert num_redone + victim.num_redone() <= num_kills
    # a life shorter than the way to the first trial redoes nothing; most must be longer
    assert num_redone + victim.num_redone() >= num_kills / 10, "the kills came too early"


def test_a_resumed_run_begins_with_every_trial_there_is(
    stable: Nursery, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    victim = Victim(tmp_path)
    while not len(victim.trials()) >= undisturbed.num_short / 2:
        victim.live(stable, seconds=undisturbed.seconds / 3)
    before = victim.trials()
    assert stable.wait(stable.start("drive", victim.folder, "last")) == 0
    after = victim.trials()
    assert after[: len(before)] == before
    assert notes(victim.folder)[-1]["finished"] == undisturbed.best

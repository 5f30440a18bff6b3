"""SIGKILL at random moments: nothing that was finished is lost, little is done twice.

A moment is a number of steps of the victim and a little time, so that they spread over the whole
search however fast the machine is.

60 moments by default; ``FITWRIGHT_CRASH_POINTS=200`` is the long variant.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from fitwright.records.recipe import Adapted
from fitwright.records.run import RunFolder
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.tune.proposal import RUNOFF
from nursery import Nursery, notes

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("FITWRIGHT_CRASH_POINTS", "60"))
SEED = 3
KILLED = -9


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A search that nobody kills: what it ends with, and how much it notes until then.

    Attributes:
        num_notes: lines of its side log: one when a child is opened, one when a trial is kept.
        note_s: mean time from one line to the next, seconds.
    """

    best: str
    num_notes: int
    note_s: float
    num_short: int


@pytest.fixture(scope="module")
def undisturbed(stable: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    start = time.monotonic()
    assert stable.wait(stable.start("drive", folder)) == 0
    seconds, found = time.monotonic() - start, notes(folder)
    return Undisturbed(
        best=found[-1]["finished"],
        num_notes=len(found),
        note_s=seconds / len(found),
        num_short=sum(t.stage == "short" for t in RunFolder(folder / "run").trials()),
    )


@dataclass
class Victim:
    """One run whose driver is killed again and again until it comes to its end."""

    folder: Path
    lives: list[str] = field(default_factory=list)

    def live(self, stable: Nursery, *, num_notes: int, seconds: float = 0.0) -> int:
        """A driver until it has noted so many lines and some seconds more; its status."""
        self.lives.append(str(len(self.lives)))
        before = len(notes(self.folder))
        pid = stable.start("drive", self.folder, self.lives[-1])
        while (
            len(notes(self.folder)) - before < num_notes
            and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        ):
            time.sleep(0.001)
        time.sleep(seconds)
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
        status = victim.live(
            stable,
            num_notes=moments.randint(0, undisturbed.num_notes // 3),
            seconds=moments.uniform(0, 2 * undisturbed.note_s),
        )
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
    # a kill between two trials redoes nothing; a good part must fall into one
    assert num_redone + victim.num_redone() >= num_kills / 10, "the kills came too early"


def test_a_resumed_run_begins_with_every_trial_there_is(
    stable: Nursery, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    victim = Victim(tmp_path)
    while not len(victim.trials()) >= undisturbed.num_short / 2:
        victim.live(stable, num_notes=undisturbed.num_notes // 3)
    before = victim.trials()
    assert stable.wait(stable.start("drive", victim.folder, "last")) == 0
    after = victim.trials()
    assert after[: len(before)] == before
    assert notes(victim.folder)[-1]["finished"] == undisturbed.best

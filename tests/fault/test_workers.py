"""Workers that share a store and die: each candidate gets one trial, or a cause."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

import stub_roles
from fitwright.records.trial import Trial
from fitwright.store.open import url_store
from fitwright.store.store import SqlStore
from fitwright.store.work import give_up, tell
from fitwright.testing.fakes import FakeClock
from nursery import Nursery, notes
from postgres_server import postgres_programs

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("FITWRIGHT_CRASH_POINTS", "60")) // 3
SEED = 3
KILLED = -9
PATIENCE_S = 120.0
NUM_BEATS = 12
PROGRAMS = postgres_programs()
NEEDS_POSTGRES = pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server (initdb) here")

NewUrl = Callable[[], str]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=NEEDS_POSTGRES)])
def new_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Path]:
    """Makes a folder whose workers share a store that nobody has used before."""

    def made() -> Path:
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        url = f"sqlite:///{folder / 'shared.db'}"
        if request.param == "postgres":
            url = request.getfixturevalue("postgres")
        (folder / stub_roles.URL).write_text(url)
        return folder

    return made


def store_of(folder: Path, *, clock: Callable[[], float] = time.monotonic) -> SqlStore[Trial]:
    url = (folder / stub_roles.URL).read_text()
    return url_store(url, run=folder.name, read=Trial.model_validate_json, clock=clock)


def test_workers_killed_at_any_moment_leave_one_trial_for_each_candidate(
    stable: Nursery, new_folder: Callable[[], Path]
) -> None:
    moments, num_kills = random.Random(SEED), 0
    while num_kills < NUM_KILLS:
        num_kills += search_with_killed_workers(stable, new_folder(), moments=moments)


def search_with_killed_workers(stable: Nursery, folder: Path, *, moments: random.Random) -> int:
    """Three workers at any time until every candidate has its trial; the number of kills."""
    workers = {f"w{n}": stable.start("work", folder, f"w{n}") for n in range(3)}
    num_kills = 0
    while True:
        time.sleep(moments.uniform(0, 6 * stub_roles.TRIAL_S))
        status = stable.kill(workers.pop(moments.choice(sorted(workers))))
        assert status in (KILLED, 0)
        if status == 0:
            break  # it saw a trial for each candidate
        num_kills += 1
        name = f"w{num_kills + 2}"
        workers[name] = stable.start("work", folder, name)
    assert [stable.wait(pid) for pid in workers.values()] == [0] * len(workers)
    check_workers(folder, num_kills)
    return num_kills


def check_workers(folder: Path, num_kills: int) -> None:
    store = store_of(folder)
    trials = store.trials()
    assert [t.number for t in trials] == list(range(1, stub_roles.NUM_CANDIDATES + 1))
    assert sorted(t.candidate.variant_id for t in trials) == stub_roles.KEYS
    assert store.held() == ()
    lines = notes(folder)
    begun = [line["begun"] for line in lines if "begun" in line]
    assert len(begun) - len(set(begun)) <= num_kills, "more was redone than was killed"
    for trial in trials:
        if trial.failure is not None:
            assert begun.count(trial.candidate.variant_id) <= 2
            assert trial.failure.cause == "killed"
            assert "stopped answering" in trial.failure.detail
        else:
            assert begun.count(trial.candidate.variant_id) >= 1
    assert max(begun.count(key) for key in stub_roles.KEYS) <= 2
    told = {line["recorded"] for line in lines if "recorded" in line}
    failed = {t.candidate.variant_id for t in trials if t.failure}
    assert not told & failed, "a finished trial was given up"


def wait_for(folder: Path, number: int) -> None:
    """Until so many candidates were begun."""
    end = time.monotonic() + PATIENCE_S
    while sum("begun" in line for line in notes(folder)) < number:
        assert time.monotonic() < end, notes(folder)
        time.sleep(0.01)


def test_a_candidate_that_kills_its_worker_twice_is_recorded_with_the_cause(
    stable: Nursery, new_folder: Callable[[], Path]
) -> None:
    folder = new_folder()
    for attempt in (1, 2):
        pid = stable.start("hang", folder, f"victim-{attempt}")
        wait_for(folder, attempt)
        assert stable.kill(pid) == KILLED
    store = store_of(folder)
    assert store.claim("doomed", worker="third") is None
    (failed,) = give_up(
        store,
        lambda lease: Trial.given_up(
            stub_roles.candidate(lease.key), number=1, round_=1, worker=lease.worker
        ),
    )
    assert failed.decision == "failed"
    assert failed.reason == "killed: worker victim-2 stopped answering"
    assert store_of(folder).trials() == (failed,)


def test_a_worker_that_was_stopped_for_long_does_not_repeat_anothers_trial(
    stable: Nursery, new_folder: Callable[[], Path]
) -> None:
    folder = new_folder()
    pid = stable.start("linger", folder, "sleeper")
    wait_for(folder, 1)
    os.kill(pid, signal.SIGSTOP)
    other = store_of(folder)
    end = time.monotonic() + PATIENCE_S
    while (lease := other.claim("slow", worker="other", lease_s=30)) is None:
        assert time.monotonic() < end, "the silent worker was never thought dead"
        time.sleep(0.02)
    ours = tell(other, lease, lambda: stub_roles.rejected("slow", reason="other"))
    (folder / stub_roles.ENOUGH).touch()
    os.kill(pid, signal.SIGCONT)
    assert stable.wait(pid) == 0
    assert store_of(folder).trials() == (ours,)
    (told,) = (line for line in notes(folder) if "kept" in line)
    assert told["kept"] == "other", "it learns whose trial counts"


def test_a_beating_worker_keeps_its_candidate_for_longer_than_a_lease(
    stable: Nursery, new_folder: Callable[[], Path]
) -> None:
    """Time passes for the one that watches only as the other beats: no stall is a silence."""
    folder = new_folder()
    pid = stable.start("linger", folder, "patient")
    wait_for(folder, 1)
    clock = FakeClock()
    other, seen, end = store_of(folder, clock=clock), set[int](), time.monotonic() + PATIENCE_S
    while len(seen) < NUM_BEATS:
        assert other.abandoned() == ()
        ((_, beats),) = other._held()
        if beats not in seen:
            clock.now_s += stub_roles.SHORT_LEASE_S / 2
            seen.add(beats)
        assert time.monotonic() < end, f"only {len(seen)} beats"
        time.sleep(0.01)
    (folder / stub_roles.ENOUGH).touch()
    assert stable.wait(pid) == 0
    (kept,) = store_of(folder).trials()
    assert kept.reason == "patient"

"""Who is alive, told without a clock where that is possible."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from fitwright.errors import StorageError
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Trial
from fitwright.store import lease as leases
from fitwright.store.heartbeat import heartbeat
from fitwright.store.lease import Lease, is_gone, this_process, this_worker
from fitwright.store.work import ask, give_up, tell
from fitwright.testing.fake_store import FakeStore
from fitwright.testing.fakes import FakeClock

TELL = "from fitwright.store.lease import this_process; print(this_process(), flush=True); input()"
KNOWN = pytest.mark.skipif(not this_process(), reason="this system has no /proc")


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A living process, and how it identifies itself."""
    command = [sys.executable, "-c", TELL]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def lease(key: str = "k", *, attempt: int = 1, lease_s: float = 30.0) -> Lease:
    return Lease(key=key, worker="w", process="", attempt=attempt, lease_s=lease_s)


def trial(key: str) -> Trial:
    candidate = Candidate(variant_id=key, title=key, backend="b", settings=Settings())
    return Trial(number=1, round=1, candidate=candidate, decision="rejected", reason="")


@KNOWN
def test_a_living_process_is_not_gone(other: tuple[subprocess.Popen[str], str]) -> None:
    _, process = other
    assert not is_gone(process)
    assert not is_gone(this_process())


@KNOWN
def test_a_dead_process_is_gone_even_before_it_is_reaped(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    running, process = other
    running.kill()
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(process)
    running.wait()
    assert is_gone(process)


@KNOWN
def test_another_process_under_the_same_number_is_not_taken_for_it() -> None:
    who, _, started = this_process().partition("@")
    assert is_gone(f"{who}@{int(started) - 1}")


@pytest.mark.parametrize("process", ["", "another-boot/4026531836:1@1"])
def test_nothing_is_said_of_processes_elsewhere(process: str) -> None:
    assert not is_gone(process)


def test_without_proc_a_process_has_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_machine", lambda: "")
    assert this_process() == ""
    assert this_worker().endswith(f"/{os.getpid()}")


def test_beats_come_three_times_in_a_lease_and_end_with_the_work() -> None:
    beats: list[float] = []
    with heartbeat(lease(lease_s=0.06), lambda _: not beats.append(time.monotonic())) as lost:
        while len(beats) < 3:
            time.sleep(0.005)
    assert not lost.is_set()
    num = len(beats)
    time.sleep(0.06)
    assert len(beats) == num
    assert not [t for t in threading.enumerate() if t.name.startswith("heartbeat")]


def test_a_lost_lease_is_told_and_a_store_out_of_reach_is_not_a_loss() -> None:
    answers = iter([StorageError("away", code="FW523"), True, False])

    def renew(_: Lease) -> bool:
        answer = next(answers)
        if isinstance(answer, StorageError):
            raise answer
        return answer

    with heartbeat(lease(lease_s=0.03), renew) as lost:
        assert lost.wait(120)
    assert next(answers, None) is None


def test_a_worker_gets_the_first_candidate_that_nobody_has() -> None:
    store = FakeStore()
    store.claim("a", worker="one")
    found = ask(store, ["a", "b"], worker="two")
    assert found is not None
    assert found.key == "b"
    assert ask(store, ["a", "b"], worker="three") is None


def test_what_could_not_be_measured_is_given_back() -> None:
    store = FakeStore()
    taken = ask(store, ["a"], worker="one")
    assert taken is not None

    def interrupted() -> Trial:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(store, taken, interrupted)
    again = ask(store, ["a"], worker="two")
    assert again is not None
    assert again.attempt == 1
    assert tell(store, again, lambda: trial("a")) == trial("a")


def test_only_candidates_whose_retry_died_are_given_up() -> None:
    clock = FakeClock()
    store = FakeStore(clock=clock)
    for worker, key in (("one", "a"), ("one", "b")):
        store.claim(key, worker=worker, lease_s=1)
    clock.now_s += 2
    store.claim("a", worker="two", lease_s=1)
    clock.now_s += 2
    assert give_up(store, lambda _: None) == [], "a candidate that this worker does not know"
    (failed,) = give_up(store, lambda found: trial(found.key))
    assert failed.candidate.variant_id == "a"
    assert store.claim("b", worker="two") is not None

"""Every trial store keeps the same promises: in memory, in a file, in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from fitwright.errors import RunStopped
from fitwright.ports import TrialStore
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Trial
from fitwright.store.lease import ANY_NUMBER
from fitwright.store.sqlite import SqliteFile
from fitwright.store.store import SqlStore
from fitwright.store.url import UrlDatabase
from fitwright.testing.fake_store import FakeStore
from fitwright.testing.fakes import FakeClock
from postgres_server import postgres_programs

Peers = Callable[[], TrialStore]
PROGRAMS = postgres_programs()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


NEEDS_POSTGRES = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server (initdb) on this machine"),
]


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgres", marks=NEEDS_POSTGRES)])
def peers(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Peers:
    """Gives a view of one and the same store at each call, as another worker has it."""
    if request.param == "fake":
        store = FakeStore(clock=clock)
        return lambda: store
    name = uuid4().hex
    # asked for here and not below: fixtures are not to be asked for by several threads
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None

    def another() -> TrialStore:
        database = UrlDatabase(url) if url else SqliteFile(tmp_path / "runs" / "trials.db")
        return SqlStore(database, read=Trial.model_validate_json, run=name, clock=clock)

    return another


def trial(number: int, name: str = "a") -> Trial:
    candidate = Candidate(variant_id=name, title="original", backend="b", settings=Settings())
    return Trial(number=number, round=1, candidate=candidate, decision="baseline", reason="ä'\"%:")


def test_trials_come_back_as_they_were_and_in_order(peers: Peers) -> None:
    store = peers()
    assert store.trials() == ()
    for number in (10, 2, 1):
        assert store.record(trial(number)) == trial(number)
    assert peers().trials() == store.trials() == (trial(1), trial(2), trial(10))


def test_the_same_trial_twice_is_one_trial(peers: Peers) -> None:
    peers().record(trial(1))
    assert peers().record(trial(1)) == trial(1)
    assert len(peers().trials()) == 1


def test_a_number_that_is_taken_is_replaced_by_the_next_free_one(peers: Peers) -> None:
    peers().record(trial(1))
    peers().record(trial(4))
    kept = peers().record(trial(1, "b"))
    assert kept == trial(5, "b")
    assert peers().trials() == (trial(1), trial(4), kept)


def test_what_others_record_is_seen(peers: Peers) -> None:
    ours, theirs = peers(), peers()
    ours.record(trial(2))
    theirs.record(trial(1))
    theirs.record(trial(3))
    assert ours.trials() == (trial(1), trial(2), trial(3))


def test_a_candidate_is_in_one_hand(peers: Peers) -> None:
    ours, theirs = peers(), peers()
    lease = ours.claim("k", worker="one")
    assert lease is not None
    assert lease.attempt == 1
    assert theirs.claim("k", worker="two") is None
    assert theirs.held() == (lease,)
    assert ours.claim("k", worker="one") == lease, "asking again gives the same lease"


def test_a_recorded_candidate_is_not_given_out_again(peers: Peers) -> None:
    ours, theirs = peers(), peers()
    lease = ours.claim("k", worker="one")
    ours.record(trial(1), lease)
    assert theirs.claim("k", worker="two") is None
    assert theirs.held() == ()
    assert lease is not None
    assert not ours.renew(lease)


def test_what_is_given_back_counts_as_never_tried(peers: Peers) -> None:
    ours, theirs = peers(), peers()
    lease = ours.claim("k", worker="one")
    assert lease is not None
    ours.release(lease)
    assert theirs.held() == ()
    again = theirs.claim("k", worker="two")
    assert again is not None
    assert again.attempt == 1
    assert not ours.renew(lease)


def test_silence_ends_a_lease_and_a_beat_keeps_it(peers: Peers, clock: FakeClock) -> None:
    ours, theirs = peers(), peers()
    kept, silent = (
        ours.claim("kept", worker="one", lease_s=10),
        ours.claim("silent", worker="one", lease_s=10),
    )
    assert kept is not None
    assert theirs.abandoned() == ()
    clock.now_s += 8
    assert ours.renew(kept)
    assert theirs.abandoned() == ()
    clock.now_s += 8
    assert theirs.abandoned() == (silent,)
    assert theirs.claim("kept", worker="two") is None


def test_a_dead_workers_candidate_is_retried_once_and_then_given_up(
    peers: Peers, clock: FakeClock
) -> None:
    stores = {name: peers() for name in ("one", "two", "three")}
    stores["one"].claim("k", worker="one", lease_s=10)
    assert stores["two"].claim("k", worker="two", lease_s=10) is None
    clock.now_s += 11
    retry = stores["two"].claim("k", worker="two", lease_s=10)
    assert retry is not None
    assert (retry.attempt, retry.is_last) == (2, True)
    assert stores["three"].abandoned() == ()
    clock.now_s += 11
    assert stores["three"].claim("k", worker="three", lease_s=10) is None
    (lost,) = stores["three"].abandoned()
    assert lost == retry
    given_up = Trial.given_up(trial(1).candidate, number=1, round_=2, worker=lost.worker)
    kept = stores["three"].record(given_up, lost)
    assert kept.failure is not None
    assert (kept.failure.cause, kept.failure.detail) == ("killed", "worker two stopped answering")
    assert stores["three"].abandoned() == ()


def test_what_may_be_tried_any_number_of_times_is_never_given_up(
    peers: Peers, clock: FakeClock
) -> None:
    num_workers = 5
    stores = [peers() for _ in range(num_workers)]
    for attempt, store in enumerate(stores, start=1):
        for watcher in stores:
            watcher.abandoned()  # begins to watch
        clock.now_s += 11
        lease = store.claim("run", worker=str(attempt), lease_s=10, most_attempts=ANY_NUMBER)
        assert lease is not None
        assert lease.attempt == attempt


def test_a_driver_that_has_lost_the_run_records_nothing(peers: Peers, clock: FakeClock) -> None:
    ours, theirs = peers(), peers()
    lost = ours.claim("run", worker="one", lease_s=10)
    assert lost is not None
    assert ours.record(trial(1), driver=lost) == trial(1)
    theirs.abandoned()
    clock.now_s += 11
    lease = theirs.claim("run", worker="two", lease_s=10)
    assert lease is not None
    with pytest.raises(RunStopped, match="another process has gone on") as caught:
        ours.record(trial(2), driver=lost)
    assert caught.value.code == "FW500"
    assert theirs.record(trial(2, "b"), driver=lease) == trial(2, "b")
    assert peers().trials() == (trial(1), trial(2, "b"))


def test_a_recorded_trial_is_a_sign_of_life_of_its_driver(peers: Peers, clock: FakeClock) -> None:
    ours, theirs = peers(), peers()
    lease = ours.claim("run", worker="one", lease_s=10)
    for number in range(1, 4):
        assert theirs.abandoned() == ()
        clock.now_s += 8
        ours.record(trial(number), driver=lease)
    assert theirs.abandoned() == ()


def test_of_two_results_of_one_candidate_the_first_counts(peers: Peers, clock: FakeClock) -> None:
    ours, theirs = peers(), peers()
    slow = ours.claim("k", worker="one", lease_s=10)
    theirs.abandoned()
    clock.now_s += 11
    retry = theirs.claim("k", worker="two", lease_s=10)
    assert slow is not None
    assert retry is not None
    assert not ours.renew(slow), "the one that was silent learns that it lost the lease"
    first = ours.record(trial(1, "slow but first"), slow)
    assert theirs.record(trial(2, "second"), retry) == first
    assert peers().trials() == (first,)


def test_many_threads_lose_and_repeat_nothing(peers: Peers) -> None:
    num_threads, num_keys = 4, 8
    done: list[Trial] = []

    def work(name: str) -> None:
        store = peers()
        for key in range(num_keys):
            lease = store.claim(str(key), worker=name)
            if lease is not None:
                done.append(store.record(trial(1, f"{key}"), lease))

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = peers().trials()
    assert [t.number for t in found] == list(range(1, num_keys + 1))
    assert sorted(t.candidate.variant_id for t in found) == [str(k) for k in range(num_keys)]
    assert sorted(done, key=lambda t: t.number) == list(found)

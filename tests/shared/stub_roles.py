"""The roles of the crash tests: a driver of a stub search, and workers that share a store."""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import os
import time
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from fitwright import flow
from fitwright.errors import FitwrightError
from fitwright.flow.driving import driving
from fitwright.records.plan import Settings
from fitwright.records.run import RunFolder
from fitwright.records.trial import Candidate, Trial
from fitwright.store import driver as driver_module
from fitwright.store import store as store_module
from fitwright.store.lease import Lease
from fitwright.store.open import url_store
from fitwright.store.store import SqlStore
from fitwright.store.work import ask, give_up, tell
from fitwright.testing.stub_search import StubSearch, chain_of
from nursery import note, serve

NUM_CANDIDATES = 60
TRIAL_S = 0.02
LEASE_S = 60.0
"""Far above any stall of a machine: a killed worker is known by its process, without waiting."""
SHORT_LEASE_S = 0.5
"""Where silence must end a lease, or beats must keep it."""
ENOUGH = "enough"
URL = "url"
KEYS = [f"candidate-{n:02d}" for n in range(NUM_CANDIDATES)]


def drive(folder: Path, name: str) -> None:
    """One driver: the real loop from where the run stands to its end."""

    def opened(model: Path, settings: Settings) -> None:
        note(folder, life=name, opened=f"{chain_of(model)} | {settings.describe()}")

    run = RunFolder(folder / "run")
    record = run.record_trial

    def recorded(trial: Trial, lease: Lease | None = None) -> Trial:
        kept = record(trial, lease)
        key = f"{kept.candidate.title} | {kept.candidate.settings.describe()}"
        note(folder, life=name, recorded=key, number=kept.number, stage=kept.stage)
        return kept

    run.record_trial = recorded  # type: ignore[method-assign]
    verdict = StubSearch(folder=folder, opened=opened).fit(run)
    assert verdict.candidate is not None
    note(folder, life=name, finished=verdict.candidate.key)


def share(folder: Path, name: str) -> None:
    """A driver of a run that a database keeps: ``LIFE.FOLDER.WAY``.

    The way is ``here``, ``stay`` (its fourth child opens only once there is the file `ENOUGH`),
    ``far`` (seen as on another machine) or ``mute`` (on another machine, and it gives no sign of
    life; its first child opens only once there is that file).
    """
    life, place, way = name.split(".")
    parent, num_opened = os.getppid(), itertools.count(1)

    def opened(model: Path, settings: Settings) -> None:
        note(folder, life=life, opened=chain_of(model))
        waits = {"stay": 4, "mute": 1}.get(way) == next(num_opened)
        while waits and not (folder / ENOUGH).exists() and os.getppid() == parent:
            time.sleep(TRIAL_S)

    run = RunFolder(folder / place, shared=shared_store(folder))
    record = run.record_trial

    def recorded(trial: Trial, lease: Lease | None = None) -> Trial:
        kept = record(trial, lease)
        note(folder, life=life, recorded=kept.candidate.key, number=kept.number, stage=kept.stage)
        return kept

    run.record_trial = recorded  # type: ignore[method-assign]
    is_far = way in ("far", "mute")
    patient = functools.partial(driving, lease_s=SHORT_LEASE_S if is_far else LEASE_S)
    with ExitStack() as stack:
        stack.enter_context(patch.object(flow, "driving", patient))
        if is_far:
            elsewhere = f"another-boot/1:{os.getpid()}@1"
            stack.enter_context(patch.object(store_module, "this_process", lambda: elsewhere))
        if way == "mute":
            silent = contextlib.nullcontext
            stack.enter_context(patch.object(driver_module, "heartbeat", lambda *_: silent()))
        try:
            verdict = StubSearch(folder=folder, opened=opened).fit(run)
        except FitwrightError as error:
            return note(folder, life=life, ended=error.code, text=str(error))
    assert verdict.candidate is not None
    return note(folder, life=life, finished=verdict.candidate.key)


def candidate(key: str) -> Candidate:
    return Candidate(variant_id=key, title=key, backend="b", settings=Settings())


def rejected(key: str, *, reason: str) -> Trial:
    return Trial(number=1, round=1, candidate=candidate(key), decision="rejected", reason=reason)


def shared_store(folder: Path) -> SqlStore[Trial]:
    url = (folder / URL).read_text()
    return url_store(url, run=folder.name, read=Trial.model_validate_json)


def work(folder: Path, name: str) -> None:
    """One of several workers: ask, measure, tell, until every candidate has its trial."""
    store = shared_store(folder)

    def measured(lease: Lease) -> Trial:
        note(folder, life=name, begun=lease.key, attempt=lease.attempt)
        time.sleep(TRIAL_S)
        return rejected(lease.key, reason=name)

    def given_up(lease: Lease) -> Trial:
        return Trial.given_up(candidate(lease.key), number=1, round_=1, worker=lease.worker)

    while len(done := {t.candidate.variant_id for t in store.trials()}) < NUM_CANDIDATES:
        give_up(store, given_up)
        first = os.getpid() % NUM_CANDIDATES  # so that workers do not ask for the same ones
        left = [k for k in KEYS[first:] + KEYS[:first] if k not in done]
        lease = ask(store, left, worker=name, lease_s=LEASE_S)
        if lease is None:
            time.sleep(TRIAL_S)
            continue
        kept = tell(store, lease, lambda lease=lease: measured(lease))  # type: ignore[misc]
        note(folder, life=name, recorded=lease.key, number=kept.number)


def hang(folder: Path, name: str) -> None:
    """A worker whose candidate never comes to an end."""
    lease = ask(shared_store(folder), ["doomed"], worker=name, lease_s=LEASE_S)
    assert lease is not None
    note(folder, life=name, begun=lease.key, attempt=lease.attempt)
    time.sleep(3600)


def linger(folder: Path, name: str) -> None:
    """A worker whose trial lasts until the folder holds the file `ENOUGH`, or the test is over."""
    store, parent = shared_store(folder), os.getppid()
    lease = ask(store, ["slow"], worker=name, lease_s=SHORT_LEASE_S)
    assert lease is not None

    def measured() -> Trial:
        note(folder, life=name, begun="slow")
        while not (folder / ENOUGH).exists() and os.getppid() == parent:
            time.sleep(TRIAL_S)
        return rejected("slow", reason=name)

    kept = tell(store, lease, measured)
    note(folder, life=name, kept=kept.reason)


if __name__ == "__main__":
    for package in ("sqlalchemy.dialects.postgresql", "psycopg"):  # before the forks, if there
        with contextlib.suppress(ImportError):
            importlib.import_module(package)
    serve({"drive": drive, "work": work, "hang": hang, "linger": linger, "share": share})

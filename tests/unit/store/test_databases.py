"""What can go wrong with a file or a server, and what the user is told."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from fitwright.errors import BackendMissing, Exit, StorageError, UsageError
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Trial
from fitwright.store.open import file_store, url_store
from fitwright.store.sqlite import SqliteFile
from fitwright.store.store import SqlStore
from fitwright.store.url import UrlDatabase


def trial(number: int = 1) -> Trial:
    candidate = Candidate(variant_id="a", title="a", backend="b", settings=Settings())
    return Trial(number=number, round=1, candidate=candidate, decision="rejected", reason="")


def store_at(path: Path, *, busy_s: float = 0.05) -> SqlStore[Trial]:
    return SqlStore(SqliteFile(path, busy_s=busy_s), read=Trial.model_validate_json)


def test_reading_makes_no_file(tmp_path: Path) -> None:
    store = file_store(tmp_path / "no" / "trials.db", read=Trial.model_validate_json)
    assert store.trials() == ()
    assert store.held() == store.abandoned() == ()
    assert list(tmp_path.iterdir()) == []


def test_only_the_database_and_a_closed_journal_lie_beside_each_other(tmp_path: Path) -> None:
    store_at(tmp_path / "trials.db").record(trial())
    assert {p.name for p in tmp_path.iterdir()} == {"trials.db", "trials.db-journal"}
    # SQLite takes a journal whose header is zeroed for one that holds nothing
    assert (tmp_path / "trials.db-journal").read_bytes()[:28] == bytes(28)


def test_a_transaction_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    store_at(tmp_path / "trials.db").record(trial())
    database = SqliteFile(tmp_path / "trials.db")
    with pytest.raises(KeyError), database.writing(num_bytes=0) as run:
        run("DELETE FROM fitwright_trials", {})
        raise KeyError
    assert store_at(tmp_path / "trials.db").trials() == (trial(),)


def test_trials_of_before_are_parsed_once(tmp_path: Path) -> None:
    parsed: list[str] = []

    def read(text: str) -> Trial:
        parsed.append(text)
        return Trial.model_validate_json(text)

    other = store_at(tmp_path / "trials.db")
    store = SqlStore(SqliteFile(tmp_path / "trials.db"), read=read)
    for number in range(1, 4):
        other.record(trial(number))
        assert len(store.trials()) == number
    assert len(parsed) == 3


def test_a_lock_that_is_never_released_ends_the_run_with_its_cause(tmp_path: Path) -> None:
    store = store_at(tmp_path / "trials.db")
    store.record(trial())
    other = sqlite3.connect(tmp_path / "trials.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="was locked by another process") as caught:
        store.record(trial(2))
    other.close()
    assert (caught.value.code, caught.value.exit) == ("FW522", Exit.STOPPED)
    store.record(trial(2))
    assert len(store.trials()) == 2


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trials.db").write_bytes(content)
    with pytest.raises(UsageError, match=r"trials\.db is no trial store") as caught:
        store_at(tmp_path / "trials.db").trials()
    assert caught.value.code == "FW102"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(StorageError, match=r"cannot write \d+ bytes under .*runs") as caught:
        store_at(tmp_path / "runs" / "m-1" / "trials.db").record(trial())
    assert caught.value.code == "FW521"


def test_two_runs_share_a_database_and_nothing_else(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    first, second = (url_store(url, run=n, read=Trial.model_validate_json) for n in ("a", "b"))
    lease = first.claim("k", worker="w")
    first.record(trial(7), lease)
    assert second.trials() == ()
    assert second.claim("k", worker="w") is not None
    assert second.record(trial(7)) == trial(7)


@pytest.mark.parametrize("url", ["", "trials", "://x", "sqlite:///", "nosuchdb://host/name"])
def test_what_is_no_database_is_refused(url: str) -> None:
    pytest.importorskip("sqlalchemy")
    with pytest.raises((UsageError, StorageError)) as caught:
        url_store(url, run="r", read=Trial.model_validate_json).record(trial())
    assert caught.value.code in ("FW160", "FW523")


def test_a_server_out_of_reach_is_told_without_the_password() -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://me:secret@127.0.0.1:1/trials"  # nobody listens on port 1
    with pytest.raises(StorageError) as caught:
        url_store(url, run="r", read=Trial.model_validate_json).record(trial())
    assert (caught.value.code, caught.value.exit) == ("FW523", Exit.STOPPED)
    assert "127.0.0.1" in caught.value.rule
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("postgresql://h/n", "sqlalchemy"),
        ("postgresql://h/n", "psycopg"),
        ("mysql://h/n", "pymysql"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str
) -> None:
    pytest.importorskip("sqlalchemy")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendMissing, match=f"'{package}'") as caught:
        UrlDatabase(url)
    assert (caught.value.code, caught.value.exit) == ("FW308", Exit.MISSING)

"""What the user names, and what it becomes."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fitwright.errors import BackendMissing, Exit, UsageError
from fitwright.executors.local import LocalExecutor
from fitwright.records.plan import Settings
from fitwright.records.run import RunFolder
from fitwright.records.trial import Candidate, Trial
from fitwright.start import executor_named, existing_run, new_run, resumed_run

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")


def test_trials_run_on_this_machine_by_name() -> None:
    assert isinstance(executor_named("local"), LocalExecutor)


@pytest.mark.parametrize("name", ["", "locl", "local#gpu", "ray", "ray:", "ray:host", "ray://h"])
def test_another_name_is_a_mistake_that_lists_the_names(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}'") as caught:
        executor_named(name)
    assert (caught.value.code, caught.value.exit) == ("FW154", Exit.USAGE)
    assert "ray:HOST:6379" in caught.value.remedy


@pytest.mark.parametrize("name", ["auto", "ray:127.0.0.1:6379", "ray://127.0.0.1:10001#edge"])
def test_without_ray_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendMissing, match="not installed") as caught:
        executor_named(name)
    assert (caught.value.code, caught.value.exit) == ("FW303", Exit.MISSING)
    assert "fitwright[ray]" in caught.value.remedy


@needs_ray
@pytest.mark.parametrize("name", ["ray:127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nobody_listens_is_told_at_once(name: str) -> None:
    with pytest.raises(BackendMissing, match=r"127\.0\.0\.1:1") as caught:  # port 1: nobody's
        executor_named(name)
    assert (caught.value.code, caught.value.exit) == ("FW304", Exit.MISSING)


def trial(number: int) -> Trial:
    candidate = Candidate(variant_id="v", title="v", backend="b", settings=Settings())
    return Trial(number=number, round=1, candidate=candidate, decision="rejected", reason="")


def begun(place: Path, *, store: str = "") -> RunFolder:
    """A run of one trial."""
    run, origin = new_run(place / "runs", "model.onnx", folder=place, store=store)
    run.write(origin)
    run.record_trial(trial(1))
    return run


def test_a_run_kept_in_a_database_goes_on_there_and_is_read_without_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    path = str(begun(tmp_path, store=url).path)
    run, _ = resumed_run(path, store=url)
    run.record_trial(trial(2))
    assert existing_run(path).trials() == (trial(1), trial(2))
    (tmp_path / "runs" / "model-1" / "trials.db").unlink()
    assert resumed_run(path, store=url)[0].trials() == (trial(1), trial(2))


def test_a_run_kept_in_a_database_does_not_go_on_without_it(tmp_path: Path) -> None:
    path = str(begun(tmp_path, store=f"sqlite:///{tmp_path / 'trials.db'}").path)
    with pytest.raises(UsageError, match="kept in a database") as caught:
        resumed_run(path)
    assert caught.value.code == "FW161"


def test_runs_of_one_name_share_a_database_and_no_trials(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    first, second = begun(tmp_path / "a", store=url), begun(tmp_path / "b", store=url)
    second.record_trial(trial(2))
    assert first.path.name == second.path.name
    assert (len(first.trials()), len(second.trials())) == (1, 2)


def test_a_run_may_move_into_a_database_and_into_another(tmp_path: Path) -> None:
    path = str(begun(tmp_path).path)
    for name in ("one.db", "two.db"):
        run, origin = resumed_run(path, store=f"sqlite:///{tmp_path / name}")
        run.write(origin)
        assert run.store.trials() == (trial(1),)


def test_a_database_that_is_none_is_told_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no URL of a database"):
        new_run(tmp_path / "runs", "model.onnx", folder=tmp_path, store="trials")
    assert not (tmp_path / "runs").exists()

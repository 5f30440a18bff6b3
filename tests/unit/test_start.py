"""What the user names, and what it becomes."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from fitwright.errors import BackendMissing, Exit, UsageError
from fitwright.executors.local import LocalExecutor
from fitwright.start import executor_named

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

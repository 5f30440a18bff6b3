"""The user's own script is not run again in children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
print("the script runs")
import math, sys
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits
me = sys.modules["__main__"]
print(LocalExecutor().call(math.factorial, ChildLimits(), 5))
assert sys.modules["__main__"] is me
"""


def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = run(str(script))
    assert (done.stdout, done.stderr) == ("the script runs\n120\n", "")


def test_a_prompt_works() -> None:
    done = run("-", stdin=SCRIPT)
    assert (done.stdout, done.stderr) == ("the script runs\n120\n", "")


def test_warnings_as_errors_do_not_reach_the_fork_server(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = run("-W", "error", str(script))
    assert (done.stdout, done.stderr) == ("the script runs\n120\n", "")


def test_an_executor_that_is_never_closed_does_not_hold_up_the_end(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from fitwright.executors.local import LocalChild\n"
        "from fitwright.ports import ChildLimits\n"
        "child = LocalChild(ChildLimits())\n"
        "print('bye')\n"
    )
    done = run(str(script))
    assert (done.stdout, done.stderr, done.returncode) == ("bye\n", "", 0)

"""Two processes do not go on with one run; a dead one holds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fitwright.errors import UsageError
from fitwright.records.hold import held

HOLDER = (
    "import sys, time; from pathlib import Path; from fitwright.records.hold import held\n"
    "with held(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(3600)"
)


def test_a_run_is_held_by_one_process_until_it_dies(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"process {holder.pid} on .* is at work"), held(run):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with held(run) as is_certain:
        assert is_certain
        assert list(run.iterdir()) == [], "holding a run leaves nothing in it"

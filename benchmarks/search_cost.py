"""What the search itself costs: time, memory and disk per trial, resuming, and isolation.

    python benchmarks/search_cost.py [--trials 2000] [--write-docs]

The closed loop runs over a stub objective (`fitwright.testing.stub_search`): the loop, the
sampler, the store and every file are the real ones; children and their time are formulas. The
loop's patience is switched off, so that it goes on for as many trials as asked.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
from pages import write_block

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.executors.local import LocalExecutor
from fitwright.flow import races
from fitwright.ports import ChildLimits
from fitwright.records.plan import Settings
from fitwright.records.run import RunFolder
from fitwright.records.trial import Trial
from fitwright.testing.models import write_two_layers
from fitwright.testing.stub_search import StubSearch
from fitwright.tune import explore

WINDOW = 200  # trials whose median is stated
FIRST = 100  # the trial from which memory growth counts
RESUMED_AT = 1000
NUM_RESUMES = 5
NUM_OPENINGS = 40
SETTINGS = (
    Settings(),
    *(Settings(threads=n) for n in range(1, 13)),
    *(Settings(streams=n) for n in range(1, 13)),
    *(Settings(graph_optimization=g) for g in ("none", "basic", "extended")),
    *(Settings(mode=m) for m in ("latency", "throughput")),
    Settings(spinning=False),
)  # 13 x 13 x 4 x 3 x 2 points


class Enough(Exception):
    """As many trials as asked."""


@dataclass(kw_only=True)
class Watched:
    """What one search showed, trial by trial.

    Attributes:
        wall_s: from one recorded trial to the next.
        measuring_s: of that, inside the measuring of candidates (fakes and statistics).
        rss_bytes: resident memory of this process after each trial.
    """

    num_trials: int
    wall_s: list[float] = field(default_factory=list)
    measuring_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    _last_s: float = field(default_factory=time.perf_counter)
    _measuring_s: float = 0.0

    def measuring(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time told apart."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._measuring_s += time.perf_counter() - start

        return timed

    def recorded(self, run: RunFolder, *, copy_at: int, copy_to: Path) -> None:
        """One more trial is on disk."""
        now = time.perf_counter()
        self.wall_s.append(now - self._last_s)
        self.measuring_s.append(self._measuring_s)
        self.rss_bytes.append(psutil.Process().memory_info().rss)
        if len(self.wall_s) == copy_at:
            shutil.copytree(run.path, copy_to)
        if len(self.wall_s) >= self.num_trials:
            raise Enough
        self._measuring_s, self._last_s = 0.0, time.perf_counter()


def searched(folder: Path, num_trials: int) -> Watched:
    """A search of so many trials; its folder is ``run``, as it was at `RESUMED_AT` ``early``."""
    watched, run = Watched(num_trials=num_trials), RunFolder(folder / "run")
    copy_at = min(RESUMED_AT, num_trials)
    record = run.record_trial

    def recorded(trial: Trial) -> Trial:
        kept = record(trial)
        watched.recorded(run, copy_at=copy_at, copy_to=folder / "early")
        return kept

    run.record_trial = recorded  # type: ignore[method-assign,assignment]
    with ExitStack() as patched:
        for name in ("try_candidate", "eliminate"):
            timed = watched.measuring(getattr(races, name))
            patched.enter_context(patch.object(races, name, timed))
        patched.enter_context(patch.object(explore, "PATIENCE", num_trials))
        with suppress(Enough):
            endless(folder).fit(run)
    return watched


def endless(folder: Path, **changes: Any) -> StubSearch:
    """A space and a budget that outlast every benchmark."""
    return StubSearch(folder=folder, settings=SETTINGS, speed=even, budget_s=1e7, **changes)


def even(chain: str, settings: Settings) -> float:
    """Settings differ by a few per cent and at random, so that no forecast spares a trial."""
    by_chain = {"original": 1.0, "fix_shapes": 1.03, "fix_shapes + int8_static/onnxruntime": 2.0}
    drawn = random.Random(settings.model_dump_json()).uniform(-0.03, 0.0)
    return by_chain.get(chain, 0.9) * (1.0 + (drawn if settings != Settings() else 0.0))


def resume(folder: Path) -> None:
    """Go on with the run; end when the first new candidate would be measured."""
    run = RunFolder(folder / "early")
    done = {(t.candidate.title, t.candidate.settings) for t in run.trials()}

    def opened(model: Path, settings: Settings) -> None:
        from fitwright.testing.stub_search import chain_of

        if (chain_of(model), settings) not in done:
            os._exit(0)

    with patch.object(explore, "PATIENCE", 10**9):
        endless(folder, opened=opened).fit(run)
    sys.exit("nothing was left to try")


def resume_s(folder: Path) -> float:
    """From the start of a Python process to the first new trial of a run with many."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--resume", str(folder)]
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def isolation_tax_s(folder: Path) -> list[float]:
    """Open, one run and close in a child, less the same in this process; one for each pair."""
    model, x = write_two_layers(folder / "two.onnx", batch=1), np.ones((1, 16), np.float32)
    settings, limits, executor = Settings(threads=1), ChildLimits(), LocalExecutor()
    taxes = []
    for turn in range(NUM_OPENINGS + 1):
        start = time.perf_counter()
        session = OnnxRuntime().load(model, settings)
        session.run({"x": x})
        del session
        inside_s = time.perf_counter() - start
        start = time.perf_counter()
        worker = executor.open(OnnxRuntime(), model, settings, limits=limits)
        worker.feed({"x": x[None]})
        worker.outputs()
        worker.close()
        if turn:  # the first starts what later ones use
            taxes.append(time.perf_counter() - start - inside_s)
    return taxes


def folder_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def quartiles(values: list[float]) -> str:
    """Median and middle half, in milliseconds."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{1e3 * middle:.1f} ms ({1e3 * low:.1f} to {1e3 * high:.1f})"


def report(watched: Watched, folder: Path, *, resumes_s: list[float], taxes_s: list[float]) -> str:
    """The table of the page."""
    cost_s = [w - m for w, m in zip(watched.wall_s, watched.measuring_s, strict=True)]
    first, last = cost_s[FIRST : FIRST + WINDOW], cost_s[-WINDOW:]
    grown = watched.rss_bytes[-1] - watched.rss_bytes[min(FIRST, len(cost_s) - 1)]
    num, run = len(cost_s), folder / "run"
    rows = [
        ("search cost of a trial, first 200 after the start", quartiles(first), ""),
        (f"search cost of a trial, last {WINDOW} of {num:,}", quartiles(last), "10 ms"),
        ("measuring a stub candidate, beside it", quartiles(watched.measuring_s[-WINDOW:]), ""),
        (f"memory grown from trial {FIRST} to {num:,}", f"{grown / 2**20:.1f} MiB", "50 MB"),
        ("trials.db, for each trial", f"{(run / 'trials.db').stat().st_size / num:,.0f} bytes", ""),
        ("the whole run folder, for each trial", f"{folder_bytes(run) / num:,.0f} bytes", ""),
        (
            f"resuming at {min(RESUMED_AT, num):,} trials, from process start to the next trial",
            f"{median(resumes_s):.2f} s",
            "5 s",
        ),
        ("isolation of one trial, ONNX Runtime", quartiles(taxes_s), "20 ms"),
    ]
    head = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}, optuna {version('optuna')}, onnxruntime "
        f"{version('onnxruntime')}; {time.strftime('%Y-%m-%d')}."
    )
    lines = [f"| {what} | {figure} | {goal} |" for what, figure, goal in rows]
    table = ["| | median (middle half) | goal |", "|---|---|---|", *lines]
    return "\n".join((head, "", *table))


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.resume is not None:
        return resume(options.resume)
    with tempfile.TemporaryDirectory(prefix="fitwright-cost-") as place:
        folder = Path(place)
        watched = searched(folder, options.trials)
        resumes_s = [resume_s(folder) for _ in range(NUM_RESUMES)]
        taxes_s = isolation_tax_s(folder)
        text = report(watched, folder, resumes_s=resumes_s, taxes_s=taxes_s)
    print(text)
    return write_block("search-cost", text) if options.write_docs else None


if __name__ == "__main__":
    main()

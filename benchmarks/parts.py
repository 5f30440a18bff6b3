"""Queries of eight samples, run whole and cut into parts that run at once.

For each model of the benchmark at batch 8: the file with fixed shapes and its rewritings that
compute the same, made for a whole query and for a part of one, on both backends' defaults. Each
runs in a child of Fitwright's executor, all of one model in the same rounds, in random order.
Prints the table and, with ``--write-docs``, puts it in ``docs/benchmarks.md``.

Run by hand on a quiet machine, after ``python benchmarks/models.py``:

    python benchmarks/parts.py --write-docs
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pages import write_block
from peer_compare import Child, Contestant, Turns, interleaved, opened
from peer_inputs import NAMES, held_out
from peer_tables import machine

from fitwright import units
from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.bench.statistics import median_ratio_interval
from fitwright.deliver.environment import describe_environment
from fitwright.errors import ModelRefused
from fitwright.graph.summary import summarize
from fitwright.ports import TransformRequest
from fitwright.records.plan import Settings
from fitwright.records.recipe import FixShapes, FuseAttention, Recipe, Simplify

MODELS = Path(__file__).parent / ".work" / "models"
BATCH = 8
HEADER = "| model | backend | whole | in {} parts | gain (95 %) |\n|---|---|---:|---:|---|"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model on one backend.

    Attributes:
        whole_s, parts_s: median latency of a query.
        gain, low, high: whole over parts, median of the paired rounds and its interval (95 %).
    """

    model: str
    backend: str
    whole_s: float
    parts_s: float
    gain: float
    low: float
    high: float

    def __str__(self) -> str:
        cells = (
            self.model,
            self.backend,
            units.seconds(self.whole_s),
            units.seconds(self.parts_s),
            f"{self.gain:.2f}x ({self.low:.2f} to {self.high:.2f})",
        )
        return f"| {' | '.join(cells)} |"


def made(model: Path, folder: Path, *, parts: int) -> Path:
    """The model with fixed shapes for a query or a part of one, simplified, attention fused."""
    summary, file = summarize(model, shapes={}, batch=BATCH), model
    chain: tuple[Recipe, ...] = (FixShapes(parts=parts), Simplify(), FuseAttention())
    for number, recipe in enumerate(chain):
        place = folder / f"{parts}-{number}"
        place.mkdir()
        request = TransformRequest(
            recipe=recipe, model=file, summary=summary, calibration=None, folder=place
        )
        file = RECIPES[type(recipe), ""](request).file
    return file


def measured(name: str, *, parts: int, rounds: int) -> Iterator[Row]:
    """Both backends, whole and in parts, in the same rounds."""
    queries = held_out(name, MODELS, batch=BATCH).inputs
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = MODELS / f"{name}-b{BATCH}.onnx"
        files = {n: made(model, Path(folder), parts=n) for n in (1, parts)}
        workers: dict[str, Turns] = {}
        for backend in RUNTIMES:
            for n, file in files.items():
                runs = Child(backend=backend, file=file, settings=Settings(parts=n))
                one = Contestant(
                    name=f"{backend} {n}", what="", given="onnx", runs=runs, made_s=0, size_bytes=0
                )
                workers[one.name] = opened(one, queries)
                stack.callback(workers[one.name].close)
        times = interleaved(workers, rounds=rounds)
    for backend in RUNTIMES:
        whole, cut = times[f"{backend} 1"], times[f"{backend} {parts}"]
        ratios = [math.log(a / b) for a, b in zip(whole, cut, strict=True)]
        gain, interval = median_ratio_interval(ratios)
        yield Row(
            model=name,
            backend=backend,
            whole_s=median(whole),
            parts_s=median(cut),
            gain=gain,
            low=interval.low,
            high=interval.high,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="default: every model")
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--write-docs", action="store_true")
    given = parser.parse_args(arguments)
    lines = [HEADER.format(given.parts)]
    for name in given.only or NAMES:
        try:
            lines += map(str, measured(name, parts=given.parts, rounds=given.rounds))
        except ModelRefused as refusal:
            lines.append(f"| {name} | both | - | - | not cut: {refusal.rule} |")
        print("\n".join(lines[-2:]), flush=True)
    where = machine(describe_environment("python benchmarks/parts.py").model_dump())
    if given.write_docs:
        write_block("parts", f"{where}.\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()

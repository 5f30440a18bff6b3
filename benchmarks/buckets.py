"""Padded queries: computed whole, at several lengths in one file, or each at its own length.

Four ways to serve the same queries, padded to 128 tokens, by each backend:

- *whole*: the rewritten model at 128 tokens, as before there were buckets;
- *buckets*: the same recipes and `buckets`, at lengths chosen from other queries of the same mix;
- *trim*: the recipe of that name on the same, which cuts each query inside the model;
- *free*: the model as exported, with a free length, and each query cut to its own tokens.

Each runs in a process of its own. Every round gives each of them the same queries, in an order
drawn anew, so a drift of the machine falls on all alike; ratios are those of paired rounds with
their sign-test interval. Outputs are compared up to the last token of each query.

Needs a model with a free length (`python benchmarks/models.py --free-length minilm-l6`). Run by
hand: ``python benchmarks/buckets.py [--model FILE] [--rounds 40] [--write-docs]``.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pages import write_block
from peer_inputs import BERT_VOCABULARY

from fitwright.adapt.adapt import adapt
from fitwright.adapt.buckets import computed, planned
from fitwright.adapt.variants import original_variant, variant_path
from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.bench.statistics import median_ratio_interval
from fitwright.executors.local import LocalExecutor
from fitwright.graph.summary import summarize
from fitwright.ports import ChildLimits
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Buckets,
    FixShapes,
    FuseActivation,
    FuseAttention,
    PlainAttention,
    Recipe,
    Simplify,
    Skipped,
    Trim,
)
from fitwright.select.local import local_device
from fitwright.start import cache_folder

MODEL = Path(__file__).parent / ".work" / "models" / "minilm-l6-free.onnx"
LONGEST, BATCH = 128, 1
NUM_PLANNED, NUM_TIMED, PER_ROUND = 64, 480, 24
WARM_UP_ROUNDS = 3
LIMITS = ChildLimits(wall_s=300.0, memory_bytes=8 << 30)
MASK, SYMBOL = "attention_mask", "sequence"
ATTENTION: Mapping[str, Recipe] = {"onnxruntime": FuseAttention(), "openvino": PlainAttention()}

Queries = list[dict[str, NDArray[Any]]]


def short(num: int, random: np.random.Generator) -> list[int]:
    """Questions to a search box: log-normal, median 13 tokens."""
    drawn = np.round(random.lognormal(np.log(13), 0.7, num))
    return [int(n) for n in np.clip(drawn, 3, LONGEST)]


def even(num: int, random: np.random.Generator) -> list[int]:
    """Any length as often as any other."""
    return [int(n) for n in random.integers(3, LONGEST + 1, num)]


def full(num: int, _random: np.random.Generator) -> list[int]:
    """Nothing is padded; the file for even lengths shows what choosing costs."""
    return [LONGEST] * num


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Queries of some lengths, and the lengths that the joined file is planned for."""

    name: str
    timed: Callable[[int, np.random.Generator], list[int]]
    planned: Callable[[int, np.random.Generator], list[int]]


MIXES = (
    Mix(name="short (median 13)", timed=short, planned=short),
    Mix(name="even, 3 to 128", timed=even, planned=even),
    Mix(name="full, file for even", timed=full, planned=even),
)


def padded(lengths: Sequence[int], *, inputs: Sequence[str], seed: int) -> Queries:
    """Random token ids, zeros behind the query's own."""
    random = np.random.default_rng(seed)
    found = []
    for length in lengths:
        mask = (np.arange(LONGEST) < length).astype(np.int64)[None]
        ids = random.integers(1, BERT_VOCABULARY, (BATCH, LONGEST)) * mask
        every = {"input_ids": ids, MASK: mask, "token_type_ids": np.zeros_like(ids)}
        found.append({name: every[name] for name in inputs})
    return found


def cut(queries: Queries) -> Queries:
    """Without padding."""
    return [{n: a[:, : int(q[MASK].sum())].copy() for n, a in q.items()} for q in queries]


def serve(pipe: Connection, backend: str, file: Path, queries: Queries) -> None:
    """A child: time the queries asked for, or answer them."""
    session = RUNTIMES[backend].load(file, Settings())
    pipe.send(True)
    while (asked := pipe.recv()) is not None:
        verb, first, num = asked
        chosen = [queries[i % len(queries)] for i in range(first, first + num)]
        if verb == "outputs":
            pipe.send([next(iter(session.run(q).values())) for q in chosen])
            continue
        begin = time.perf_counter()
        for query in chosen:
            session.run(query)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        pipe.send((time.perf_counter() - begin, peak))


@contextmanager
def child(backend: str, file: Path, queries: Queries) -> Iterator[Connection]:
    """A process that holds the model compiled."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, backend, file, queries))
    process.start()
    try:
        ours.recv()
        yield ours
    finally:
        ours.send(None)
        process.join()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One backend on one mix.

    Attributes:
        times_s: of a query, by way and round.
        peaks: peak resident memory by way, bytes.
        distance: of the outputs of ours to the whole one's, relative L2, the larger.
    """

    times_s: Mapping[str, list[float]]
    peaks: Mapping[str, float]
    distance: float


def measured(backend: str, files: Mapping[str, Path], queries: Queries, *, rounds: int) -> Outcome:
    """Paired rounds of every way."""
    given = {name: cut(queries) if name == "free" else queries for name in files}
    random, peaks = np.random.default_rng(0), dict.fromkeys(files, 0.0)
    times: dict[str, list[float]] = {name: [] for name in files}
    with _children(backend, files, given) as pipes:
        distance = max(_distance(pipes[w], pipes["whole"], queries) for w in ("buckets", "trim"))
        for number in range(WARM_UP_ROUNDS + rounds):
            for name in random.permutation(list(files)):
                pipes[name].send(("time", number * PER_ROUND, PER_ROUND))
                seconds, peaks[name] = pipes[name].recv()
                if number >= WARM_UP_ROUNDS:
                    times[name].append(seconds / PER_ROUND)
    return Outcome(times_s=times, peaks=peaks, distance=distance)


@contextmanager
def _children(
    backend: str, files: Mapping[str, Path], queries: Mapping[str, Queries]
) -> Iterator[dict[str, Connection]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(child(backend, file, queries[name]))
            for name, file in files.items()
        }


def _distance(ours: Connection, theirs: Connection, queries: Queries) -> float:
    answers = []
    for pipe in (ours, theirs):
        pipe.send(("outputs", 0, PER_ROUND))
        answers.append(pipe.recv())
    error = size = 0.0
    for y, y0, query in zip(*answers, queries, strict=False):
        length = int(query[MASK].sum())
        error += float(np.sum((y[:, :length] - y0[:, :length]) ** 2))
        size += float(np.sum(y0[:, :length] ** 2))
    return float(np.sqrt(error / size))


def files_of(
    model: Path,
    summary: ModelSummary,
    backend: str,
    shorter: tuple[Buckets, Trim],
    *,
    folder: Path,
) -> dict[str, Path]:
    """The file of each way."""
    buckets, trim = shorter
    rewritten: tuple[Recipe, ...] = (FixShapes(), Simplify(), FuseActivation(), ATTENTION[backend])
    chains = {
        "whole": rewritten,
        "buckets": (*rewritten, buckets),
        "trim": (*rewritten, trim),
    }
    made = {name: _made(summary, chain, folder=folder) for name, chain in chains.items()}
    return {**made, "free": model}


def _made(summary: ModelSummary, chain: tuple[Recipe, ...], *, folder: Path) -> Path:
    """By Fitwright's own passes."""
    executor = LocalExecutor()
    outcome = adapt(
        original_variant(summary),
        chain,
        summary=summary,
        device=local_device(
            executor=executor, runtimes=tuple(RUNTIMES.values()), cache=cache_folder()
        ),
        transforms=RECIPES,
        executor=executor,
        limits=LIMITS,
        calibration=None,
        folder=folder,
    )
    if isinstance(outcome, Skipped):
        raise SystemExit(outcome.reason)
    return variant_path(outcome, folder.parent)


def run(model: Path, *, rounds: int, folder: Path) -> Iterator[str]:
    """A row of the table for each mix and backend."""
    summary = summarize(model, shapes={SYMBOL: LONGEST}, batch=BATCH)
    inputs = [i.name for i in summary.inputs]
    for mix in MIXES:
        lengths = mix.planned(NUM_PLANNED, np.random.default_rng(1))
        shorter = planned(lengths, longest=LONGEST, mask=MASK, symbol=SYMBOL)
        assert shorter is not None, "every mix here has short queries"
        buckets = shorter[0]
        timed = mix.timed(NUM_TIMED, np.random.default_rng(2))
        share = computed(timed, buckets.lengths) / (LONGEST * len(timed))
        queries = padded(timed, inputs=inputs, seed=3)
        for backend in RUNTIMES:
            files = files_of(model, summary, backend, shorter, folder=folder)
            outcome = measured(backend, files, queries, rounds=rounds)
            yield row(mix, backend, buckets, share, outcome)


def row(mix: Mix, backend: str, buckets: Buckets, share: float, outcome: Outcome) -> str:
    """One line of the table."""
    lengths = ", ".join(map(str, buckets.lengths))
    whole = 1e3 * statistics.median(outcome.times_s["whole"])
    ratios = " | ".join(_ratio(outcome, way) for way in ("buckets", "trim", "free"))
    memory = " / ".join(f"{outcome.peaks[way] / 2**20:.0f}" for way in outcome.peaks)
    return (
        f"| {mix.name} | {lengths} ({share:.0%}) | {backend} | {whole:.2f} | {ratios} | "
        f"{memory} | {outcome.distance:.1e} |"
    )


def _ratio(outcome: Outcome, way: str) -> str:
    pairs = zip(outcome.times_s["whole"], outcome.times_s[way], strict=True)
    ratio, interval = median_ratio_interval([math.log(whole / ours) for whole, ours in pairs])
    return f"{ratio:.2f}x ({interval.low:.2f} to {interval.high:.2f})"


HEAD = """\
| queries | lengths (share of the tokens computed) | backend | whole, ms | buckets, gained | \
trim, gained | free, gained | peak memory, MiB (whole / buckets / trim / free) | distance |
|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Print the table; write it into the page on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write-docs", action="store_true")
    chosen = parser.parse_args()
    print(HEAD)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for line in run(chosen.model, rounds=chosen.rounds, folder=Path(folder) / "variants"):
            rows.append(line)
            print(line, flush=True)
    if chosen.write_docs:
        today = datetime.now(tz=UTC).date()
        text = f"{chosen.model.stem}, {chosen.rounds} rounds of {PER_ROUND} queries; {today}."
        write_block("buckets", "\n".join((text, "", HEAD, *rows)))


if __name__ == "__main__":
    main()

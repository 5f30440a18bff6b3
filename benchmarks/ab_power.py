"""How often a race errs, and how often it finds a small gain, under a load that comes and goes.

A/A pairs: the same file twice; every "faster" is false. Gains: 20 layers against 21 of the
same kind; the truth is known by counting FLOP. All of it through `fitwright.bench.race.race`
with ONNX Runtime in real children, while one other process per core is switched on and off
at random: half of its stretches compute, half stream through memory.

A/A pairs get a shorter budget than gains, so that two hundred of them fit into half an hour.
As in a run, ten races share what is learned of the spread between processes.

    python benchmarks/ab_power.py [--pairs 200] [--gains 20] [--budget 60] [--aa-budget 10]
        [--size usual|short] [--threads 1] [--seconds 140] [--no-load] [--out FILE]
        [--write-docs [--block ab-short]]

It goes on where the file of results ends: ``--seconds`` cuts it into slices. Run it on a
machine that does nothing else: the load is part of the script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

import numpy as np
import onnx
from ab_statistics import Round, statistics_table
from onnx import TensorProto, helper, numpy_helper
from pages import write_block

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.bench.block import Pace
from fitwright.bench.heats import Floor
from fitwright.bench.race import race
from fitwright.bench.reopening import fresh_pair, open_contender
from fitwright.bench.setup import Setup, Target
from fitwright.bench.statistics import share_interval
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Samples
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate

HERE = Path(__file__).parent
WORK = HERE / ".work"
FEWER, MORE = 20, 21
RACES_PER_RUN = 10
STRETCH_S = 2.0  # mean length of a stretch with or without load
MOST_FALSE, LEAST_FOUND = 0.02, 0.95
ENOUGH_PAIRS, ENOUGH_GAINS = 200, 20


class Size(NamedTuple):
    """Of both files: rows of the input, and columns of the input and of every layer."""

    rows: int
    width: int


SIZES = {"usual": Size(16, 384), "short": Size(1, 256)}  # about 1 ms and 0.1 ms a query


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One race."""

    kind: str
    number: int
    outcome: str
    ratio: float
    low: float
    high: float
    num_rounds: int
    num_heats: int
    seconds: float
    floor: float
    steal_share: float | None
    more_s: float | None
    rounds: tuple[Round, ...] = ()  # median of each block, candidate's first; s


# --- the two files --------------------------------------------------------------------


def write_model(path: Path, size: Size, *, num_layers: int) -> Path:
    """So many times a matrix product and a ReLU, every layer with weights of its own."""
    rng = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for i in range(num_layers):
        matrix = rng.standard_normal((size.width, size.width)) / size.width**0.5
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"w{i}"))
        out = "y" if i == num_layers - 1 else f"r{i}"
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"m{i}"]))
        nodes.append(helper.make_node("Relu", [f"m{i}"], [out]))
        value = out
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [*size]) for name in "xy"]
    graph = helper.make_graph(nodes, f"layers_{num_layers}", ends[:1], ends[1:], weights)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def flop(size: Size, num_layers: int) -> int:
    """Of one query: 2 per multiply-add, 1 per ReLU."""
    return num_layers * (2 * size.rows * size.width**2 + size.rows * size.width)


def target(path: Path, size: Size, *, num_layers: int, threads: int) -> Target:
    """One of the two files, written, as a candidate."""
    write_model(path, size, num_layers=num_layers)
    settings = Settings(threads=threads)
    return Target(
        candidate=Candidate(
            variant_id=path.stem, title=path.stem, backend="onnxruntime", settings=settings
        ),
        runtime=OnnxRuntime(),
        model=path,
        size_bytes=path.stat().st_size,
        flops=flop(size, num_layers),
        bytes_moved=path.stat().st_size,
    )


# --- the load -------------------------------------------------------------------------


@contextmanager
def load(*, seed: int) -> Iterator[None]:
    """One burner per core, each switched on and off at random, until the block ends."""
    command = [sys.executable, __file__, "--burn"]
    burners = [
        subprocess.Popen([*command, str(seed * 1000 + core)]) for core in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def burn(seed: int) -> None:
    """On and off for ever; ends with its parent."""
    rng, parent = random.Random(seed), os.getppid()
    memory, small = np.ones(32 << 20), np.ones(2048)
    while os.getppid() == parent:
        time.sleep(rng.expovariate(1 / STRETCH_S))
        array = rng.choice((memory, small))
        end = time.monotonic() + rng.expovariate(1 / STRETCH_S)
        while time.monotonic() < end:
            array.sum()


# --- the races ------------------------------------------------------------------------


def prepared(floor: Floor, size: Size) -> Setup:
    """What opening and racing read of a run; they look at neither contract nor device."""
    x = np.random.default_rng(1).standard_normal((4, *size)).astype(np.float32)
    return Setup(
        need=cast("Any", None),
        device=cast("Any", None),
        samples=Samples(inputs={"x": x}, labels=None, origin="synthetic"),
        reference={},
        metric=None,
        executor=LocalExecutor(),
        limits=ChildLimits(),
        floor=floor,
    )


def one_race(
    kind: str, number: int, ours: Target, theirs: Target, *, budget_s: float, setup: Setup
) -> Outcome:
    """Both opened, the incumbent first as in a run, and raced."""
    start = time.monotonic()
    incumbent, candidate = open_contender(setup, theirs), open_contender(setup, ours)
    try:
        result = race(
            candidate.worker,
            incumbent.worker,
            incumbent_name=theirs.candidate.key,
            pace=Pace(
                latency_s=max(candidate.latency_s, incumbent.latency_s),
                budget_s=budget_s,
                clock=time.monotonic,
                seed=number,
            ),
            fresh=fresh_pair(setup, candidate, incumbent),
            floor=setup.floor,
        )
    finally:
        for side in (candidate, incumbent):
            side.worker.close()
    comparison, noise = result.comparison, result.comparison.noise
    assert noise is not None and noise.floor is not None, "a race always says its floor"
    return Outcome(
        kind=kind,
        number=number,
        outcome=comparison.outcome,
        ratio=comparison.ratio,
        low=comparison.low,
        high=comparison.high,
        num_rounds=comparison.num_rounds,
        num_heats=comparison.num_heats,
        seconds=time.monotonic() - start,
        floor=noise.floor,
        steal_share=noise.steal_share,
        more_s=comparison.more_s,
        rounds=tuple(
            (median(ours), median(others))
            for ours, others in zip(result.candidate_blocks, result.incumbent_blocks, strict=True)
        ),
    )


def agenda(*, num_pairs: int, num_gains: int) -> list[tuple[str, int]]:
    """Gains spread evenly among the A/A pairs, so that both meet the same hours."""
    places = [(i / max(1, num_pairs), "A/A", i) for i in range(num_pairs)]
    places += [((i + 0.5) / max(1, num_gains), "gain", i) for i in range(num_gains)]
    return [(kind, number) for _, kind, number in sorted(places)]


def races(options: argparse.Namespace, done: list[Outcome], *, terms: dict[str, Any]) -> None:
    """What is left of the agenda; each result is on disk before the next race begins."""
    WORK.mkdir(exist_ok=True)
    size = SIZES[options.size]
    few, more = (
        target(
            WORK / f"layers_{options.size}_{num}.onnx",
            size,
            num_layers=num,
            threads=options.threads,
        )
        for num in (FEWER, MORE)
    )
    start, floor = time.monotonic(), Floor()
    finished = {(o.kind, o.number) for o in done}
    for kind, number in agenda(num_pairs=options.pairs, num_gains=options.gains):
        if (kind, number) in finished:
            continue
        budget_s = options.budget if kind == "gain" else options.aa_budget
        if options.seconds and time.monotonic() - start + budget_s > options.seconds:
            return
        if len(done) % RACES_PER_RUN == 0:
            floor = Floor()
        theirs = more if kind == "gain" else few
        setup = prepared(floor, size)
        done.append(one_race(kind, number, few, theirs, budget_s=budget_s, setup=setup))
        keep(options.out, done, terms=terms)
        last = done[-1]
        print(
            f"{kind:4s} {number:3d} {last.outcome:9s} {last.ratio:.3f} "
            f"({last.low:.3f} to {last.high:.3f}) {last.num_heats:2d} heats {last.seconds:4.1f} s",
            flush=True,
        )


# --- the file of results --------------------------------------------------------------


def stated(options: argparse.Namespace) -> dict[str, Any]:
    """What must be the same for results to belong together."""
    return {
        "budget_s": options.budget,
        "aa_budget_s": options.aa_budget,
        "size": options.size,
        "threads": options.threads,
        "load": not options.no_load,
    }


def keep(out: Path, done: Sequence[Outcome], *, terms: dict[str, Any]) -> None:
    """All results, replaced in one step."""
    body = {"terms": terms, "results": [asdict(o) for o in done]}
    part = out.with_suffix(".part")
    part.write_text(json.dumps(body, indent=1), encoding="utf-8")
    part.replace(out)


def kept(out: Path, *, terms: dict[str, Any]) -> list[Outcome]:
    """Results so far, of the same terms."""
    if not out.is_file():
        return []
    body = json.loads(out.read_text(encoding="utf-8"))
    if body["terms"] != terms:
        raise SystemExit(f"{out} holds results of other terms ({body['terms']}); name another")
    return [Outcome(**row) for row in body["results"]]


# --- what they say --------------------------------------------------------------------


def share(num: int, of: int) -> str:
    """``3 of 200 (0.5 % to 4.3 %)``, the Wilson interval."""
    low, high = share_interval(num, of)
    return f"{num} of {of} ({100 * low:.1f} % to {100 * high:.1f} %)"


def row(title: str, results: Sequence[Outcome]) -> str:
    """One line of the table."""
    if not results:
        return f"| {title} | not run | | | | | |"
    count = {
        word: sum(o.outcome == word for o in results)
        for word in ("faster", "slower", "same", "undecided")
    }
    return (
        f"| {title} | {share(count['faster'], len(results))} | {count['slower']} | "
        f"{count['same']} | {count['undecided']} | "
        f"{median(o.num_heats for o in results):g} (most {max(o.num_heats for o in results)}) | "
        f"{median(o.seconds for o in results):.1f} s (most "
        f"{max(o.seconds for o in results):.1f} s) |"
    )


def so_far(num: int, enough: int) -> str:
    """A word of caution while there are too few races to say it."""
    return "" if num >= enough else f" so far ({num} of {enough})"


def document(done: Sequence[Outcome], *, terms: dict[str, Any]) -> str:
    """The table, with what was asked and what came out."""
    equal = [o for o in done if o.kind == "A/A"]
    gains = [o for o in done if o.kind == "gain"]
    size = SIZES[terms["size"]]
    truth, each_mflop = flop(size, MORE) / flop(size, FEWER), flop(size, 1) / 1e6
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, ONNX Runtime with "
        f"{terms['threads']} thread(s) per child, competing load "
        f"{'on and off' if terms['load'] else 'none'}; {date.today().isoformat()}. True gain "
        f"by FLOP: {truth:.3f}x ({MORE} against {FEWER} layers of {each_mflop:.2g} MFLOP).",
        "",
        '| pairs | "faster" (95 %) | slower | same | too noisy to decide | heats | time |',
        "|---|---|---|---|---|---|---|",
        row(f"A/A, {terms['aa_budget_s']:g} s each", equal),
        row(f"5 % gain, {terms['budget_s']:g} s each", gains),
        "",
    ]
    if equal:
        false = sum(o.outcome == "faster" for o in equal)
        word = "kept" if false <= MOST_FALSE * len(equal) else "missed"
        word += so_far(len(equal), ENOUGH_PAIRS)
        lines.append(f'False "faster" at most {100 * MOST_FALSE:g} %: **{word}**.')
    if gains:
        found = [o for o in gains if o.outcome == "faster"]
        word = "kept" if len(found) >= LEAST_FOUND * len(gains) else "missed"
        word += so_far(len(gains), ENOUGH_GAINS)
        lines.append(f"Gains found in at least 19 of 20: **{word}**.")
        lines.append(f"Median of the measured gains: {median(o.ratio for o in gains):.3f}x.")
    if done:
        lines.append(
            "Spread between processes of one file, as learned: "
            f"{100 * median(o.floor for o in done):.1f} % (median)."
        )
    lines += statistics_table([(o.rounds, truth if o.kind == "gain" else 1.0) for o in done])
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=200, help="A/A pairs in all")
    parser.add_argument("--gains", type=int, default=20, help="races with a true gain of 5 %%")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for each gain")
    parser.add_argument("--aa-budget", type=float, default=10.0, help="seconds per A/A pair")
    parser.add_argument("--size", choices=SIZES, default="usual", help="of both files")
    parser.add_argument("--threads", type=int, default=1, help="of each child")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop in time; 0: run all")
    parser.add_argument("--no-load", action="store_true", help="without the competing load")
    parser.add_argument("--out", type=Path, default=WORK / "ab_power.json")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--block", default="ab", help="of docs/benchmarks.md")
    parser.add_argument("--burn", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Race what is left, then print what all results say."""
    options = parsed()
    if options.burn is not None:
        burn(options.burn)
        return
    WORK.mkdir(exist_ok=True)
    terms = stated(options)
    done = kept(options.out, terms=terms)
    if options.no_load:
        races(options, done, terms=terms)
    else:
        with load(seed=len(done)):
            races(options, done, terms=terms)
    text = document(done, terms=terms)
    print(text)
    if options.write_docs:
        write_block(options.block, text)


if __name__ == "__main__":
    main()

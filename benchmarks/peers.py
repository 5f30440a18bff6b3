"""Fitwright's artefact against what its neighbours make of the same model, side by side.

For each model and batch: `fitwright fit` with a time budget, the peers built by the tools' own
interfaces from the same samples (`peer_contestants.py`), then one interleaved run of them all
(`peer_compare.py`). Each case leaves ``benchmarks/.work/results/NAME-bBATCH.json``; a case that
has one is not run again, so an interrupted benchmark goes on where it stopped. Prints the
tables of what is there and, with ``--write-docs``, puts them in ``docs/benchmarks.md``.

Run by hand on a quiet machine, after ``python benchmarks/models.py``, with the Pythons of the
peers' environments (a peer without one is listed as not run):

    python benchmarks/peers.py --torch-python TORCH/bin/python --olive-python OLIVE/bin/python

The first is ``pip install torch transformers`` (on Linux pick a CPU build of torch), which also
builds the models; the second ``pip install torch`` (the same) and then ``pip install olive-ai
onnxruntime optuna requests``. `torch.compile` needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pages import write_block
from peer_compare import Contestant, Finding, NotRun, Row, compare, duel, finding
from peer_contestants import (
    ONNX_PEERS,
    ORIGINAL,
    PEER_NAMES,
    Case,
    Environments,
    fit,
    peer,
    prepared,
    versions,
)
from peer_inputs import BATCHES, NAMES, TRAINED, TRANSFORMERS, HeldOut, held_out
from peer_tables import WANTED, document

from fitwright.deliver.environment import describe_environment

HERE = Path(__file__).parent
WORK = HERE / ".work"
DUEL_ROUNDS = 120
CLOSE = 0.1
NEAR = 0.05
LEAST_OLIVE_S = 90  # it takes half a minute to begin
SETTLED = ("faster", "as fast", "slower", "no peer agrees as well")
CONTROL = "Fitwright, second copy"


def benchmark(case: Case, *, given: argparse.Namespace) -> dict[str, Any]:
    """Fit, build the peers, compare; plain values."""
    if not case.model.is_file():
        raise SystemExit(f"{case.model} is missing; build it with `python {HERE / 'models.py'}`")
    environments = Environments(torch=given.torch_python, olive=given.olive_python)
    prepared(case)
    fitted = fit(case, budget=given.fit_budget)
    limit_s = round(min(given.olive_limit, max(LEAST_OLIVE_S, fitted.made_s)))
    made = [peer(name, case, environments=environments, limit_s=limit_s) for name in PEER_NAMES]
    peers = [p for p in made if isinstance(p, Contestant)]
    measured = compared(case, [fitted, *peers], rounds=given.rounds)
    measured["not_run"] = [asdict(p) for p in made if isinstance(p, NotRun)] + measured["not_run"]
    return {
        "model": case.name,
        "batch": case.batch,
        "metric": TRAINED.get(case.name),
        "transformer": case.name in TRANSFORMERS,
        "candidate": fitted.what,
        "budget": given.fit_budget,
        **measured,
        "environment": environment(environments),
    }


def compared(case: Case, contestants: Sequence[Contestant], *, rounds: int) -> dict[str, Any]:
    """The common run, both verdicts, and a duel for each that it leaves open; plain values."""
    unseen = held_out(case.name, case.models, batch=case.batch)
    control = replace(contestants[0], name=CONTROL)
    rows, failed = compare(
        [*contestants, control], held_out=unseen, reference=ORIGINAL, rounds=rounds
    )
    scopes = {"all": PEER_NAMES, "onnx": ONNX_PEERS}
    judged = {scope: judge(rows, among=names) for scope, names in scopes.items()}
    is_wanted = case.name in TRANSFORMERS
    judged = settled(judged, contestants, unseen=unseen, is_wanted=is_wanted)
    return {
        "rounds": rounds,
        "rows": [row.to_json() for row in rows],
        "not_run": [asdict(n) for n in failed],
        "findings": {scope: asdict(found) for scope, found in judged.items()},
    }


def judge(rows: Sequence[Row], *, among: Sequence[str]) -> Finding:
    """The artefact's row, the first, against those of the named peers."""
    original = next(row for row in rows if row.name == ORIGINAL)
    peers = [row for row in rows if row.name in among]
    return finding(rows[0], peers, original=original)


def settled(
    judged: dict[str, Finding],
    contestants: Sequence[Contestant],
    *,
    unseen: HeldOut,
    is_wanted: bool,
) -> dict[str, Finding]:
    """Those that the common run left open or close, each decided in a duel; one duel per rival.

    Close is a ratio within CLOSE of 1, on either side: two processes of the same file come that
    near to differing, by the order in which they were opened.

    Args:
        is_wanted: whether the artefact should be WANTED times as fast as those given the same
            file; a ratio within NEAR of that, on either side, is open as well.
    """
    duels: dict[str, Finding] = {}
    for scope, found in judged.items():
        holds_it = found.speed_low < WANTED <= found.speed_high
        is_near = holds_it or abs(found.speed / WANTED - 1) <= NEAR
        is_close = found.rival != "none" and abs(found.speed - 1) <= CLOSE
        is_left_open = found.outcome not in SETTLED or is_close
        is_open = is_left_open or (is_wanted and scope == "onnx" and is_near)
        if is_open and found.rival not in duels:
            rival = next(c for c in contestants if c.name == found.rival)
            duels[found.rival] = duel(contestants[0], rival, held_out=unseen, rounds=DUEL_ROUNDS)
    return {scope: duels.get(found.rival, found) for scope, found in judged.items()}


def environment(environments: Environments) -> dict[str, Any]:
    """Machine and versions, those of the peers' environments included."""
    found = describe_environment("python benchmarks/peers.py").model_dump()
    return {**found, "packages": found["packages"] | versions(environments)}


def python_of(variable: str) -> Path | None:
    """An interpreter that an environment variable names."""
    return Path(os.environ[variable]) if variable in os.environ else None


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="default: every model")
    parser.add_argument("--batch", action="append", type=int, choices=BATCHES, help="default: both")
    parser.add_argument("--fit-budget", default="4 min", help="time budget of each fit")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument(
        "--olive-limit", type=int, default=240, help="most seconds of Olive's search"
    )
    parser.add_argument("--again", action="store_true", help="also cases that have a result")
    parser.add_argument("--tables", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument(
        "--block", default="peers", help="marks in the page; another machine has its own"
    )
    for name in ("torch", "olive"):
        variable = f"FITWRIGHT_BENCH_{name.upper()}_PYTHON"
        parser.add_argument(
            f"--{name}-python", type=Path, default=python_of(variable), help=f"or {variable}"
        )
    return parser.parse_args(arguments)


def results(names: Sequence[str]) -> list[dict[str, Any]]:
    """What has been found so far, in the order of the models."""
    files = [WORK / "results" / f"{n}-b{b}.json" for n in names for b in BATCHES]
    return [json.loads(file.read_text()) for file in files if file.is_file()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what has no result yet, and write what is there."""
    given = parsed(arguments)
    cases = [
        Case(name=n, batch=b, models=WORK / "models", folder=WORK / "cases" / f"{n}-b{b}")
        for n in given.only or NAMES
        for b in given.batch or BATCHES
    ]
    (WORK / "results").mkdir(parents=True, exist_ok=True)
    for case in [] if given.tables else cases:
        file = WORK / "results" / f"{case.label}.json"
        if given.again or not file.is_file():
            found = benchmark(case, given=given)
            unfinished = file.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(found, indent=2) + "\n")
            unfinished.replace(file)
    text = document(results(NAMES))
    print(text)
    if given.write_docs:
        write_block(given.block, text)


if __name__ == "__main__":
    main()

"""`fitwright fit` and `fitwright tune`: the closed loop, begun or gone on with."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwright.cli.output import Executor, Json, RunPath, Target, answer, lines, progress, table
from fitwright.errors import Exit
from fitwright.start import new_run, open_target, resumed_run

if TYPE_CHECKING:
    from fitwright.records.contract import Contract
    from fitwright.records.origin import Origin
    from fitwright.records.run import RunFolder
    from fitwright.records.verdict import Verdict

Time = Annotated[
    str | None, typer.Option(help="Wall-clock budget, e.g. 5m; overrides the contract's.")
]
Store = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="FITWRIGHT_STORE",
        help="A database that keeps the trials as well: postgresql://USER@HOST/NAME, any other "
        "that SQLAlchemy reads, or sqlite:///PATH.",
    ),
]
PASSWORD = re.compile(r"(?<=://)([^/:@\s]*):[^@\s]*@")


def fit(
    target: Target,
    time: Time = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    executor: Executor = "local",
    store: Store = "",
    json: Json = False,
) -> None:
    """Fit a model to this machine under a contract, and prove the fit.

    With a contract: until every limit is met or nothing is left to try. With only a model:
    the fastest verified artefact that agrees with the original.
    """
    contract, folder = open_target(target, time=time)
    run, origin = new_run(runs, target, folder=folder, store=store)
    verdict = _walk(contract, run=run, origin=origin, executor=executor, json=json)
    _conclude(run, verdict, json=json)


def tune(
    run_path: RunPath,
    time: Time = None,
    executor: Executor = "local",
    store: Store = "",
    json: Json = False,
) -> None:
    """Go on with a run that stopped early; no finished trial is repeated or lost."""
    from fitwright.records.contract import Contract
    from fitwright.start import duration_s

    run, origin = resumed_run(run_path, store=store)
    contract = run.read(Contract)
    if time is not None:
        budget = contract.budget.model_copy(update={"time_s": duration_s(time)})
        contract = contract.model_copy(update={"budget": budget})
    verdict = _walk(contract, run=run, origin=origin, executor=executor, json=json)
    _conclude(run, verdict, json=json)


def _walk(
    contract: Contract, *, run: RunFolder, origin: Origin, executor: str, json: bool
) -> Verdict:
    from fitwright.flow import fit as closed_loop
    from fitwright.start import local_tools

    command = PASSWORD.sub(r"\1:***@", "fitwright " + shlex.join(sys.argv[1:]))
    try:
        with progress(quiet=json) as console:
            tools = local_tools(console, executor=executor)
            return closed_loop(contract, origin=origin, tools=tools, run=run, command=command)
    except KeyboardInterrupt:
        print(_interrupted(run), file=sys.stderr)
        raise typer.Exit(Exit.INTERRUPTED) from None


def _interrupted(run: RunFolder) -> str:
    from fitwright.records.origin import Origin

    if not run.has(Origin):
        return "interrupted before the first trial; nothing was written"
    best = f"the best artefact so far is in {run.bundle}; " if run.bundle.is_dir() else ""
    return f"interrupted; {best}`fitwright tune {shlex.quote(str(run.path))}` goes on"


def _conclude(run: RunFolder, verdict: Verdict, *, json: bool) -> None:
    """Print the answer and leave with the contract's exit code."""
    code = Exit.MET if verdict.status == "met" else Exit.NOT_MET
    if json:
        answer(_document(run, verdict, code))
    else:
        print_run(run)
    raise typer.Exit(code)


def _document(run: RunFolder, verdict: Verdict, code: Exit) -> dict[str, object]:
    from fitwright.records.ledger import Ledger

    return {
        "run": str(run.path),
        "status": verdict.status,
        "exit": int(code),
        "verdict": verdict.model_dump(mode="json"),
        "ledger": run.read(Ledger).model_dump(mode="json"),
        "report": str(run.report),
        "bundle": str(run.bundle),
    }


def print_run(run: RunFolder, *, report: Path | None = None) -> None:
    """Verdict, before and after, ledger, and where everything lies.

    Args:
        report: where it was written, when not in the run.
    """
    from fitwright.deliver.evidence import read_evidence
    from fitwright.deliver.summary import (
        BEFORE_AFTER_HEADERS,
        LEDGER_HEADERS,
        VERDICT_HEADERS,
        before_after_rows,
        headline,
        ledger_rows,
        verdict_rows,
    )
    from fitwright.records.ledger import Ledger
    from fitwright.records.verdict import Verdict

    verdict = run.read(Verdict)
    rows = verdict_rows(verdict)
    table("Verdict", VERDICT_HEADERS, [r.cells for r in rows])
    lines(*(f"  {r.limit}: {r.note}" for r in rows if r.note))
    evidence = read_evidence(run)
    if evidence.baseline and evidence.artefact:
        pairs = before_after_rows(evidence.baseline, evidence.artefact)
        known = [r for r in pairs if any(f and f.value is not None for f in (r.before, r.after))]
        table("Before and after", BEFORE_AFTER_HEADERS, [r.cells for r in known])
        unknown = ", ".join(r.figure for r in pairs if r not in known)
        lines(*([f"  unavailable, see the report: {unknown}"] if unknown else []))
    if run.has(Ledger):
        table("Ledger", LEDGER_HEADERS, [r.cells for r in ledger_rows(run.read(Ledger))])
    lines(headline(verdict), *(f"  relax: {r.text}" for r in verdict.relaxations))
    lines(*(f"  instead: {a.text}: {a.candidate.describe()}" for a in verdict.alternatives))
    shipped = verdict.candidate.describe() if verdict.candidate else "nothing"
    lines(f"ships   {shipped}", f"bundle  {run.bundle}", f"report  {report or run.report}")

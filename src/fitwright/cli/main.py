"""The `fitwright` command: one file per command; this one names them and ends the process."""

from __future__ import annotations

import sys
from traceback import print_exc

import typer

from fitwright.cli.adapt import adapt
from fitwright.cli.bench import bench
from fitwright.cli.calibrate import calibrate
from fitwright.cli.devices import devices
from fitwright.cli.doctor import doctor
from fitwright.cli.explain import explain
from fitwright.cli.fit import fit, tune
from fitwright.cli.interrupt import end_when_interrupted
from fitwright.cli.ledger import ledger
from fitwright.cli.report import package, report
from fitwright.cli.select import select
from fitwright.cli.steps import analyze, design
from fitwright.cli.validate import validate
from fitwright.errors import Exit, FitwrightError

app = typer.Typer(
    name="fitwright",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    fit, analyze, select, design, adapt, bench, tune, report, package, doctor, explain,
    ledger, validate, calibrate,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
app.add_typer(devices)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("fitwright"))
        raise typer.Exit


@app.callback()
def about(
    debug: bool = typer.Option(False, help="Show the traceback of any error."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True),
) -> None:
    """Fit a trained model to hardware under a contract, and prove the fit."""


def run() -> None:
    """Entry point of the console script: every way out has its exit code."""
    debug, as_json = "--debug" in sys.argv, "--json" in sys.argv
    end_when_interrupted()
    try:
        app()
    except FitwrightError as error:
        if debug:
            print_exc()
        sys.exit(_told(error, as_json=as_json))
    except KeyboardInterrupt:
        print("interrupted; `fitwright tune RUN` goes on from the last trial", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(Exit.NOT_MET)
    except Exception as error:  # noqa: BLE001 - any bug has its exit code
        if debug:
            print_exc()
        print(
            f"error[FW900]: this is a bug in Fitwright: {type(error).__name__}: {error}\n"
            "Run again with `fitwright --debug …` and report what it prints.",
            file=sys.stderr,
        )
        sys.exit(Exit.BUG)


def _told(error: FitwrightError, *, as_json: bool) -> int:
    from fitwright.cli.errors import render, render_json

    if as_json:
        print(render_json(error))
    else:
        print(render(error), file=sys.stderr)
    return int(error.exit)

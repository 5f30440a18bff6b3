"""What every command shares: the JSON answer, tables, and the switch between them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fitwright.ports import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Target = Annotated[
    str, typer.Argument(metavar="MODEL|CONTRACT", help="A model file or a contract (YAML).")
]
Executor = Annotated[
    str,
    typer.Option(
        metavar="local|auto|ray:HOST:PORT|ray://HOST:PORT",
        help="Where trials run: this machine, or the nodes of a Ray cluster; #LABEL behind it "
        "names the hardware.",
    ),
]
RunPath = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, e.g. runs/digits-1.")]


def answer(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command; numbers without end are text, as in the records."""
    print(json.dumps(_finite(document), indent=2, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    """JSON knows neither infinity nor NaN: ``"Infinity"``, ``"-Infinity"``, ``"NaN"``."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value


@contextmanager
def progress(*, quiet: bool) -> Iterator[Console]:
    """Where progress goes: nowhere, a live line on a terminal, plain lines elsewhere."""
    from fitwright.cli.console import LiveLine, PlainLines
    from fitwright.start import Silent

    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        with LiveLine() as live:
            yield live
    else:
        yield PlainLines()


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; colour only on a terminal, never truncated elsewhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    out.print(drawn)


def lines(*texts: str) -> None:
    """Plain lines on stdout."""
    for text in texts:
        print(text)


def _style(cell: str) -> str:
    return {
        "met": "green",
        "missed": "bold red",
        "undecided": "yellow",
        "accepted": "green",
        "failed": "red",
    }.get(cell, "")

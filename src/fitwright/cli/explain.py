"""`fitwright explain CODE`: what an error means and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fitwright.cli.output import Json, answer, lines
from fitwright.errors import UsageError


def explain(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Such as FW201.")] = None,
    json: Json = False,
) -> None:
    """Explain an error code; without one, list them all."""
    from fitwright.explain import EXPLANATIONS

    if code is None:
        if json:
            return answer({c: asdict(e) for c, e in EXPLANATIONS.items()})
        lines(*(f"{c}  {e.title}" for c, e in sorted(EXPLANATIONS.items())))
        return None
    found = EXPLANATIONS.get(code.upper())
    if found is None:
        raise UsageError(
            f"no error has the code {code!r}",
            code="FW106",
            remedy="`fitwright explain` lists every code.",
        )
    if json:
        return answer({"code": code.upper(), **asdict(found)})
    lines(f"{code.upper()}  {found.title}", "", f"Why      {found.why}", f"Do this  {found.fix}")
    if found.example:
        lines("", found.example)
    return None

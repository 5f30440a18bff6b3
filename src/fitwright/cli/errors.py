"""How an error looks on a terminal, and as JSON: short, whatever it was made from."""

from __future__ import annotations

import json
import textwrap

from fitwright.errors import FitwrightError

MAX_LINES = 8
_MAX_CHARACTERS = 4000
_MAX_REMEDY_LINES = 2


def render(error: FitwrightError, *, width: int = 100) -> str:
    """Rule, remedy and where to read more, in at most `MAX_LINES` lines of `width`."""
    remedy = _wrapped(error.remedy, width, _MAX_REMEDY_LINES)
    more = f"Run 'fitwright explain {error.code}' for more."
    room = MAX_LINES - len(remedy) - 1
    first, *items = [_plain(line) for line in error.rule.splitlines()] or [""]
    head = _wrapped(f"error[{error.code}]: {first}", width, room if not items else 2)
    return "\n".join([*head, *_fitted(items, room - len(head), width), *remedy, more])


def render_json(error: FitwrightError) -> str:
    """The same for programs: ``{"error": {"code", "message", "remedy", "exit"}}``."""
    message = "\n".join(_plain(line) for line in error.rule.splitlines())
    fields = {
        "code": error.code,
        "message": message[:_MAX_CHARACTERS],
        "remedy": _plain(error.remedy)[:_MAX_CHARACTERS],
        "exit": int(error.exit),
    }
    return json.dumps({"error": fields}, ensure_ascii=False)


def _plain(line: str) -> str:
    """Without control, direction-changing and unpaired characters; tabs become spaces."""
    return "".join(c for c in line.replace("\t", " ") if c.isprintable())


def _wrapped(text: str, width: int, max_lines: int) -> list[str]:
    plain = " ".join(_plain(line) for line in text.splitlines())[:_MAX_CHARACTERS]
    return textwrap.wrap(
        plain, width, max_lines=max_lines, placeholder=" …", break_on_hyphens=False
    )


def _fitted(items: list[str], room: int, width: int) -> list[str]:
    """Whole items when there is room; else one line each, and how many are left out."""
    whole = [
        line for i in items for line in textwrap.wrap(i, width, subsequent_indent="    ") or [""]
    ]
    if len(whole) <= room:
        return whole
    lines = [i if len(i) <= width else f"{i[: width - 1]}…" for i in items]
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"  … and {len(lines) - room + 1} more"]

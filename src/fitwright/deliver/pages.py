"""Templates: everything a stranger wrote is escaped, a missing value is an error."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import jinja2

from fitwright import units
from fitwright.deliver import wording
from fitwright.deliver.summary import BeforeAfterRow


def render(template: str, **values: object) -> str:
    """The filled template; HTML ones escape every value that is not a drawing of ours."""
    return _templates().get_template(template).render(**values)


def day(moment: str) -> str:
    """``2026-11-22T09:30:00+00:00`` -> ``22 November 2026, 09:30 UTC``; other text as it is."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return wording.plain(moment)
    zone = f" {parsed.tzname()}" if parsed.tzinfo else ""
    return f"{parsed.day} {parsed:%B %Y, %H:%M}{zone}"


def sentence(words: str) -> str:
    """First letter large (``p99`` stays as it is), a full stop at the end."""
    if not words:
        return ""
    is_word = words.split()[0].isalpha()
    first = words[0].upper() if is_word else words[0]
    return first + words[1:] + ("" if words[-1] in ".!?…" else ".")


@dataclass(frozen=True)
class Marked:
    """Text that is HTML already, escaped by us."""

    text: str

    def __html__(self) -> str:
        return self.text


def code_marked(words: str) -> Marked:
    """Escaped text in which what stands between backticks is code."""
    return Marked(re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(words)))


def how_known(row: BeforeAfterRow) -> str:
    """Source of the artefact's figure, else the baseline's; reasons already stand in the cell."""
    figure = row.after or row.before
    if figure is None or figure.value is None:
        return ""
    return wording.plain(figure.source, longest=240)


FILTERS: dict[str, Callable[..., str | Marked]] = {
    "code_marked": code_marked,
    "plain": wording.plain,
    "figure_text": wording.figure_text,
    "figure_title": wording.figure_title,
    "interval_text": wording.interval_text,
    "samples_text": wording.samples_text,
    "times": wording.times,
    "share": wording.share,
    "seconds": units.seconds,
    "bytes": units.bytes_,
    "count": units.count,
    "day": day,
    "sentence": sentence,
    "how_known": how_known,
}


@cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("fitwright.deliver", "templates"),
        autoescape=lambda name: name is None or ".html" in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(FILTERS)
    return templates

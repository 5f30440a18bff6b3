"""Templates: everything a stranger wrote is escaped, a missing value is an error."""

from __future__ import annotations

from functools import cache

import jinja2

from fitwright.deliver.wording import plain


def render(template: str, **values: object) -> str:
    """The filled template; HTML ones escape every value that is not marked as drawn by us."""
    return _templates().get_template(template).render(**values)


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
    templates.filters["plain"] = plain
    return templates

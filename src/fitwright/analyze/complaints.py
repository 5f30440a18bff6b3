"""Validation errors in the user's words: ``path: what is wrong (value) - remedy``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_EXPECTED: Mapping[str, str] = {
    "model_type": "expected 'key: value' lines beneath it",
    "model_attributes_type": "expected 'key: value' lines beneath it",
    "dict_type": "expected 'key: value' lines beneath it",
    "list_type": "expected a list such as [local]",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_parsing": "expected true or false",
    "finite_number": "must be finite",
    "too_short": "must not be empty",
}
_ORDER: Mapping[str, tuple[str, str]] = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def complaints(error: ValidationError, record: type[BaseModel]) -> list[str]:
    """One line for each thing wrong, in the order of the record."""
    return [_line(dict(e), record) for e in error.errors(include_url=False)]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'limits'?``, or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names[:12])}" if names else "nothing is known here"


def shown(value: object, *, width: int = 40) -> str:
    """A value as the user wrote it, on one line and cut to `width`."""
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _line(error: dict[str, Any], record: type[BaseModel]) -> str:
    path = ".".join(shown(p)[1:-1] if isinstance(p, str) else str(p) for p in error["loc"])
    return f"{path or 'contract'}: {_what(error, record)}"


def _what(error: dict[str, Any], record: type[BaseModel]) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    match kind:
        case "missing":
            return f"is missing - add '{error['loc'][-1]}:'"
        case "extra_forbidden":
            return f"unknown key - {did_you_mean(str(error['loc'][-1]), _names(error, record))}"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            known = str(context["expected"])
            return f"must be {known}, not {shown(value)}"
    if kind in _ORDER:
        word, key = _ORDER[kind]
        return f"must be {word} {context[key]:g} ({shown(value)})"
    return f"{_EXPECTED.get(kind, error['msg'])} ({shown(value)})"


def _names(error: dict[str, Any], record: type[BaseModel]) -> list[str]:
    """The keys known at the level of an unknown key, as users write them."""
    here: type[BaseModel] = record
    for part in error["loc"][:-1]:
        field = _field(here, str(part))
        here = (_record_of(field.annotation) if field else None) or here
    return [f.alias or name for name, f in here.model_fields.items()]


def _field(record: type[BaseModel], key: str) -> FieldInfo | None:
    fields = record.model_fields
    return next((f for name, f in fields.items() if key in (name, f.alias)), None)


def _record_of(annotation: Any) -> type[BaseModel] | None:
    """The record inside ``Record``, ``Record | None`` or ``dict[str, Record]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((r for a in get_args(annotation) if (r := _record_of(a))), None)

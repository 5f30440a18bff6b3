"""Quantities as fields of records that users write: text with a unit, base units inside."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from fitwright import units


def _quantity(kind: units.Quantity) -> BeforeValidator:
    """A bare number is in base units in our own JSON, and an error in a user's file.

    The reader of user files validates with ``context={"user": True}``.
    """

    def read(value: object, info: ValidationInfo) -> object:
        from_user = bool((info.context or {}).get("user"))
        if isinstance(value, int | float) and not isinstance(value, bool) and not from_user:
            return float(value)
        return units.parse(value, kind)

    return BeforeValidator(read)


def _as_written(kind: units.Quantity) -> WithJsonSchema:
    """What the schema for editors says: the quantity as users write it."""
    written: dict[str, Any] = {
        "type": "string",
        "pattern": units.pattern(kind),
        "examples": [units.example(kind)],
    }
    return WithJsonSchema(written)


def _not_a_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")
    return value


Whole = Annotated[int, BeforeValidator(_not_a_truth)]
Number = Annotated[float, BeforeValidator(_not_a_truth)]

_Above0 = Field(gt=0, allow_inf_nan=False)

Seconds = Annotated[float, _quantity("seconds"), _Above0, _as_written("seconds")]
Bytes = Annotated[float, _quantity("bytes"), _Above0, _as_written("bytes")]
Joules = Annotated[float, _quantity("joules"), _Above0, _as_written("joules")]
Watts = Annotated[float, _quantity("watts"), _Above0, _as_written("watts")]
PerSecond = Annotated[float, _quantity("per_second"), _Above0, _as_written("per_second")]
UsdPerInference = Annotated[
    float, _quantity("usd_per_inference"), _Above0, _as_written("usd_per_inference")
]
UsdPerSecond = Annotated[
    float,
    _quantity("usd_per_second"),
    Field(ge=0, allow_inf_nan=False),
    _as_written("usd_per_second"),
]
UsdPerJoule = Annotated[float, _quantity("usd_per_joule"), _Above0, _as_written("usd_per_joule")]
KgPerJoule = Annotated[
    float,
    _quantity("kg_per_joule"),
    Field(ge=0, allow_inf_nan=False),
    _as_written("kg_per_joule"),
]
_SHARE_AS_WRITTEN = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": units.pattern("share")},
        ],
        "examples": [0.98, "98 %"],
    }
)
Share = Annotated[
    float, _quantity("share"), Field(ge=0, le=1, allow_inf_nan=False), _SHARE_AS_WRITTEN
]

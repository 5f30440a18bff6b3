"""Where a model may run, and what the place costs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from fitwright.records.quantity import KgPerJoule, Number, Seconds, Share, UsdPerJoule, Watts
from fitwright.records.record import Record
from fitwright.records.sheet import Kind


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class DeviceFilter(Record):
    """Devices of the catalogue by what they are; a key left out lets every device through."""

    kind: Annotated[list[Kind], BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="cpu, gpu, tpu, npu, fpga or asic; one, or a list.",
        examples=[["cpu", "gpu"]],
    )
    vendor: Annotated[list[str], BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="Who makes it, as `fitwright devices list` spells it; one, or a list.",
        examples=["NVIDIA"],
    )
    available: Literal["rent", "buy"] | None = Field(
        default=None, description="rent: a dated offer is known; buy: a price is known."
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not (self.kind or self.vendor or self.available):
            raise ValueError("a filter needs kind, vendor or available, e.g. {kind: [gpu]}")
        return self

    def describe(self) -> str:
        """``kind cpu or gpu, available to rent``."""
        words = [
            f"{key} {' or '.join(found)}"
            for key, found in (("kind", self.kind), ("vendor", self.vendor))
            if found
        ]
        return ", ".join([*words, *([f"available to {self.available}"] if self.available else [])])


def _written_as(value: object) -> str | None:
    if isinstance(value, str):
        return "id"
    return "filter" if isinstance(value, dict | DeviceFilter) else None


DeviceWanted = Annotated[
    Annotated[str, Field(min_length=1), Tag("id")] | Annotated[DeviceFilter, Tag("filter")],
    Discriminator(
        _written_as,
        custom_error_type="device",
        custom_error_message="expected local, a device id, a device file (.yaml), or a filter "
        "such as {kind: [cpu, gpu]}",
    ),
]


class Site(Record):
    """Where devices stand: what makes a price per inference of one that is owned, and carbon."""

    energy_price_usd_per_j: UsdPerJoule = Field(
        default=0.12 / 3.6e6,
        alias="energy_price",
        description="Price of electricity.",
        json_schema_extra={"default": "0.12 USD/kWh"},
    )
    grid_kg_per_j: KgPerJoule | None = Field(
        default=None,
        alias="grid",
        description="CO2 equivalent per unit of electricity; without it carbon is not stated.",
    )
    life_s: Seconds = Field(
        default=4 * 31_557_600.0,
        alias="life",
        description="How long an owned device serves before it is worth nothing.",
        json_schema_extra={"default": "4 y"},
    )
    utilisation: Annotated[Share, Field(gt=0)] = Field(
        default=0.5,
        description="Share of its life in which an owned device serves queries, where the "
        "traffic states no rate.",
    )
    power_overhead: Number = Field(
        default=1.3,
        ge=1,
        allow_inf_nan=False,
        description="Watts at the meter per watt of the device: conversion, fans, cooling.",
    )
    power_w: Watts | None = Field(
        default=None,
        alias="power",
        description="What the place can feed one device; a device with a larger TDP is refused.",
    )

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})

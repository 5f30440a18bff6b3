"""The contract: what must hold, in base units, checked once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fitwright.records.place import DeviceWanted, Site
from fitwright.records.quantity import (
    Bytes,
    Joules,
    Number,
    PerSecond,
    Seconds,
    Share,
    UsdPerInference,
    UsdPerSecond,
    Whole,
)
from fitwright.records.record import Record


class Data(Record):
    """Real inputs, and labels when there are any."""

    source: str = Field(
        description="file.npz with one array per model input (first axis: samples), relative to "
        "this file, or package.module:function returning such a mapping.",
        examples=["data.npz", "mymodule:load"],
    )
    labels: str = Field(
        default="labels",
        description="Name of the array with the labels, one per sample; without it accuracy "
        "means agreement with the original model.",
    )
    metric: str | None = Field(
        default=None,
        description="accuracy, f1, roc_auc, mse, top1_agreement, cosine, or "
        "package.module:function taking (outputs, labels) and returning a number. Absent: "
        "accuracy for class labels, mse for float labels.",
        examples=["accuracy", "mymodule:score"],
    )
    output: str | None = Field(
        default=None, description="Which model output the metric reads; absent: the first one."
    )
    calibration_share: Annotated[Share, Field(gt=0, lt=1)] = Field(
        default=0.2,
        description="Part of the samples set aside for calibration and never used to judge "
        "accuracy.",
    )


class InputRange(Record):
    """What synthetic values of one input look like when there is no data."""

    low: Number = Field(default=0.0, description="Smallest value.")
    high: Number = Field(default=1.0, description="Largest value (floats: just below it).")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high < float("inf") or self.low == -float("inf"):
            raise ValueError(
                f"low must be below high and both finite, got low={self.low}, high={self.high}"
            )
        return self


class Traffic(Record):
    """How requests arrive, in the words of MLPerf inference."""

    scenario: Literal["single_stream", "multi_stream", "server", "offline"] = Field(
        default="single_stream",
        description="single_stream: one query after another; multi_stream: several at once; "
        "server: Poisson arrivals at 'rate'; offline: all queries at once.",
    )
    rate_per_s: PerSecond | None = Field(
        default=None,
        alias="rate",
        description="Arrival rate of the server scenario, queries per second.",
    )
    batch: Whole = Field(default=1, ge=1, le=65536, description="Samples per query.")
    streams: Whole = Field(
        default=1,
        ge=1,
        le=4096,
        description="Queries of one burst in the multi_stream scenario; the next burst is sent "
        "when the last of them is answered, and a latency is that of a burst.",
    )
    scheduler: Literal["own", "loadgen"] = Field(
        default="own",
        description="Who sends the queries: Fitwright itself, or MLCommons LoadGen (extra "
        "'loadgen').",
    )

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})

    @model_validator(mode="after")
    def _rate_with_server(self) -> Self:
        if self.scenario == "server" and self.rate_per_s is None:
            raise ValueError("scenario 'server' needs an arrival rate; add 'rate: 200/s'")
        if self.scenario != "server" and self.rate_per_s is not None:
            raise ValueError("'rate' belongs to scenario 'server' only")
        if self.scenario != "multi_stream" and self.streams != 1:
            raise ValueError("'streams' belongs to scenario 'multi_stream' only")
        return self


class AccuracyLimit(Record):
    """How much the metric may lose (`drop`, against the original) or must reach (`floor`)."""

    drop: Share | None = Field(
        default=None,
        description="How much worse than the original the metric may be, as a difference: 0.01 "
        "lets an accuracy of 0.98 become 0.97 (mse: how much it may rise).",
    )
    floor: Number | None = Field(
        default=None,
        allow_inf_nan=False,
        description="What the metric must reach (mse: what it may not exceed).",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.drop is None) == (self.floor is None):
            raise ValueError("give exactly one of 'drop' (e.g. 0.01) and 'floor' (e.g. 0.97)")
        return self


class Limits(Record):
    """The promises to keep; each absent limit is free."""

    latency_p50: Seconds | None = Field(default=None, description="Median latency of a query.")
    latency_p90: Seconds | None = Field(default=None, description="90th percentile of latency.")
    latency_p95: Seconds | None = Field(default=None, description="95th percentile of latency.")
    latency_p99: Seconds | None = Field(default=None, description="99th percentile of latency.")
    throughput: PerSecond | None = Field(
        default=None, description="Smallest rate of inferences (queries x batch)."
    )
    peak_memory: Bytes | None = Field(
        default=None, description="Largest resident memory of the process that runs the model."
    )
    energy: Joules | None = Field(default=None, description="Largest energy per inference.")
    accuracy: AccuracyLimit | None = Field(
        default=None, description="How much the metric may lose, or what it must reach."
    )
    cost: UsdPerInference | None = Field(
        default=None, description="Largest cost per inference; needs 'price'."
    )
    size: Bytes | None = Field(default=None, description="Largest size of the files that ship.")


class Agreement(Record):
    """Without an accuracy limit: how close the outputs must stay to the original model's."""

    relative_l2: Number = Field(
        default=0.05,
        gt=0,
        allow_inf_nan=False,
        description="Largest allowed distance |y - y0| / |y0| (L2), over all outputs and samples.",
    )
    top1: Share = Field(
        default=0.99,
        description="Smallest allowed share of equal top-1 answers, for trained classifiers.",
    )


class Budget(Record):
    """How much time the loop may take, and when it may stop."""

    time_s: Seconds = Field(
        default=600.0,
        alias="time",
        description="Wall-clock budget of the whole run.",
        json_schema_extra={"default": "10 min", "examples": ["10 min"]},
    )
    stop: Literal["met", "exhausted"] = Field(
        default="met",
        description="met: end as soon as every limit is met; exhausted: go on for the best until "
        "nothing is left to try (always so without limits).",
    )
    learn: bool = Field(
        default=True,
        description="Whether what earlier runs on this machine found orders what is tried first, "
        "and this run is remembered for the next; nothing is ever taken over unmeasured.",
    )

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})


def _here() -> list[DeviceWanted]:
    return ["local"]


class Contract(Record):
    """What must hold for a model; one YAML file."""

    model: str = Field(
        min_length=1,
        description="Path of the model, relative to this file.",
        examples=["model.onnx"],
    )
    data: Data | None = Field(
        default=None, description="Real inputs and labels; absent: synthetic inputs."
    )
    shapes: dict[str, Annotated[Whole, Field(ge=1)]] = Field(
        default_factory=dict,
        description="Sizes for the model's symbolic dimensions, by name.",
        examples=[{"sequence": 128}],
    )
    inputs: dict[str, InputRange] = Field(
        default_factory=dict,
        description="Value ranges of synthetic inputs, by input name.",
        examples=[{"image": {"low": 0, "high": 1}}],
    )
    constant_inputs: dict[str, Number] = Field(
        default_factory=dict,
        description="Inputs that hold one value in every query, by name: what hangs on them "
        "alone is computed once and for all.",
        examples=[{"attention_mask": 1}],
    )
    padding_mask: str | None = Field(
        default=None,
        min_length=1,
        description="Input that is zero where the end of a query is padding: what the model "
        "gives there is never read, so short queries may be computed at a shorter length.",
        examples=["attention_mask"],
    )
    traffic: Traffic = Field(default=Traffic(), description="How requests arrive.")
    limits: Limits = Field(default=Limits(), description="The promises to keep.")
    agreement: Agreement = Field(
        default=Agreement(),
        description="How close outputs must stay to the original's when no accuracy limit is set.",
    )
    devices: list[DeviceWanted] = Field(
        default_factory=_here,
        min_length=1,
        description="Where the model may run: local (this machine), ids of the catalogue, device "
        "files, filters. Absent: `fit` runs here, `select` looks at this machine and at the "
        "whole catalogue.",
        examples=[["local", "l4", {"kind": ["cpu", "gpu"], "available": "rent"}]],
    )
    price_usd_per_s: UsdPerSecond | None = Field(
        default=None,
        alias="price",
        description="What the machine costs while it runs, for the cost limit.",
    )
    site: Site = Field(
        default=Site(), description="Electricity and service life, for cost and carbon."
    )
    budget: Budget = Field(default=Budget(), description="How long the loop may take.")

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})

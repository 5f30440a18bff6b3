"""The contract: what must hold, in base units, checked once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from fitwright import units
from fitwright.records.record import Record


def _quantity(kind: units.Quantity) -> BeforeValidator:
    """A bare number is in base units in our own JSON, and an error in a user's file.

    The reader of user files validates with ``context={"user": True}``.
    """

    def read(value: object, info: ValidationInfo) -> object:
        from_user = bool((info.context or {}).get("user"))
        if isinstance(value, int | float) and not isinstance(value, bool) and not from_user:
            return float(value)
        return units.parse(value, kind)

    return BeforeValidator(read, json_schema_input_type=str | float)


Seconds = Annotated[float, _quantity("seconds"), Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[float, _quantity("bytes"), Field(gt=0, allow_inf_nan=False)]
Joules = Annotated[float, _quantity("joules"), Field(gt=0, allow_inf_nan=False)]
PerSecond = Annotated[float, _quantity("per_second"), Field(gt=0, allow_inf_nan=False)]
UsdPerInference = Annotated[float, _quantity("usd_per_inference"), Field(gt=0, allow_inf_nan=False)]
UsdPerSecond = Annotated[float, _quantity("usd_per_second"), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, _quantity("share"), Field(ge=0, le=1, allow_inf_nan=False)]


class Data(Record):
    """Real inputs, and labels when there are any.

    Attributes:
        source: ``file.npz`` holding one array per model input (first axis: samples), or
            ``package.module:function`` returning such a mapping.
        labels: name of the array with the labels, one per sample; without it accuracy
            means agreement with the original model.
        metric: ``accuracy``, ``f1``, ``roc_auc``, ``mse``, ``top1_agreement``, ``cosine``, or
            ``package.module:function`` taking (outputs, labels) and returning a number.
        output: which model output the metric reads; the first one when absent.
        calibration_share: part of the samples set aside for calibration and never used
            to judge accuracy.
    """

    source: str
    labels: str = "labels"
    metric: str | None = None
    output: str | None = None
    calibration_share: Annotated[Share, Field(gt=0, lt=1)] = 0.2


class InputRange(Record):
    """What synthetic values of one input look like when there is no data."""

    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low}, high={self.high}")
        return self


class Traffic(Record):
    """How requests arrive, in the words of MLPerf inference.

    Attributes:
        scenario: single_stream, multi_stream, server (Poisson arrivals) or offline.
        rate_per_s: arrival rate of the server scenario, queries per second.
        batch: samples per query.
        streams: queries in flight in the multi_stream scenario.
    """

    scenario: Literal["single_stream", "multi_stream", "server", "offline"] = "single_stream"
    rate_per_s: PerSecond | None = Field(default=None, alias="rate")
    batch: int = Field(default=1, ge=1, le=65536)
    streams: int = Field(default=1, ge=1, le=4096)

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})

    @model_validator(mode="after")
    def _rate_with_server(self) -> Self:
        if self.scenario == "server" and self.rate_per_s is None:
            raise ValueError("scenario 'server' needs an arrival rate; add 'rate: 200/s'")
        if self.scenario != "server" and self.rate_per_s is not None:
            raise ValueError("'rate' belongs to scenario 'server' only")
        return self


class AccuracyLimit(Record):
    """How much the metric may lose (`drop`, against the original) or must reach (`floor`)."""

    drop: Share | None = None
    floor: float | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.drop is None) == (self.floor is None):
            raise ValueError("give exactly one of 'drop' (e.g. 0.01) and 'floor' (e.g. 0.97)")
        return self


class Limits(Record):
    """The promises to keep; each absent limit is free."""

    latency_p50: Seconds | None = None
    latency_p90: Seconds | None = None
    latency_p95: Seconds | None = None
    latency_p99: Seconds | None = None
    throughput: PerSecond | None = None
    peak_memory: Bytes | None = None
    energy: Joules | None = None
    accuracy: AccuracyLimit | None = None
    cost: UsdPerInference | None = None
    size: Bytes | None = None


class Agreement(Record):
    """Without labels: how close the outputs must stay to the original model's.

    Attributes:
        relative_l2: largest allowed ‖y - y₀‖₂ / ‖y₀‖₂, over all outputs and samples.
        top1: smallest allowed share of equal top-1 answers, for trained classifiers.
    """

    relative_l2: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    top1: Share = 0.99


class Budget(Record):
    """How much time the loop may take, and when it may stop.

    Attributes:
        time_s: wall-clock budget of the whole run, seconds.
        stop: ``met`` ends as soon as every limit is met; ``exhausted`` goes on for the best
            until nothing is left to try. Without limits only ``exhausted`` makes sense.
    """

    time_s: Seconds = Field(default=600.0, alias="time")
    stop: Literal["met", "exhausted"] = "met"

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})


class Contract(Record):
    """What a user promises about a model; one YAML file.

    Attributes:
        model: path of the model, relative to the contract's folder.
        shapes: sizes for symbolic dimensions, by name.
        inputs: value ranges for synthetic inputs, by input name.
        price: what the machine costs while it runs, for the cost limit.
    """

    model: str
    data: Data | None = None
    shapes: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    inputs: dict[str, InputRange] = Field(default_factory=dict)
    traffic: Traffic = Traffic()
    limits: Limits = Limits()
    agreement: Agreement = Agreement()
    devices: list[str] = Field(default_factory=lambda: ["local"], min_length=1)
    price_usd_per_s: UsdPerSecond | None = Field(default=None, alias="price")
    budget: Budget = Budget()

    model_config = ConfigDict(**Record.model_config | {"populate_by_name": True})

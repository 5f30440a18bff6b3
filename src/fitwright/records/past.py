"""What earlier runs on this machine found, kept to order what the next one tries first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.record import Record


class ModelPrint(Record):
    """A model by what it computes, so that similar ones are found again.

    Attributes:
        sha256: of its files.
        sizes: the sizes its symbolic dimensions were bound to; the same file at another
            length or batch is another model here.
        mix: share of the FLOP (both kinds) per operator kind, summing to 1; of the number
            of operators where none is counted.
        flops: of one query, both kinds.
    """

    sha256: str
    sizes: dict[str, int]
    mix: dict[str, float]
    flops: int
    num_parameters: int


class PastTrial(Record):
    """One candidate of an earlier run.

    Attributes:
        chain: titles of its recipes, in order.
        version: of the backend, as it was installed.
        speed: that run's baseline's time over its time, chained through races; None when
            it failed.
        relative_l2: distance of its outputs to the original's, where that was taken.
        breaks: limits of that run's contract that it broke for certain.
    """

    chain: tuple[str, ...]
    backend: str
    version: str
    settings: Settings
    speed: Figure | None
    relative_l2: float | None = None
    outcome: Literal["baseline", "accepted", "rejected", "failed"]
    breaks: tuple[str, ...] = ()


class PastRun(Record):
    """``history/<id>.json`` in the cache: one run, without names or paths of its user.

    Attributes:
        id: tells runs apart; a run that goes on replaces what it wrote before.
        machine: digest of what the machine is, see `past.machine_print`.
    """

    id: str = Field(pattern="^[0-9a-f]{8,64}$")
    machine: str
    model: ModelPrint
    traffic: Traffic
    trials: tuple[PastTrial, ...]


class Hint(Record):
    """What the past says about one candidate; it decides the order of trials, nothing else.

    Attributes:
        speed: expected against the baseline, drawn towards 1 where little is known.
        weight: how much past trials it rests on: each counts as much as its run resembles
            this one, 1 for the same model, versions and traffic.
        num_failed: of those trials, how many gave no figures.
        evidence: the same in words.
    """

    chain: tuple[str, ...]
    backend: str
    settings: Settings
    speed: float
    weight: float
    num_failed: int = 0
    evidence: str

"""One candidate measured: figures, or the cause of its failure."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from fitwright.errors import TrialFailed
from fitwright.records.figure import Figure
from fitwright.records.noise import Noise
from fitwright.records.plan import Settings
from fitwright.records.record import Record

Cause = Literal[
    "raised", "crashed", "killed", "timeout", "memory", "output", "disagrees", "not_finite"
]
_BELOW_FLOAT32 = ("bfloat16", "float16")


class Candidate(Record):
    """variant × backend × runtime settings."""

    variant_id: str
    title: str
    backend: str
    settings: Settings

    @cached_property
    def key(self) -> str:
        """Identifies the candidate within a run."""
        return f"{self.variant_id}/{self.backend}/{self.settings.describe()}"

    def describe(self) -> str:
        """``int8_static/nncf on openvino (threads=2)``."""
        return f"{self.title} on {self.backend} ({self.settings.describe()})"


class Comparison(Record):
    """Candidate against the incumbent of its time, from the same interleaved rounds.

    Attributes:
        ratio: time of the incumbent over time of the candidate, from paired rounds; above 1
            the candidate is faster. `low`, `high`: 95 % interval over all looks taken; it
            carries the spread between rounds and that between processes.
        outcome: faster, slower, same (the interval lies within ±1 %) or undecided (too
            noisy to decide in the time there was).
        num_heats: pairs of fresh processes it rests on.
        more_s: how much more time would probably decide it; None when it is decided, or
            when no reasonable time would.
        noise: the machine meanwhile.
    """

    incumbent: str
    ratio: float
    low: float
    high: float
    num_rounds: int
    outcome: Literal["faster", "slower", "same", "undecided"]
    num_heats: int = 1
    more_s: float | None = None
    noise: Noise | None = None


class Failure(Record):
    """Why a trial gave no figures.

    Attributes:
        cause: raised (an exception), crashed (a signal), killed (SIGKILL from outside),
            timeout, memory (over its limit), output (printed without end), disagrees
            (outputs too far from the original), not_finite (NaN or infinity).
        detail: the exception, the signal, the limit; at most a few hundred characters.
        distance: relative L2 distance to the original, where outputs were compared.
        excess: how many times what the contract allows: of the distance, or of the loss of
            accuracy where that decides; where outputs were compared, and something is allowed.
        glance: a few rounds against the best so far, where that alone was at fault: what its
            time would be if the outputs were nearer.
    """

    cause: Cause
    detail: str
    distance: float | None = None
    excess: float | None = None
    glance: Comparison | None = None

    @classmethod
    def of(cls, error: TrialFailed) -> Failure:
        """The value that a failed trial leaves behind."""
        return cls.model_validate({"cause": error.cause, "detail": error.detail})


class Trial(Record):
    """One candidate, measured or failed; one row of ``trials.db``.

    Attributes:
        figures: by name: ``latency_p50`` … ``latency_p99``, ``latency_mean``, ``throughput``,
            ``peak_memory``, ``size``, ``energy``, ``accuracy``, ``accuracy_drop``,
            ``relative_l2``, ``top1_agreement``, ``achieved_flops``, ``achieved_bandwidth``,
            ``load_time``, ``cost``.
        decision: baseline, accepted (became the incumbent), rejected or failed; `reason`
            says why in one sentence.
        stage: ``short`` (raced) or ``full`` (percentile run and full accuracy set).
        eliminated: another of its cohort was ahead in the common rounds, so it was not raced.
        facts: what the backend said it really did: device, precision, threads, versions.
        latencies_s: a sample of the measured latencies, for the distribution plot.
    """

    number: int
    round: int
    candidate: Candidate
    decision: Literal["baseline", "accepted", "rejected", "failed"]
    reason: str
    stage: Literal["short", "full"] = "short"
    eliminated: bool = False
    figures: dict[str, Figure] = Field(default_factory=dict)
    comparison: Comparison | None = None
    failure: Failure | None = None
    facts: dict[str, str] = Field(default_factory=dict)
    latencies_s: tuple[float, ...] = ()
    seconds: float = 0.0

    @classmethod
    def given_up(cls, candidate: Candidate, *, number: int, round_: int, worker: str) -> Trial:
        """What is recorded of a candidate whose workers died, the retry included.

        Args:
            worker: name of the last one.
        """
        failure = Failure(cause="killed", detail=f"worker {worker} stopped answering")
        return cls(
            number=number,
            round=round_,
            candidate=candidate,
            decision="failed",
            reason=f"{failure.cause}: {failure.detail}",
            failure=failure,
        )

    @property
    def silent_precision(self) -> str:
        """The precision the backend chose by itself when it is below float32; else empty."""
        used = self.facts.get("precision", "")
        chosen = self.candidate.settings.precision is None
        return used if chosen and used in _BELOW_FLOAT32 else ""

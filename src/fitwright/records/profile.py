"""What calibration found on this machine, and what runs have taught since."""

from __future__ import annotations

from pydantic import Field

from fitwright.records.evidence import Evidence
from fitwright.records.figure import Figure
from fitwright.records.record import Record


class Confronted(Record):
    """A model that was predicted and measured here.

    Attributes:
        model: digest of its files and sizes.
        runtime: the backend, ``openvino``.
        dtype: of its products: ``float32``, ``bfloat16``, ``int8``.
        predicted_s: before any scale that was learned from such rows.
        measured_s: median latency of one query.
    """

    model: str
    runtime: str
    dtype: str
    predicted_s: float
    measured_s: float


class BySize(Record):
    """Bytes per second of a copy and of a sum of two arrays, by the bytes they touch."""

    bytes: int
    copy_bytes_per_s: float
    add_bytes_per_s: float


class Profile(Record):
    """Evidence about this very machine: ``profile-<fingerprint>.json`` in the cache.

    Attributes:
        fingerprint: of the machine and the versions of its backends; another one makes the
            profile out of date.
        machine: name of the processor.
        software: versions that the figures depend on.
        peaks: dtype to the best rate of any product here, FLOP/s.
        bandwidth_bytes_per_s: of the memory, what factors in `rows` are of.
        by_size: bandwidth from the first cache to the memory.
        cache_bytes: sizes from which on the bandwidth falls: the levels of the cache.
        rows: constants of every family of kernels, per backend and dtype (`perf.calibrated`),
            with rung ``measured``.
        confronted: models that runs have measured since, one row per model, backend and dtype.
        gauges: seconds of a product of fixed size at its best, by backend and dtype: what a
            later calibration tells by that neighbours use the same units.
        cpu_share: smallest share of the CPU time asked for that a probe of products got.
        notes: what was not measured, and why.
    """

    fingerprint: str
    machine: str
    software: dict[str, str]
    peaks: dict[str, float]
    bandwidth_bytes_per_s: float
    by_size: tuple[BySize, ...] = ()
    cache_bytes: tuple[int, ...] = ()
    rows: tuple[Evidence, ...]
    confronted: tuple[Confronted, ...] = ()
    idle_power: Figure
    loaded_power: Figure
    gauges: dict[str, float] = Field(default_factory=dict)
    cpu_share: float
    seconds: float
    notes: tuple[str, ...] = ()

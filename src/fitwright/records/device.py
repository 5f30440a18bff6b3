"""A piece of hardware as Fitwright sees it: peaks, memory, power."""

from __future__ import annotations

from typing import Literal

from fitwright.records.figure import Figure
from fitwright.records.record import Record


class Cache(Record):
    """One cache level; `bytes` is the total over all instances."""

    level: int
    bytes: int
    shared_by_cores: int = 1


class Device(Record):
    """One device.

    Attributes:
        peaks: dtype (``float32``, ``bfloat16``, ``int8``) to FLOP/s or OP/s of a dense
            GEMM, best backend; 1 MAC = 2.
        bandwidth: bytes per second of a copy larger than the last cache, read plus write.
        idle_power, loaded_power: watts; ``unavailable`` where nobody knows.
        software: versions that the measured figures depend on.
        backends: names of the backends that run here.
        cpu_quota: CPU time this process may use, in cores, where a container limits it
            below what it can see; backends do not know it and start more threads.
        notes: what a reader of the figures should know.
    """

    id: str
    kind: Literal["cpu", "gpu", "tpu", "npu", "fpga", "asic"]
    name: str
    architecture: str
    instruction_sets: tuple[str, ...]
    num_cores: int
    num_threads: int
    caches: tuple[Cache, ...]
    memory_bytes: int
    peaks: dict[str, Figure]
    bandwidth: Figure
    idle_power: Figure
    loaded_power: Figure
    software: dict[str, str]
    backends: tuple[str, ...]
    cpu_quota: float | None = None
    notes: tuple[str, ...] = ()

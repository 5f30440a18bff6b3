"""How the model should run on the chosen device: step 3's answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fitwright.records.record import Record

Precision = Literal["float32", "bfloat16", "float16"]


class Settings(Record):
    """Runtime settings; ``None`` leaves the backend its own default.

    Attributes:
        threads: intra-operator threads.
        streams: parallel inference streams inside one session (OpenVINO) or concurrent
            callers of one session (ONNX Runtime).
        precision: arithmetic the backend may use for floating-point operators; ``None`` is
            its default, which may be lower than float32 on some CPUs.
        graph_optimization: how far the backend rewrites the graph.
        memory_arena: whether the backend keeps freed memory for reuse.
        mode: what the backend optimises for.
        spinning: whether idle threads busy-wait (lower latency, more energy).
        instances: processes that hold the model, each with a copy of the weights; queries go
            to whichever is free. `threads` and `streams` are those of one instance.
        pinned: whether each instance keeps to cores of its own; ``None`` pins several
            instances where each can have a core, and leaves a single one free.
        batch: queries that are stacked along the first axis into one run; more than 1 needs a
            model file made for it (`FixShapes.batch`), and queries that wait.
        parts: pieces that one query is cut into along the first axis, which run at once, each
            as one of so many streams; more than 1 needs a model file made for it
            (`FixShapes.parts`).
    """

    threads: int | None = Field(default=None, ge=1)
    streams: int | None = Field(default=None, ge=1)
    precision: Precision | None = None
    graph_optimization: Literal["none", "basic", "extended", "all"] | None = None
    memory_arena: bool | None = None
    mode: Literal["latency", "throughput"] | None = None
    spinning: bool | None = None
    instances: int = Field(default=1, ge=1)
    pinned: bool | None = None
    batch: int = Field(default=1, ge=1)
    parts: int = Field(default=1, ge=1)

    def merged(self, other: Settings) -> Settings:
        """These settings, overridden by what `other` states."""
        return self.model_copy(update=other.model_dump(exclude_defaults=True))

    def on(self, required: Settings) -> Settings:
        """These settings for a variant that cannot do without those.

        How many queries a run takes, or how small a part of one, is the variant's alone; and
        parts share the threads among themselves.
        """
        alone: dict[str, object] = {"batch": required.batch, "parts": required.parts}
        if required.parts > 1:
            alone |= {"threads": required.threads}
        return self.merged(required).model_copy(update=alone)

    def describe(self) -> str:
        """``threads=2, precision=bfloat16``; ``defaults`` when nothing is stated."""
        stated = self.model_dump(exclude_defaults=True)
        return ", ".join(f"{k}={v}" for k, v in stated.items()) or "defaults"


class Buffer(Record):
    """One activation in the arena: bytes [offset, offset + bytes) during [first, last]."""

    name: str
    bytes: int
    offset: int
    first: int
    last: int


class MemoryPlan(Record):
    """Static arena for the activations.

    Attributes:
        arena_bytes: what the packing needs.
        lower_bound_bytes: the liveness peak; no packing can be smaller.
        method: which packing won.
        alignment_bytes: every offset and size is a multiple of this.
    """

    arena_bytes: int
    lower_bound_bytes: int
    method: str
    alignment_bytes: int
    buffers: tuple[Buffer, ...]


class Placement(Record):
    """A run of operators [first, last] on one device."""

    device_id: str
    first: int
    last: int


class Parallelism(Record):
    """Degrees of parallelism over devices; all 1 on a single device."""

    tp: int = Field(default=1, ge=1)
    pp: int = Field(default=1, ge=1)
    dp: int = Field(default=1, ge=1)


class BackendPlan(Record):
    """One backend of the plan and the settings worth trying, defaults first."""

    backend: str
    settings: tuple[Settings, ...]


class Plan(Record):
    """Placement, memory, parallelism and runtime settings.

    Attributes:
        batches: how many queries to stack into one run, beside one by one; rising.
        parts: into how many parts to cut a query, beside running it whole; rising.
        num_threads: of a backend's defaults, one for each usable core.
    """

    device_id: str
    placements: tuple[Placement, ...]
    memory: MemoryPlan
    parallelism: Parallelism
    backends: tuple[BackendPlan, ...]
    batches: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    num_threads: int = 1
    notes: tuple[str, ...] = ()

"""What the steps need from outside, as small protocols.

`flow` wires them; `fitwright.testing` has a fake of each. Typing only.
"""

from __future__ import annotations

from fitwright.ports.backends import (
    Availability,
    Preparable,
    Runtime,
    Session,
    Transform,
    TransformRequest,
    TransformResult,
)
from fitwright.ports.execution import (
    ChildLimits,
    Executor,
    LoadBlock,
    LoadGenLoad,
    P,
    T,
    Worker,
)
from fitwright.ports.store import (
    TrialStore,
)
from fitwright.ports.surroundings import (
    Clock,
    Console,
    Meter,
    Tools,
)
from fitwright.ports.tensors import (
    Array,
    Samples,
    Tensors,
)

__all__ = [
    "Array",
    "Availability",
    "ChildLimits",
    "Clock",
    "Console",
    "Executor",
    "LoadBlock",
    "LoadGenLoad",
    "Meter",
    "P",
    "Preparable",
    "Runtime",
    "Samples",
    "Session",
    "T",
    "Tensors",
    "Tools",
    "Transform",
    "TransformRequest",
    "TransformResult",
    "TrialStore",
    "Worker",
]

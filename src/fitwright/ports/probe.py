"""A look inside compiled models: what each operator takes, and what int8 costs where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fitwright.ports.tensors import Array, Tensors
from fitwright.records.plan import Settings
from fitwright.records.sensitivity import Profile


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One compiled model to profile."""

    model: Path
    settings: Settings


class Probe(Protocol):
    """Takes a model of one backend apart. Picklable; every call belongs in a child process.

    `graph` is the float ONNX file that was quantised: operators go by their name there.
    """

    def profile(
        self, subjects: Sequence[Subject], *, graph: Path, inputs: Tensors, runs: int
    ) -> tuple[Profile, ...]:
        """Time of every operator, the subjects run in turn so that they share the noise.

        Args:
            inputs: one query per position, shape (queries, *input shape); used in turn.
        """
        ...

    def quantised(self, model: Path, *, graph: Path) -> tuple[str, ...]:
        """Operators that read an int8 tensor in this int8 model."""
        ...

    def distances(
        self, model: Path, *, graph: Path, inputs: Tensors, alone: Sequence[frozenset[str]]
    ) -> Array:
        """How far the outputs move when only some operators are left in int8, in float32.

        Args:
            model: int8 model, calibrated once; operators are switched, not recalibrated.
            alone: each set of operators that stays in int8 while all others are in float.

        Returns:
            Shape (sets, queries, 2): squared distance of the floating-point outputs to those
            of the float model, and the squared size of the latter.
        """
        ...

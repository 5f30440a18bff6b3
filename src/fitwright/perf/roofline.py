"""The roofline: what a machine can reach at best, from two measured peaks.

Williams, Waterman, Patterson: "Roofline: an insightful visual performance model for
multicore architectures", CACM 52(4), 2009. Everything here is a floor: time that no
software can go below while the peaks hold and every byte counted has to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fitwright.records.model import OperatorCost

Resource = Literal["compute", "bandwidth"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Roof:
    """The two peaks of one device at one dtype.

    Attributes:
        flop_per_s: of a dense GEMM, 1 MAC = 2 FLOP.
        bandwidth_bytes_per_s: read plus write, from memory beyond the caches.
    """

    flop_per_s: float
    bandwidth_bytes_per_s: float

    def __post_init__(self) -> None:
        if not (self.flop_per_s > 0 and self.bandwidth_bytes_per_s > 0):
            raise ValueError(f"both peaks must be above 0, got {self}")

    @property
    def ridge_flop_per_byte(self) -> float:
        """Arithmetic intensity above which compute binds."""
        return self.flop_per_s / self.bandwidth_bytes_per_s


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorFloor:
    """One operator under the roof.

    Attributes:
        index: place in the execution order.
        counted: False when no rule counts its FLOP; then only its bytes are in `floor_s`.
    """

    index: int
    name: str
    kind: str
    floor_s: float
    binds: Resource
    counted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFloor:
    """A whole model under the roof.

    Attributes:
        operators: one by one, each moving its own inputs and outputs.
        operators_s: their sum: the floor of a runtime that fuses nothing and keeps no
            activation in a cache. Real runtimes may go below it.
        graph_s: all FLOP, and weights, inputs and outputs moved once: the floor of perfect
            fusion. Never above `operators_s`.
        binds: what binds `graph_s`.
    """

    operators: tuple[OperatorFloor, ...]
    operators_s: float
    graph_s: float
    binds: Resource

    def slowest(self, count: int) -> tuple[OperatorFloor, ...]:
        """The operators with the largest floors, largest first."""
        return tuple(sorted(self.operators, key=lambda o: (-o.floor_s, o.index))[:count])


def attainable_flop_per_s(intensity: float, roof: Roof) -> float:
    """FLOP/s the roof allows at this arithmetic intensity (FLOP per byte)."""
    return min(roof.flop_per_s, intensity * roof.bandwidth_bytes_per_s)


def floor_s(*, flops: float, bytes_moved: float, roof: Roof) -> float:
    """Time that neither peak can beat, seconds."""
    return max(flops / roof.flop_per_s, bytes_moved / roof.bandwidth_bytes_per_s)


def binding_resource(*, flops: float, bytes_moved: float, roof: Roof) -> Resource:
    """Which of the two peaks the floor comes from; compute on a tie."""
    compute_s = flops / roof.flop_per_s
    return "compute" if compute_s >= bytes_moved / roof.bandwidth_bytes_per_s else "bandwidth"


def operator_floor(operator: OperatorCost, *, index: int, roof: Roof) -> OperatorFloor:
    """One operator's floor; its matmul-like FLOP over the peak, its bytes over the bandwidth.

    Elementwise FLOP are left out: they run on other units than the GEMM peak, and nearly
    always hide behind the bytes.
    """
    flops = operator.flops or 0
    moved = operator.bytes_read + operator.bytes_written
    return OperatorFloor(
        index=index,
        name=operator.name,
        kind=operator.kind,
        floor_s=floor_s(flops=flops, bytes_moved=moved, roof=roof),
        binds=binding_resource(flops=flops, bytes_moved=moved, roof=roof),
        counted=operator.flops is not None,
    )


def model_floor(
    operators: Sequence[OperatorCost], *, boundary_bytes: float, roof: Roof
) -> ModelFloor:
    """The floors of a model.

    Args:
        operators: in execution order.
        boundary_bytes: weights, inputs and outputs, each once: what even perfect fusion
            has to move.
        roof: the peaks.
    """
    floors = tuple(operator_floor(o, index=i, roof=roof) for i, o in enumerate(operators))
    flops = sum(o.flops or 0 for o in operators)
    return ModelFloor(
        operators=floors,
        operators_s=sum(f.floor_s for f in floors),
        graph_s=floor_s(flops=flops, bytes_moved=boundary_bytes, roof=roof),
        binds=binding_resource(flops=flops, bytes_moved=boundary_bytes, roof=roof),
    )

"""Step 3: placement, memory, parallelism and runtime settings on the chosen device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fitwright import units
from fitwright.design.memory import plan_memory
from fitwright.design.settings import Situation, backend_plan, batches, parts
from fitwright.errors import PlanError
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.need import Need
from fitwright.records.plan import MemoryPlan, Parallelism, Placement, Plan


def design(need: Need, summary: ModelSummary, device: Device, *, backends: Sequence[str]) -> Plan:
    """How the model should run on one device.

    Args:
        need: what must hold; it decides which settings are worth trying.
        summary: the model's operators and lifetimes.
        device: the chosen device.
        backends: those to plan for, in the order they should be tried.

    Raises:
        PlanError: no backend to plan for.
    """
    if not backends:
        raise PlanError(
            f"a plan needs at least one backend; none is available on {device.id}",
            code="FW330",
            remedy="Install one, e.g. `pip install fitwright[openvino]`; see `fitwright doctor`.",
        )
    situation = Situation(need=need, device=device)
    planned = [backend_plan(backend, situation) for backend in dict.fromkeys(backends)]
    memory = plan_memory(summary.lifetimes)
    stacked, cut = batches(situation, summary), parts(situation, summary)
    return Plan(
        device_id=device.id,
        placements=_one_placement(device, len(summary.operators)),
        memory=memory,
        parallelism=Parallelism(),
        backends=tuple(backend for backend, _ in planned),
        batches=stacked,
        parts=cut,
        num_threads=situation.cores,
        notes=(
            _memory_note(memory),
            *(note for _, notes in planned for note in notes),
            *_batch_notes(stacked),
            *_part_notes(cut),
        ),
    )


def _one_placement(device: Device, num_operators: int) -> tuple[Placement, ...]:
    """Every operator on the one device; none when the model has no operator."""
    if not num_operators:
        return ()
    return (Placement(device_id=device.id, first=0, last=num_operators - 1),)


def _batch_notes(batches: Sequence[int]) -> Iterator[str]:
    if batches:
        sizes = ", ".join(map(str, batches))
        yield f"runs of {sizes} queries: all are there, and a run costs something by itself"


def _part_notes(parts: Sequence[int]) -> Iterator[str]:
    if parts:
        numbers = ", ".join(map(str, parts))
        yield f"queries cut into {numbers} parts: threads of one run wait for each other"


def _memory_note(memory: MemoryPlan) -> str:
    return (
        f"activations fit in an arena of {units.bytes_(memory.arena_bytes)} "
        f"({memory.method}); no packing can need less than "
        f"{units.bytes_(memory.lower_bound_bytes)}"
    )

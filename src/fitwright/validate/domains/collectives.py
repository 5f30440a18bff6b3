"""Predicts rows about collectives between devices."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fitwright.perf.collective import Operation, collective_s, wire_factor
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.training_inputs import number, whole
from fitwright.validate.measures import in_base_units, measures

OPERATIONS: Mapping[str, Operation] = {
    "allreduce": "all_reduce",
    "allgather": "all_gather",
    "reducescatter": "reduce_scatter",
    "alltoall": "all_to_all",
    "a2a": "all_to_all",
    "broadcast": "broadcast",
    "bcast": "broadcast",
    "sendrecv": "send",
    "send": "send",
    "p2p": "send",
}


def predict_collective(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds, or bytes per second where the row asks for a bandwidth."""
    given = {str(k).lower(): v for k, v in case.inputs.items() if v is not None}
    asked = read.text(given, "op_name", "op", "operation", "collective", "name", "type")
    operation = operation_of(asked)
    if operation is None:
        return NoData(reason=f"no model of the collective {asked!r}")
    payload = payload_bytes(given)
    if payload is None:
        return NoData(reason="the row does not say how many bytes are moved")
    ranks = whole(given, *RANKS, default=0)
    if ranks < 1:
        return NoData(reason="the row does not say among how many devices (num_gpus)")
    if knowledge.sheet.vendor == "Intel" and operation == "all_gather":
        payload *= ranks  # oneCCL's tables state what one rank sends
    per_node = number(given, "gpus_per_node", "ranks_per_node")
    if (nodes := number(given, "nodes", "num_nodes")) is not None:
        per_node = per_node or max(ranks // max(int(nodes), 1), 1)
    answer = collective_s(
        operation,
        payload,
        ranks=ranks,
        sheet=knowledge.sheet,
        table=knowledge.evidence,
        ranks_per_node=int(per_node) if per_node else None,
    )
    asks_for_rate = "bw" in case.metric.lower() or measures(case.unit) == "bytes a second"
    if isinstance(answer, NoData) or not asks_for_rate:
        return answer
    moved = payload * (float(wire_factor(operation, ranks)) if "bus" in case.metric.lower() else 1)
    return answer.model_copy(
        update={
            "value": moved / answer.value,
            "low": moved / answer.high,
            "high": moved / answer.low,
            "unit": case.unit,
        }
    )


def operation_of(words: str) -> Operation | None:
    """``all_reduce``, ``AllReduce``, ``ncclAllReduce`` and ``all_reduce_perf (ring)``."""
    plain = re.sub(r"\(.*?\)|nccl|rccl|oneccl|[^a-z0-9]", "", words.lower())
    return OPERATIONS.get(plain.removesuffix("perf"))


RANKS = ("num_gpus", "ranks", "gpus", "num_ranks", "world_size", "n_gpus", "ngpus", "nranks",
         "n_devices", "num_devices", "devices")  # fmt: skip
SIZES = ("bytes", "payload_bytes", "message_bytes", "size_bytes", "num_bytes", "data_bytes",
         "message_size", "msg_size", "payload", "size")  # fmt: skip
COUNTED_IN = {"_kb": 1e3, "_mb": 1e6, "_gb": 1e9, "_kib": 2**10, "_mib": 2**20, "_gib": 2**30}


def payload_bytes(given: Mapping[str, object]) -> float | None:
    """Of ``bytes: 16777216``, ``size: "16 MiB"`` and ``size_mb: 16``; None: not said."""
    if (amount := number(given, *SIZES)) is not None:
        said = str(next(given[name] for name in SIZES if name in given))
        unit = re.search(r"\d\s*([a-z]+)", said.lower())
        return amount * (in_base_units(unit[1]) or 1.0 if unit else 1.0)
    for tail, factor in COUNTED_IN.items():
        counted = number(given, *(name + tail for name in ("size", "payload", "message_size")))
        if counted is not None:
            return counted * factor
    return None

"""Predicts rows about collectives between devices."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fitwright.perf.collective import Operation, collective_s, wire_factor
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.training_inputs import number, whole

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
    asked = str(given.get("op_name", given.get("op", given.get("operation", ""))))
    operation = OPERATIONS.get(re.sub(r"[^a-z0-9]", "", asked.lower()).removesuffix("perf"))
    if operation is None:
        return NoData(reason=f"no model of the collective {asked!r}")
    names = ("bytes", "payload_bytes", "message_bytes", "size_bytes", "num_bytes", "message_size")
    payload = number(given, *names)
    if payload is None:
        return NoData(reason="the row does not say how many bytes are moved")
    ranks = whole(given, "num_gpus", "ranks", "gpus", "num_ranks", "world_size", default=2)
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
    if isinstance(answer, NoData) or "bw" not in case.metric.lower():
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

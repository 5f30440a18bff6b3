"""Collectives between devices: start-up, ramp and bandwidth, per link and operation.

A message of `num_bytes` (payload as nccl-tests counts it) takes the quicker of two protocols:

    low latency:  start + wire / (LOW_LATENCY_SHARE * speed)
    bulk:         BULK_START * start + wire / speed * (1 + sqrt(RAMP_S * speed / num_bytes))

``wire`` is the payload times `wire_factor`; ``speed`` is the link's published bandwidth times a
fitted share, which depends on the ranks and on the operation (in-network reduction, NVLS,
lifts all_reduce above what the wire alone could do). Between nodes the speed is also bounded by
the network that the ranks of one node share, and the start grows with the tree over the nodes.

Sources of the shape: NCCL's own split in LL/LL128/Simple protocols; BULK_START and
LOW_LATENCY_SHARE from the all_reduce sweep of an 8-GPU NVLink node in
kvcache-ai/Mooncake pull request 3484; RAMP_S from the peaks at 4-8 GiB on A100 (232 GB/s,
NVIDIA/nccl issue 1048) and H100 (476 GB/s, NVIDIA/nccl-tests issue 290) against those at 512 MiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.ladder import estimate, nearest
from fitwright.records.cluster import Cluster, Link
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Operation = Literal["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "send"]
LinkFamily = Literal["nvlink", "bridge", "xgmi", "ici", "ethernet", "pcie"]
Numbers = Any  # float, or a numpy array of them: every formula here is elementwise

BULK_START = 1.6
LOW_LATENCY_SHARE = 0.45
RAMP_S = 8.1e-6
DEVICES_PER_NODE = 8
NETWORK_SPREAD = 1.3
"""What crossing nodes adds to a band: clusters of one device differ in adapters and switches."""
_ALIKE: Mapping[Operation, Operation] = {"broadcast": "all_gather", "send": "all_to_all"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast one operation goes over a device's links.

    Attributes:
        bytes_per_s: of the link, one direction, as published.
        shares: reached of it at 2, 4 and 8 ranks, on bus bandwidth.
        start_s: of two ranks; `start_per_rank_s` is added for each further one.
        spread, start_spread: 80 % bands as factors, of long and of empty messages.
    """

    bytes_per_s: float
    shares: tuple[float, float, float]
    start_s: float
    start_per_rank_s: float
    rung: Rung = "kind"
    spread: float = 1.0
    start_spread: float = 1.0
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Between nodes.

    Attributes:
        bytes_per_s: of one device, one direction.
        node: devices that the fast link joins.
        share: reached of it.
        start_s: added as soon as two nodes take part; `hop_s` with each doubling of the nodes.
    """

    bytes_per_s: float
    share: float
    start_s: float
    hop_s: float
    node: int = DEVICES_PER_NODE


def link_family(sheet: Sheet, *, ranks: int = 2) -> LinkFamily | None:
    """What devices of this kind talk over; a bridge joins two, more go over PCIe."""
    link = sheet.link.lower()
    if "nvlink" in link and "bridge" not in link:
        return "nvlink"
    if "bridge" in link and ranks <= 2:
        return "bridge"
    if "xgmi" in link or "infinity" in link or "xe-link" in link:
        return "xgmi"
    if "ici" in link or "neuronlink" in link:
        return "ici"
    if "roce" in link or "ethernet" in link or "gbe" in link:
        return "ethernet"
    return "pcie" if sheet.host_bytes_per_s else None


def wire_factor(operation: Operation, ranks: Numbers) -> Numbers:
    """Payload to bytes over one rank's link, as nccl-tests defines bus bandwidth.

    The payload of all_gather and reduce_scatter is the whole of all ranks, that of all_reduce,
    all_to_all, broadcast and send what one rank holds.
    """
    if operation == "all_reduce":
        return 2 * (ranks - 1) / ranks
    if operation in ("broadcast", "send"):
        return np.where(np.asarray(ranks) > 1, 1.0, 0.0)
    return (ranks - 1) / ranks


def pace(
    operation: Operation, *, sheet: Sheet, table: Iterable[Evidence], ranks: int = 8
) -> Pace | NoData:
    """The constants of an operation on a device, from the nearest evidence.

    Args:
        ranks: how many take part: decides whether a bridge suffices.
    """
    family = link_family(sheet, ranks=ranks)
    if family is None:
        return NoData(reason=f"{sheet.id} has neither a link nor a host interface on its sheet")
    speed = sheet.host_bytes_per_s if family == "pcie" else sheet.link_bytes_per_s
    if speed is None:
        return NoData(reason=f"the bandwidth of the link {sheet.link!r} of {sheet.id} is unknown")
    what = f"collective/{_ALIKE.get(operation, operation)}"
    found = _constants(tuple(table), sheet, what=what, family=family)
    if found is None:
        return NoData(reason=f"no measured {operation} on {family} links of a {sheet.kind}")
    c = found.constants
    return Pace(
        bytes_per_s=speed.value,
        shares=(c["share_2"], c["share_4"], c["share_8"]),
        start_s=c["start_s"],
        start_per_rank_s=c["start_per_rank_s"],
        rung=found.rung,
        spread=found.spread,
        start_spread=c["start_spread"],
        source=found.source,
    )


def network(sheet: Sheet, table: Iterable[Evidence]) -> Network | None:
    """What joins the nodes of this device's usual clusters; None: no evidence."""
    found = nearest(table, sheet, what="collective/network")
    if found is None:
        return None
    c = found.constants
    return Network(
        bytes_per_s=c["bytes_per_s"],
        share=c["share"],
        start_s=c["start_s"],
        hop_s=c["hop_s"],
        node=int(c["node"]),
    )


def network_of(cluster: Cluster, adapter: Link, *, usual: Network) -> Network:
    """What joins the nodes of a cluster of the catalogue: its adapters shared by its devices.

    Args:
        adapter: the link that one adapter is.
        usual: whose share and starts are kept.
    """
    node = cluster.node
    each = node.num_adapters * adapter.bytes_per_s.value / node.num_devices
    return replace(usual, bytes_per_s=each, node=node.num_devices)


def transfer_s(
    operation: Operation,
    num_bytes: Numbers,
    *,
    ranks: Numbers,
    pace: Pace,
    ranks_per_node: Numbers = None,
    network: Network | None = None,
) -> NDArray[np.float64]:
    """Seconds of one collective; elementwise over arrays, 0 for a single rank.

    Args:
        ranks_per_node: how many of these ranks share a node; all of them by default.
    """
    n = np.maximum(np.asarray(ranks, float), 1)
    inside = n if ranks_per_node is None else np.minimum(np.asarray(ranks_per_node, float), n)
    nodes = np.ceil(n / inside)
    speed, start = _inside(np.where(inside > 1, inside, 1), pace)
    if network is not None:
        outer = inside * network.bytes_per_s * network.share
        speed = np.where(nodes > 1, np.minimum(np.where(inside > 1, speed, np.inf), outer), speed)
        start = start + np.where(
            nodes > 1, network.start_s + network.hop_s * np.log2(np.maximum(nodes, 2)), 0
        )
    size = np.maximum(np.asarray(num_bytes, float), 1)
    wire = size * wire_factor(operation, n)
    low_latency = start + wire / (LOW_LATENCY_SHARE * speed)
    bulk = BULK_START * start + wire / speed * (1 + np.sqrt(RAMP_S * speed / size))
    return np.where(n > 1, np.minimum(low_latency, bulk), 0.0)


def collective_s(
    operation: Operation,
    num_bytes: float,
    *,
    ranks: int,
    sheet: Sheet,
    table: Iterable[Evidence],
    ranks_per_node: int | None = None,
    network_bytes_per_s: float | None = None,
) -> Estimate | NoData:
    """Seconds of one collective, with its band.

    Args:
        num_bytes: payload, see `wire_factor`.
        ranks_per_node: of these ranks; by default as many as a node holds.
        network_bytes_per_s: of one device, one direction; by default as usual for the device.
    """
    rows = tuple(table)
    found = pace(operation, sheet=sheet, table=rows, ranks=ranks)
    if isinstance(found, NoData):
        return found
    joined = network(sheet, rows)
    inside = min(ranks, ranks_per_node or (joined.node if joined else DEVICES_PER_NODE))
    if inside < ranks and joined is None:
        return NoData(reason=f"{ranks} ranks span nodes and nothing is known of their network")
    if joined is not None and network_bytes_per_s:
        joined = replace(joined, bytes_per_s=network_bytes_per_s)
    value = transfer_s(
        operation, num_bytes, ranks=ranks, pace=found, ranks_per_node=inside, network=joined
    )
    seconds = max(float(value), 1e-9)
    over = "network between nodes" if inside < ranks else link_family(sheet, ranks=ranks)
    return estimate(
        seconds,
        unit="seconds",
        rung=found.rung,
        spread=_spread(operation, seconds, found, ranks, inside, joined),
        reasons=(f"{operation} of {ranks} over {over}; constants from {found.source}",),
    )


def all_reduce_s(
    num_bytes: float, *, ranks: int, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """Seconds to sum `num_bytes` held by each rank."""
    return collective_s("all_reduce", num_bytes, ranks=ranks, sheet=sheet, table=table)


def all_gather_s(
    num_bytes: float, *, ranks: int, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """Seconds until every rank holds all `num_bytes` (the sum of the ranks' shards)."""
    return collective_s("all_gather", num_bytes, ranks=ranks, sheet=sheet, table=table)


def reduce_scatter_s(
    num_bytes: float, *, ranks: int, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """Seconds until every rank holds the sum of its shard of `num_bytes`."""
    return collective_s("reduce_scatter", num_bytes, ranks=ranks, sheet=sheet, table=table)


def all_to_all_s(
    num_bytes: float, *, ranks: int, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """Seconds to exchange; `num_bytes` is what each rank sends in all."""
    return collective_s("all_to_all", num_bytes, ranks=ranks, sheet=sheet, table=table)


def broadcast_s(
    num_bytes: float, *, ranks: int, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """Seconds until every rank holds what one had."""
    return collective_s("broadcast", num_bytes, ranks=ranks, sheet=sheet, table=table)


def send_s(num_bytes: float, *, sheet: Sheet, table: Iterable[Evidence]) -> Estimate | NoData:
    """Seconds from one device to another in the same node."""
    return collective_s("send", num_bytes, ranks=2, sheet=sheet, table=table)


def _spread(
    operation: Operation,
    seconds: float,
    pace: Pace,
    ranks: int,
    inside: int,
    joined: Network | None,
) -> float:
    """The band between that of starts and that of bandwidths, by what the time is made of."""
    empty = transfer_s(operation, 1, ranks=ranks, pace=pace, ranks_per_node=inside, network=joined)
    starting = min(float(empty) / seconds, 1.0)
    between = float(pace.start_spread**starting * pace.spread ** (1 - starting))
    return between * (NETWORK_SPREAD if inside < ranks else 1.0)


def _inside(ranks: NDArray[np.float64], pace: Pace) -> tuple[Numbers, Numbers]:
    """Speed and start inside a node; beyond eight ranks the start grows as a tree does."""
    share = np.interp(np.log2(np.maximum(ranks, 2)), [1, 2, 3], pace.shares)
    further = np.clip(ranks, 2, 8) - 2 + 2 * np.log2(np.maximum(ranks / 8, 1))
    return pace.bytes_per_s * share, pace.start_s + pace.start_per_rank_s * further


def _constants(
    table: tuple[Evidence, ...], sheet: Sheet, *, what: str, family: LinkFamily
) -> Evidence | None:
    """Of this link family; a family that nobody measured is taken as any link of the kind."""
    return nearest(table, sheet, what=what, dtype=family) or nearest(table, sheet, what=what)

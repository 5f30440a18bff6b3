"""Links between devices, nodes of devices and clusters of nodes, as published."""

from __future__ import annotations

from typing import Literal

from fitwright.records.record import Record
from fitwright.records.sheet import Fact

Scope = Literal["device", "host", "network"]
"""What a link joins: devices of one node, a device and its host, or nodes."""
Topology = Literal["single", "switch", "mesh", "ring", "pairs", "torus2d", "torus3d", "host"]
"""How the devices of a node are joined. ``switch``: each reaches any other at its full rate;
``mesh``: a link of its own to each other; ``pairs``: bridges of two, pairs through the host;
``host``: through the host's PCIe lanes alone; ``single``: one device."""
Network = Literal["none", "fat_tree", "rails", "dragonfly", "ethernet"]
"""How nodes are joined. ``fat_tree`` and ``rails`` (one switch for the adapters of equal
number) are taken as without contention."""


class Link(Record):
    """What a message costs: ``latency_s + bytes / bytes_per_s`` (alpha and beta).

    Attributes:
        latency_s: of one step of a collective with an empty message; its start on the devices
            is not in it.
        bytes_per_s: one direction, all lanes of one device (of one adapter for ``network``).
        peer_bytes_per_s: between two devices alone, where that is less (``mesh``).
    """

    id: str
    name: str
    scope: Scope
    latency_s: Fact
    bytes_per_s: Fact
    peer_bytes_per_s: Fact | None = None
    note: str = ""


class Node(Record):
    """Devices that share a link.

    Attributes:
        device: id of the sheet.
        link: id of the link between the devices; of ``host`` and ``single`` the host's.
        shape: of a torus, devices along each axis.
        num_adapters: network adapters of the node.
        rest_power_w: host, fans, switches and adapters of one node at full load.
    """

    device: str
    num_devices: int
    topology: Topology
    link: str
    host_link: str = ""
    shape: tuple[int, ...] = ()
    num_adapters: int = 0
    rest_power_w: Fact | None = None


class Cluster(Record):
    """Nodes of one kind on a network.

    Attributes:
        num_nodes: as built or sold; the largest that a plan may ask for.
        adapter: id of the link (scope ``network``) that one adapter is; empty for one node.
    """

    id: str
    name: str
    node: Node
    num_nodes: int = 1
    network: Network = "none"
    adapter: str = ""
    source: str
    note: str = ""

    @property
    def num_devices(self) -> int:
        """In all nodes together."""
        return self.node.num_devices * self.num_nodes

"""Links, nodes and clusters of the catalogue."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from fitwright.catalog.reading import Reading, check_keys, read_fact, texts
from fitwright.errors import ContractError
from fitwright.records.cluster import Cluster, Link, Node, Topology
from fitwright.records.sheet import Sheet
from fitwright.units import Quantity

LINKS = Path(__file__).parent / "links"
CLUSTERS = Path(__file__).parent / "clusters"
_LINK_KEYS = ("name", "scope", "latency", "bandwidth", "peer", "note")
_NODE_KEYS = ("device", "topology", "link", "host_link")
_CLUSTER_KEYS = (
    *("name", "devices", "shape", "adapters", "rest_power", "nodes", "network", "adapter"),
    *("source", "note", *_NODE_KEYS),
)
_RATES: Mapping[str, tuple[str, Quantity]] = {
    "latency": ("latency_s", "seconds"),
    "bandwidth": ("bytes_per_s", "bytes_per_s"),
    "peer": ("peer_bytes_per_s", "bytes_per_s"),
}
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_T = TypeVar("_T", Link, Cluster)


@cache
def load_links() -> Mapping[str, Link]:
    """Every link by id."""
    return _load(LINKS, "links", _link)


@cache
def load_clusters() -> Mapping[str, Cluster]:
    """Every cluster by id; a node alone is a cluster of one."""
    return _load(CLUSTERS, "clusters", _cluster)


def find_link(name: str) -> Link:
    """The link with this id.

    Raises:
        ContractError: there is none.
    """
    return _find(name, load_links(), what="link", code="FW123")


def find_cluster(name: str) -> Cluster:
    """The cluster with this id.

    Raises:
        ContractError: there is none.
    """
    return _find(name, load_clusters(), what="cluster", code="FW127")


def clusters_of(device: str) -> tuple[Cluster, ...]:
    """The clusters built of this device."""
    return tuple(c for c in load_clusters().values() if c.node.device == device)


def host_link(sheet: Sheet) -> Link:
    """The link to the host whose bandwidth comes nearest to the sheet's."""
    if sheet.host_bytes_per_s is None:
        return load_links()["on-package"]
    rate = sheet.host_bytes_per_s.value
    hosts = [k for k in load_links().values() if k.scope == "host" and k.id != "on-package"]
    return min(hosts, key=lambda k: abs(k.bytes_per_s.value / rate - 1))


def plain_node(sheet: Sheet, *, num_devices: int) -> Node:
    """Devices of this kind in one box, where no cluster of the catalogue says better.

    Joined by their own links, or else through the host.
    """
    host = host_link(sheet).id
    return Node(
        device=sheet.id,
        num_devices=num_devices,
        topology="single" if num_devices == 1 else _topology(sheet.link),
        link=sheet.link if sheet.link and num_devices > 1 else host,
        host_link=host,
    )


def _topology(link: str) -> Topology:
    """Bridges join pairs; links that are split over peers need no switch; others have one."""
    if not link:
        return "host"
    if link.endswith("-bridge"):
        return "pairs"
    if link.startswith("ici"):
        return "ring"
    known = load_links().get(link)
    return "mesh" if known and known.peer_bytes_per_s else "switch"


def _load(folder: Path, key: str, read: Callable[[str, Any, Reading], _T]) -> Mapping[str, _T]:
    found: dict[str, _T] = {}
    for file in sorted(folder.glob("*.yaml")):
        raw = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
        reading = Reading(sources=texts(raw.get("sources")))
        found |= {name: read(name, row, reading) for name, row in raw[key].items()}
        if reading.wrong:
            raise ContractError(f"{file.name}: {'; '.join(reading.wrong)}", code="FW122")
    return MappingProxyType(found)


def _link(name: str, row: Mapping[str, Any], reading: Reading) -> Link:
    check_keys(row, _LINK_KEYS, f"{name}.", reading)
    rates = {
        field: read_fact(row[key], f"{name}.{key}", quantity, reading)
        for key, (field, quantity) in _RATES.items()
        if key in row
    }
    told = {key: row[key] for key in ("name", "scope", "note") if key in row}
    return Link.model_validate({"id": name, **told, **rates})


def _cluster(name: str, row: Mapping[str, Any], reading: Reading) -> Cluster:
    check_keys(row, _CLUSTER_KEYS, f"{name}.", reading)
    node: dict[str, Any] = {key: row[key] for key in _NODE_KEYS if key in row}
    node |= {"num_devices": row["devices"], "shape": tuple(row.get("shape", ()))}
    node["num_adapters"] = row.get("adapters", 0)
    if "rest_power" in row:
        node["rest_power_w"] = read_fact(row["rest_power"], f"{name}.rest_power", "watts", reading)
    told = {k: row[k] for k in ("name", "network", "adapter", "source", "note") if k in row}
    whole = {"id": name, "num_nodes": row.get("nodes", 1), "node": node, **told}
    return Cluster.model_validate(whole)


def _find(name: str, known: Mapping[str, _T], *, what: str, code: str) -> _T:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name.lower(), list(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
    raise ContractError(
        f"no {what} {name!r} in the catalogue{hint}", code=code, remedy="Give one of the names."
    )

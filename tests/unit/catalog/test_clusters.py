"""Links, nodes and clusters are consistent with each other and with the devices."""

from __future__ import annotations

import math

import pytest

from fitwright.catalog.clusters import (
    clusters_of,
    find_cluster,
    find_link,
    host_link,
    load_clusters,
    load_links,
    plain_node,
)
from fitwright.catalog.sheets import find_sheet, load_sheets
from fitwright.errors import ContractError
from fitwright.records.cluster import Cluster, Link


@pytest.mark.parametrize("link", load_links().values(), ids=lambda k: k.id)
def test_a_link_has_a_latency_and_a_bandwidth_with_sources(link: Link) -> None:
    assert Link.model_validate(link.model_dump()) == link
    for fact in (link.latency_s, link.bytes_per_s):
        assert fact.value > 0
        assert fact.source
    # the longest step is that of a USB stick; the widest link is below memory bandwidth
    assert link.latency_s.value <= 1e-4
    assert link.bytes_per_s.value < 2e12


@pytest.mark.parametrize("cluster", load_clusters().values(), ids=lambda c: c.id)
def test_a_cluster_names_devices_and_links_that_exist(cluster: Cluster) -> None:
    node = cluster.node
    assert Cluster.model_validate(cluster.model_dump()) == cluster
    assert node.device in load_sheets()
    assert find_link(node.link).scope == ("device" if node.topology in _LINKED else "host")
    assert find_link(node.host_link).scope == "host"
    assert not node.shape or math.prod(node.shape) == node.num_devices
    assert (cluster.network == "none") == (cluster.adapter == "")
    assert cluster.num_nodes == 1 or find_link(cluster.adapter).scope == "network"
    assert (node.num_adapters > 0) == (cluster.adapter != "")


_LINKED = ("switch", "mesh", "ring", "pairs", "torus2d", "torus3d")


def test_the_link_of_a_device_exists_and_carries_no_more_than_it() -> None:
    for sheet in load_sheets().values():
        if sheet.link and sheet.link_bytes_per_s:
            # one card may hold fewer lanes than the link's full width, never more
            assert sheet.link_bytes_per_s.value <= find_link(sheet.link).bytes_per_s.value * 1.5


def test_a_superpod_is_counted_in_devices() -> None:
    selene = find_cluster("dgx-a100-selene")
    assert selene.num_devices == 560 * 8
    assert selene in clusters_of("a100-80-sxm")


def test_devices_without_a_link_meet_through_the_host() -> None:
    node = plain_node(find_sheet("l4"), num_devices=4)
    assert (node.topology, node.link) == ("host", "pcie4-x16")
    assert plain_node(find_sheet("l4"), num_devices=1).topology == "single"
    assert plain_node(find_sheet("rtx-3090"), num_devices=2).topology == "pairs"
    assert plain_node(find_sheet("h100-sxm"), num_devices=8).topology == "switch"
    assert plain_node(find_sheet("mi300x"), num_devices=8).topology == "mesh"


def test_the_host_link_is_the_one_of_the_sheets_bandwidth() -> None:
    assert host_link(find_sheet("h100-sxm")).id == "pcie5-x16"
    assert host_link(find_sheet("gh200-96")).id == "c2c-grace"
    assert host_link(find_sheet("rpi5")).id == "on-package"


@pytest.mark.parametrize(
    ("find", "name", "guess", "code"),
    [(find_link, "nvlnk4", "nvlink4", "FW123"), (find_cluster, "dgxh100", "dgx-h100", "FW127")],
)
def test_an_unknown_name_is_refused_with_a_guess_and_a_code_of_its_own(
    find, name: str, guess: str, code: str
) -> None:
    with pytest.raises(ContractError, match=f"did you mean '{guess}'") as caught:
        find(name)
    assert caught.value.code == code

"""Collectives: more bandwidth is never slower, the wire is a floor, evidence decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.clusters import find_cluster, find_link
from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.perf.collective import (
    Network,
    Operation,
    Pace,
    all_gather_s,
    all_reduce_s,
    collective_s,
    link_family,
    network_of,
    pace,
    send_s,
    transfer_s,
    wire_factor,
)
from fitwright.perf.ladder import without_device
from fitwright.records.estimate import Estimate, NoData

TABLE = evidence("collectives")
A100 = find_sheet("a100-80-sxm")
H100 = find_sheet("h100-sxm")
PACE = Pace(bytes_per_s=300e9, shares=(0.7, 0.75, 0.8), start_s=1e-5, start_per_rank_s=2e-6)
NETWORK = Network(bytes_per_s=25e9, share=0.9, start_s=2e-5, hop_s=5e-6)
OPERATIONS: tuple[Operation, ...] = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "broadcast",
    "send",
)
operations = st.sampled_from(OPERATIONS)
sizes = st.floats(1, 1e11)
ranks = st.integers(2, 1024)


@given(operations, sizes, ranks, st.floats(1, 10))
def test_more_bandwidth_is_never_slower(op: Operation, size: float, n: int, more: float) -> None:
    faster = replace(PACE, bytes_per_s=PACE.bytes_per_s * more)
    wider = replace(NETWORK, bytes_per_s=NETWORK.bytes_per_s * more)
    slow = transfer_s(op, size, ranks=n, pace=PACE, ranks_per_node=8, network=NETWORK)
    fast = transfer_s(op, size, ranks=n, pace=faster, ranks_per_node=8, network=wider)
    assert fast <= slow


@given(operations, sizes, ranks)
def test_time_is_never_under_the_wire_at_the_links_speed(
    op: Operation, size: float, n: int
) -> None:
    floor = size * float(wire_factor(op, n)) / (PACE.bytes_per_s * max(PACE.shares))
    assert transfer_s(op, size, ranks=n, pace=PACE) >= floor


@given(operations, sizes, ranks, st.floats(1, 10))
def test_a_larger_message_takes_longer(op: Operation, size: float, n: int, more: float) -> None:
    assert transfer_s(op, size * more, ranks=n, pace=PACE) >= transfer_s(
        op, size, ranks=n, pace=PACE
    )


def test_one_rank_alone_waits_for_nobody() -> None:
    assert transfer_s("all_reduce", 1e9, ranks=1, pace=PACE) == 0


def test_arrays_answer_as_numbers_do() -> None:
    many = transfer_s("all_gather", np.array([1e3, 1e9]), ranks=np.array([2, 8]), pace=PACE)
    assert many[0] == transfer_s("all_gather", 1e3, ranks=2, pace=PACE)
    assert many[1] == transfer_s("all_gather", 1e9, ranks=8, pace=PACE)


def test_leaving_the_node_costs_the_networks_bandwidth() -> None:
    inside = transfer_s("all_reduce", 1e9, ranks=8, pace=PACE, ranks_per_node=8, network=NETWORK)
    apart = transfer_s("all_reduce", 1e9, ranks=8, pace=PACE, ranks_per_node=1, network=NETWORK)
    assert apart > 5 * inside


def test_a_clusters_adapters_are_shared_by_the_devices_of_a_node() -> None:
    selene = find_cluster("dgx-a100-selene")
    joined = network_of(selene, find_link(selene.adapter), usual=NETWORK)
    # eight HDR adapters of 25 GB/s for eight devices
    assert (joined.bytes_per_s, joined.node) == (25e9, 8)
    assert joined.share == NETWORK.share


def test_the_devices_own_measurements_answer_first_and_a_sheet_alone_widens_the_band() -> None:
    known = all_reduce_s(2**24, ranks=8, sheet=H100, table=TABLE)
    unknown = all_reduce_s(2**24, ranks=8, sheet=H100, table=without_device(TABLE, H100))
    assert isinstance(known, Estimate) and isinstance(unknown, Estimate)
    assert (known.rung, unknown.rung) == ("device", "architecture")
    assert unknown.high / unknown.low > known.high / known.low


def test_reduction_in_the_switch_beats_the_ring_on_hopper_only() -> None:
    hopper = pace("all_reduce", sheet=H100, table=TABLE)
    ampere = pace("all_reduce", sheet=A100, table=TABLE)
    assert isinstance(hopper, Pace) and isinstance(ampere, Pace)
    assert hopper.shares[2] > 1 > ampere.shares[2]


def test_a_bridge_joins_two_devices_and_more_go_over_pcie() -> None:
    bridged = find_sheet("h100-pcie")
    assert link_family(bridged, ranks=2) == "bridge"
    assert link_family(bridged, ranks=4) == "pcie"


def test_a_device_without_any_interface_has_no_data() -> None:
    alone = A100.model_copy(update={"link": "", "host_bytes_per_s": None})
    answer = send_s(1e6, sheet=alone, table=TABLE)
    assert isinstance(answer, NoData) and "neither a link" in answer.reason


def test_no_measurement_of_the_operation_is_no_data() -> None:
    answer = all_gather_s(1e6, ranks=8, sheet=A100, table=())
    assert isinstance(answer, NoData) and "all_gather" in answer.reason


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_answers_in_seconds(op: Operation) -> None:
    answer = collective_s(op, 2**20, ranks=4, sheet=A100, table=TABLE)
    assert isinstance(answer, Estimate) and answer.unit == "seconds"
    assert 1e-6 < answer.value < 1e-3  # a mebibyte over NVLink: tens of microseconds

"""Time of networks known by their totals: properties that hold for any constants of the file."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.networks import find_network
from fitwright.catalog.sheets import find_sheet
from fitwright.perf.network.character import activations, family_of, style_of
from fitwright.perf.network.time import (
    Setting,
    activation_facts,
    floor_s,
    network_time,
    peak_of,
    plain_s,
)
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Fact, Sheet
from fitwright.records.workload import Workload

TABLE = evidence("networks")
HALF = Setting(dtype="float16", batch=64)
WORKLOADS = st.builds(
    Workload,
    name=st.sampled_from(["resnet50", "efficientnet_b0", "vit_base_patch16", "swin_x", "newnet"]),
    style=st.sampled_from(["plain", "depthwise", "vit", "window", "dense", "detector"]),
    macs=st.floats(1e7, 1e12),
    parameters=st.floats(1e5, 1e9),
    side=st.floats(96, 640),
)
DEVICES = st.sampled_from(["rtx-3090", "rtx-4090", "rtx-5090", "h100-sxm", "mi300x", "l4"])


def answered(workload: Workload, setting: Setting, sheet: Sheet) -> Estimate:
    found = network_time(workload, setting, sheet, table=TABLE)
    assert isinstance(found, Estimate), found
    return found


def faster(fact: Fact | None, factor: float) -> Fact:
    assert fact is not None
    return fact.model_copy(update={"value": fact.value * factor})


@given(workload=WORKLOADS, device=DEVICES, factor=st.floats(1, 10))
def test_more_bandwidth_is_never_slower(workload: Workload, device: str, factor: float) -> None:
    sheet = find_sheet(device)
    wide = sheet.model_copy(
        update={"bandwidth_bytes_per_s": faster(sheet.bandwidth_bytes_per_s, factor)}
    )
    assert answered(workload, HALF, wide).value <= answered(workload, HALF, sheet).value


@given(workload=WORKLOADS, device=DEVICES, factor=st.floats(1, 10))
def test_a_higher_peak_is_never_slower(workload: Workload, device: str, factor: float) -> None:
    sheet = find_sheet(device)
    peaks = sheet.peaks | {"float16": faster(sheet.peaks["float16"], factor)}
    fast = sheet.model_copy(update={"peaks": peaks})
    assert answered(workload, HALF, fast).value <= answered(workload, HALF, sheet).value


@given(workload=WORKLOADS, device=DEVICES, batch=st.integers(1, 1024))
def test_no_time_is_under_the_roofline(workload: Workload, device: str, batch: int) -> None:
    sheet, setting = find_sheet(device), replace(HALF, batch=batch)
    peak, bandwidth = peak_of(sheet, "float16"), sheet.bandwidth_bytes_per_s
    assert peak is not None and bandwidth is not None
    least = floor_s(workload, setting, peak, bandwidth.value)
    assert answered(workload, setting, sheet).value >= least


@given(workload=WORKLOADS, device=DEVICES, batch=st.integers(1, 512))
def test_a_bigger_batch_never_takes_less_time(workload: Workload, device: str, batch: int) -> None:
    sheet = find_sheet(device)
    one = answered(workload, replace(HALF, batch=batch), sheet).value
    # rounding alone may differ
    assert answered(workload, replace(HALF, batch=2 * batch), sheet).value >= one * (1 - 1e-9)


def test_a_dtype_without_a_fast_path_has_no_answer() -> None:
    resnet = find_network("resnet50")
    assert resnet is not None
    found = network_time(resnet, Setting(dtype="float16"), find_sheet("rpi4"), table=TABLE)
    assert isinstance(found, NoData)
    assert "float16" in found.reason


def test_without_evidence_there_is_no_answer() -> None:
    resnet = find_network("resnet50")
    assert resnet is not None
    assert isinstance(network_time(resnet, HALF, find_sheet("rtx-4090"), table=()), NoData)


def test_a_device_that_was_measured_answers_from_its_own_rung_and_others_from_the_family() -> None:
    resnet = find_network("resnet50")
    assert resnet is not None
    measured = answered(resnet, HALF, find_sheet("rtx-4090"))
    sheet_only = answered(resnet, HALF, find_sheet("rtx-5090"))
    other_vendor = answered(resnet, HALF, find_sheet("mi300x"))
    assert (measured.rung, sheet_only.rung, other_vendor.rung) == ("device", "family", "kind")
    widths = [e.high / e.low for e in (measured, sheet_only, other_vendor)]
    assert widths == sorted(widths)


def test_a_family_that_nobody_measured_widens_the_band() -> None:
    resnet = find_network("resnet50")
    assert resnet is not None
    sheet = find_sheet("rtx-4090")
    known = answered(resnet, HALF, sheet)
    unknown = answered(resnet.model_copy(update={"name": "newnet"}), HALF, sheet)
    assert unknown.high / unknown.low > known.high / known.low
    assert "newnet" in " ".join(unknown.reasons)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("tf_efficientnetv2_b0.in1k", "efficientnetv2"),
        ("resnext101_32x8d", "resnext"),
        ("resnet18", "resnet_basic"),
        ("resnet50d", "resnet"),
        ("vit_small_plus_patch16_dinov3", "vit_dinov3"),
        ("tf_efficientnet_lite0", "efficientnet_lite"),
        ("efficientvit_b1", "efficientvit_b"),
        ("dm_nfnet_f0", "nfnet"),
    ],
)
def test_members_of_a_family_are_told_by_their_names(name: str, family: str) -> None:
    assert family_of(name) == family


def test_styles_follow_the_words_of_the_name() -> None:
    assert style_of("tf_mobilenetv3_large_100") == "depthwise"
    assert style_of("swin_base_patch4_window7_224") == "window"
    assert style_of("deit_tiny") == "vit"
    assert style_of("densenet121") == "dense"
    assert style_of("resnet50") == "plain"


def test_activations_of_known_families_come_near_what_is_published() -> None:
    facts = activation_facts(TABLE)
    for name in ("resnet50", "convnext_small", "vit_base_patch16_224", "efficientnet_b3"):
        known = find_network(name)
        assert known is not None and known.activations is not None
        guessed = activations(known.model_copy(update={"activations": None}), facts)
        # 7 % at the median over models that the fit did not see, 30 % for nine of ten
        assert abs(math.log(guessed / known.activations)) < math.log(1.3), name


def test_more_cores_wait_longer_for_each_other_in_every_layer() -> None:
    sheet, alone = (
        find_sheet("core-ultra-155h"),
        Setting(dtype="int8", mode="latency", runtime="openvino"),
    )
    many = sheet.model_copy(update={"num_units": faster(sheet.num_units, 4)})
    workload = find_network("mobilenet-v2")
    assert workload is not None
    table = evidence("openvino")
    few_s, many_s = (network_time(workload, alone, s, table=table) for s in (sheet, many))
    assert isinstance(few_s, Estimate) and isinstance(many_s, Estimate)
    assert few_s.value < many_s.value < 3 * few_s.value


def test_one_sample_reaches_a_smaller_share_of_more_cores() -> None:
    workload = find_network("ssd-resnet34-1200")
    assert workload is not None
    setting = Setting(dtype="int8", mode="latency", runtime="openvino", units="matrix")
    sheet = find_sheet("xeon-6979p")
    peaks = {dtype: faster(peak, 2) for dtype, peak in sheet.peaks.items()}
    twice = sheet.model_copy(update={"num_units": faster(sheet.num_units, 2), "peaks": peaks})
    one, two = (
        network_time(workload, setting, s, table=evidence("openvino")) for s in (sheet, twice)
    )
    assert isinstance(one, Estimate) and isinstance(two, Estimate)
    # twice the cores have twice the peak, of which products of one sample reach less
    assert 0.5 * one.value < two.value < one.value


def test_what_runs_as_kernels_of_its_own_and_between_stages_takes_longer() -> None:
    known = find_network("resnet50")
    assert known is not None
    constants = {"compute.plain": 2.0, "traffic.plain": 1.0, "layer_s.plain": 1e-5}
    more = constants | {"smooth_kernels": 1.5, "between_stages_s": 0.01}
    setting = Setting(dtype="int8", mode="latency", runtime="openvino")

    def time_s(name: str, by: dict[str, float]) -> float:
        workload = known.model_copy(update={"name": name})
        return plain_s(workload, setting, peak=1e13, bandwidth=1e11, constants=by, facts={})

    assert time_s("resnet50", more) == time_s("resnet50", constants)
    # half as many kernels again, of 54 layers with 10 us each
    assert math.isclose(time_s("yolov8n", more) - time_s("yolov8n", constants), 27e-5)
    assert math.isclose(time_s("mask_rcnn", more) - time_s("mask_rcnn", constants), 0.01)


def test_few_cores_do_not_reach_more_of_the_peak_than_those_measured() -> None:
    known = find_network("ssd-resnet34-1200")
    assert known is not None
    constants = {"compute.plain": 1.2, "traffic.plain": 0.0, "weights": 0.0, "compute_units": 0.6}
    setting = Setting(dtype="int8", mode="latency", runtime="openvino")
    four_s, sixteen_s, many_s = (
        plain_s(
            known.model_copy(update={"style": "plain"}),
            setting,
            peak=1e13,
            bandwidth=1e11,
            constants=constants,
            facts={},
            num_units=units,
        )
        for units in (4, 16, 64)
    )
    assert four_s == sixteen_s and math.isclose(many_s / sixteen_s, 4**0.6)

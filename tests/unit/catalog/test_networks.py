"""The table of well-known networks: names as people write them, totals as published."""

from __future__ import annotations

from collections import Counter

import pytest

from fitwright.catalog.networks import find_network, load_networks
from fitwright.records.workload import Workload


def found(name: str) -> Workload:
    network = find_network(name)
    assert network is not None, name
    return network


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("resnet50.a1_in1k", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("google/vit-base-patch16-224", "vit_base_patch16_224"),
        ("bert-base-cased", "bert_base"),
        ("yolo_v8n", "yolov8n"),
        ("ssd-resnet34-1200-onnx", "ssd_resnet34_1200"),
        ("efficientnet-b0-pytorch", "efficientnet_b0"),
        ("mobilenet-v2-1.0-224", "mobilenetv2_100"),
        ("resnet-50-int8", "resnet50"),
        ("bert-99.9", "bert_large_384"),
    ],
)
def test_a_network_is_found_however_its_name_is_written(written: str, name: str) -> None:
    assert found(written).name == name


def test_a_size_after_the_name_is_the_side_of_the_image() -> None:
    at_299, at_224 = found("ResNet-50 v2 299"), found("resnet50")
    assert at_299.name == "resnet50"
    assert at_299.side == 299
    # exact up to rounding: the work is scaled by the area
    assert at_299.macs / at_224.macs == pytest.approx((299 / 224) ** 2)


def test_a_network_that_nobody_listed_is_not_made_up() -> None:
    assert find_network("nobodys_net_v9") is None
    assert find_network("Qwen3-4B") is None


def test_every_row_has_a_source_and_a_name_of_its_own() -> None:
    rows = load_networks()
    assert not [w.name for w in rows if not w.source]
    assert not [n for n, count in Counter(w.name for w in rows).items() if count > 1]


def test_a_network_without_an_image_has_no_other_size() -> None:
    bert = found("bert_base")
    assert bert.at_side(384) == bert


def test_published_totals_keep_their_order() -> None:
    b0_to_b7 = [found(f"efficientnet-b{i}").macs for i in range(8)]
    assert b0_to_b7 == sorted(b0_to_b7)
    assert found("yolov8n").macs < found("yolov8s").macs < found("yolov8x").macs

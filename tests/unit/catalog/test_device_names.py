from __future__ import annotations

import pytest

from fitwright.catalog.device_names import named_in_a_table, read_name
from fitwright.catalog.sheets import find_sheet, load_sheets
from fitwright.catalog.slices import is_slice, slice_of, whole_name
from fitwright.errors import ContractError


@pytest.mark.parametrize(
    ("named", "device"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100-80-sxm"),
        ("NVIDIA A100-SXM4-40GB x8", "a100-40-sxm"),
        ("NVIDIA_A100_80GB_PCIe", "a100-80-pcie"),
        ("a100_80gb", "a100-80-sxm"),
        ("A100-80GB SXM (Selene, 8/node, HDR IB)", "a100-80-sxm"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("H100-96GB HBM2e 2.4 TB/s, 500 W limit, 8/node NVLink", "h100-sxm-96-hbm2e"),
        ("NVIDIA H200", "h200-sxm"),
        ("8x H100 SXM", "h100-sxm"),
        ("Tesla V100-SXM2-16GB", "v100-sxm2"),
        ("AMD Instinct MI300X 192GB HBM3", "mi300x"),
        ("MI250X (one GCD)", "mi250x"),
        ("NVIDIA GeForce RTX 4090 (Ada Lovelace)", "rtx-4090"),
        ("NVIDIA Jetson AGX Orin 64G", "jetson-agx-orin-64"),
        ("NVIDIA B200-SXM-192GB", "b200"),
        ("13th Gen Intel(R) Core(TM) i9-13900K", "core-i9-13900k"),
        ("Intel Xeon Platinum 8380 CPU @ 2.30GHz", "xeon-8380"),
        ("Apple M2 Ultra 76-core GPU", "apple-m2-ultra"),
        ("Intel(R) Arc(TM) Pro B60 Graphics", "arc-pro-b60"),
        ("Galaxy S24 (Snapdragon 8 Gen 3) Hexagon NPU", "hexagon-8gen3"),
        ("STM32H7A3ZIT6Q", "stm32h7a3"),
        ("Zynq UltraScale+ xczu3eg-sbva484", "zu3eg"),
        ("unstated in extract (wa-hls4ml uses Alveo U250 xcu250)", "alveo-u250"),
        ("Cloud TPU v4", "tpu-v4"),
    ],
)
def test_a_name_from_a_published_table_finds_its_device(named: str, device: str) -> None:
    assert [sheet.id for sheet in named_in_a_table(named)] == [device]


@pytest.mark.parametrize(
    "named",
    [
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "RTX 3080 12GB",
        "RTX 4080 SUPER",
        "NVIDIA H20",
        "NVIDIA A100-SXM-64GB",
        "Apple M2 Ultra 60-core GPU",
        "Intel(R) Xeon(R) Platinum 8480C",
        "NVIDIA",
        "",
    ],
)
def test_another_product_is_not_taken_for_its_neighbour(named: str) -> None:
    assert not named_in_a_table(named)


def test_a_name_that_leaves_memory_open_gives_all_that_it_may_mean() -> None:
    assert {sheet.id for sheet in named_in_a_table("A100")} == {
        "a100-40-pcie", "a100-40-sxm", "a100-80-pcie", "a100-80-sxm",
    }  # fmt: skip


def test_every_device_of_the_catalogue_is_found_by_its_own_name_or_among_its_variants() -> None:
    for sheet in load_sheets().values():
        assert sheet.id in {s.id for s in named_in_a_table(sheet.name)}, sheet.name


def test_a_name_is_taken_apart_into_product_form_and_memory() -> None:
    said = read_name("NVIDIA H100-SXM5-80GB")
    assert (said.key, said.form, said.capacities) == ("h100", "sxm", (80.0,))


def test_a_slice_has_its_share_of_the_units_and_of_the_memory() -> None:
    whole = find_sheet("a100-40-sxm")
    part = slice_of(whole, "NVIDIA A100-SXM4-40GB MIG 1g.5gb")
    assert part.id == "a100-40-sxm-1g.5gb"
    # 14 of 108 SMs, one of eight parts of the memory, as NVIDIA's guide of MIG gives them
    assert part.peaks["bfloat16"].value == whole.peaks["bfloat16"].value * 14 / 108
    assert part.memory_bytes and part.memory_bytes.value == 5e9
    assert whole.bandwidth_bytes_per_s and part.bandwidth_bytes_per_s
    assert part.bandwidth_bytes_per_s.value == whole.bandwidth_bytes_per_s.value / 8
    assert part.tdp_w is None and part.price_usd is None


def test_the_largest_slice_is_no_more_than_the_whole() -> None:
    whole = find_sheet("h100-pcie")
    part = slice_of(whole, "7g.80gb")
    assert part.peaks["bfloat16"].value <= whole.peaks["bfloat16"].value


@pytest.mark.parametrize("named", ["H100 80GB HBM3 1-1-MIG", "T4 MIG 1g.5gb"])
def test_a_slice_whose_size_is_not_told_is_refused(named: str) -> None:
    assert is_slice(named)
    (sheet,) = named_in_a_table(whole_name(named))
    with pytest.raises(ContractError, match="part"):
        slice_of(sheet, named)

from __future__ import annotations

import pytest

from fitwright.errors import ContractError
from fitwright.validate.device import find_device


@pytest.mark.parametrize(
    ("named", "device"),
    [
        ("h100-sxm", "h100-sxm"),
        ("H100_SXM", "h100-sxm"),
        ("nvidia-h100-sxm", "h100-sxm"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("Intel(R) Xeon(R) Platinum 8480+", "xeon-8480"),
        ("Hailo8", "hailo-8"),
    ],
)
def test_a_device_is_found_however_its_id_or_name_is_written(named: str, device: str) -> None:
    assert find_device(named).id == device


@pytest.mark.parametrize("named", ["", "h100", "toaster-9000", "nowhere.yaml"])
def test_what_names_no_single_device_is_refused(named: str) -> None:
    with pytest.raises(ContractError):
        find_device(named)


def test_a_name_that_leaves_several_devices_open_says_which() -> None:
    with pytest.raises(ContractError, match="a100-40-sxm, a100-80-pcie or a100-80-sxm"):
        find_device("A100")


def test_a_slice_is_answered_as_the_part_it_is() -> None:
    part, whole = find_device("NVIDIA A100-PCIe-80GB (1x1g.10gb MIG)"), find_device("a100-80-pcie")
    assert part.id == "a100-80-pcie-1g.10gb"
    assert part.peaks["int8"].value < whole.peaks["int8"].value / 7

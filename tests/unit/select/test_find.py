"""From the devices of a contract to sheets."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitwright.catalog.sheets import load_sheets
from fitwright.errors import ContractError
from fitwright.records.place import DeviceFilter
from fitwright.select.find import check_measurable, find_sheets, wants_local

HERE = Path()
OWN = """
id: mine
name: My board
kind: npu
vendor: Me
architecture: M1
family: my-npu
sources: {sheet: the data sheet}
peaks:
  int8: [4 TOP/s, A, sheet]
memory: [1 GB, A, sheet]
bandwidth: [8 GB/s, A, sheet]
"""


def test_ids_are_found_once_each_in_the_order_asked() -> None:
    found = find_sheets(["local", "t4", "l4", "t4"], folder=HERE)
    assert [s.id for s in found] == ["t4", "l4"]
    assert wants_local(["l4", "local"]) and not wants_local(["l4"])


def test_a_filter_lets_through_what_is_of_its_kind_vendor_and_offer() -> None:
    rented = find_sheets([DeviceFilter(kind=["gpu"], available="rent")], folder=HERE)
    assert rented and all(s.kind == "gpu" and s.rents for s in rented)
    bought = find_sheets([DeviceFilter(vendor=["nvidia"], available="buy")], folder=HERE)
    assert bought and all(s.vendor == "NVIDIA" and s.price_usd for s in bought)
    every = find_sheets([DeviceFilter(kind=["fpga", "npu"])], folder=HERE)
    assert {s.kind for s in every} == {"fpga", "npu"}
    assert len(every) < len(load_sheets())


def test_a_device_file_of_the_user_starts_from_the_folder_of_the_contract(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OWN)
    (sheet,) = find_sheets(["mine.yaml"], folder=tmp_path)
    assert (sheet.id, sheet.peaks["int8"].value) == ("mine", 4e12)


def test_all_unknown_ids_are_named_at_once_with_what_comes_near() -> None:
    with pytest.raises(ContractError) as caught:
        find_sheets(["h100", "l4", "Locl", "epyc-9655"], folder=HERE)
    told = str(caught.value)
    assert caught.value.code == "FW119"
    assert "'h100'" in told and "'h100-sxm'" in told
    assert "'Locl'; did you mean 'local'?" in told
    assert "'epyc-9655'" in told and "epyc-9654" in told


def test_a_filter_for_nothing_is_an_error_with_the_nearest_vendor() -> None:
    with pytest.raises(ContractError, match="did you mean 'NVIDIA'") as caught:
        find_sheets([DeviceFilter(vendor=["Nvidea"])], folder=HERE)
    assert caught.value.code == "FW124"
    with pytest.raises(ContractError, match="no device passes the filter kind fpga"):
        find_sheets([DeviceFilter(kind=["fpga"], vendor=["Apple"])], folder=HERE)


def test_what_runs_a_model_needs_this_machine_among_the_devices() -> None:
    check_measurable(["local", "l4"], folder=HERE)
    with pytest.raises(ContractError, match="measures only `local`") as caught:
        check_measurable(["l4", DeviceFilter(kind=["gpu"])], folder=HERE)
    assert caught.value.code == "FW125"
    assert "fitwright select" in caught.value.remedy
    with pytest.raises(ContractError, match="t40"):
        check_measurable(["local", "t40"], folder=HERE)

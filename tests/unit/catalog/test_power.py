"""Published CPU power, scaled to the cores in use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import fitwright.catalog.power as power
from fitwright.catalog.power import estimate_power

FACTS: dict[str, Any] = yaml.safe_load(Path(power.__file__).with_name("power.yaml").read_text())


def test_a_known_model_gets_its_cores_share_of_the_package() -> None:
    found = estimate_power("AMD EPYC 9654 96-Core Processor", num_cores=48)
    # half of 360 W, times 1.02 of the Teads curve
    assert found.loaded.value == pytest.approx(360 / 2 * 1.02)
    assert found.loaded.label == found.idle.label == "estimated"
    assert "epyc-9654" in found.loaded.source


@pytest.mark.parametrize(
    ("name", "tdp_w", "cores"),
    [
        ("Intel(R) Xeon(R) Platinum 8480+", 350, 56),
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 300, 32),
        ("AMD Ryzen 9 7950X3D 16-Core Processor", 120, 16),
        ("AMD Ryzen 9 7950X 16-Core Processor", 170, 16),
        ("AMD EPYC 9354P 32-Core Processor", 280, 32),
    ],
)
def test_names_are_matched_as_the_kernel_writes_them(name: str, tdp_w: int, cores: int) -> None:
    assert estimate_power(name, num_cores=cores).loaded.value == pytest.approx(1.02 * tdp_w)


def test_a_virtual_machine_that_hides_the_model_gets_its_familys_wide_range() -> None:
    found = estimate_power("AMD EPYC", vendor="AuthenticAMD", family=25, model=17, num_cores=2)
    exact = estimate_power("AMD EPYC 9654", num_cores=2)
    assert "Genoa" in found.loaded.source
    for wide, narrow in ((found.loaded, exact.loaded), (found.idle, exact.idle)):
        assert wide.low is not None and wide.high is not None and narrow.value is not None
        assert wide.low < narrow.value < wide.high
        assert wide.high / wide.low > 10


@pytest.mark.parametrize(("family", "model"), [(25, 200), (24, 17), (None, None)])
def test_an_unknown_cpu_is_unavailable_and_named(family: int | None, model: int | None) -> None:
    found = estimate_power("Foo 1", vendor="AuthenticAMD", family=family, model=model, num_cores=2)
    assert found.loaded.label == found.idle.label == "unavailable"
    assert "Foo 1" in found.loaded.source


def test_a_boards_idle_power_does_not_shrink_with_the_cores_used() -> None:
    one = estimate_power("Raspberry Pi 5 Model B Rev 1.0", num_cores=1)
    four = estimate_power("Raspberry Pi 5 Model B Rev 1.0", num_cores=4)
    assert one.idle.value == four.idle.value == 3.1
    assert one.loaded.value is not None and four.loaded.value == 11.5
    assert 3.1 < one.loaded.value < 11.5


def test_every_row_has_a_source_and_plausible_watts_per_core() -> None:
    for row in FACTS["models"]:
        assert row["source"], row
        # laptop chips at 15 W on 8 cores to high-clock server parts
        assert 1.5 < row["tdp_w"] / row["cores"] < 25, row
        re.compile(row["pattern"])
    for row in FACTS["families"]:
        low, high = row["w_per_core"]
        assert row["source"] and 1 < low < high < 25, row


def test_no_model_is_shadowed_by_an_earlier_row() -> None:
    for row in FACTS["models"]:
        name = row["pattern"].replace("P?", "").replace("\\", "")
        each = row["tdp_w"] / row["cores"]
        found = estimate_power(name, num_cores=1).loaded.value
        assert found == pytest.approx(1.02 * each), name

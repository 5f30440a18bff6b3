"""Whole networks in bulk, where the published tables are at hand: held-out errors and bands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[4]
PUBLISHED = ROOT.parent / "shared" / "data" / "published"
pytestmark = pytest.mark.skipif(
    not (PUBLISHED / "timm_vision.csv").is_file(),
    reason="the bulk tables of published figures are not here",
)


@pytest.fixture(scope="module")
def fits() -> Any:
    """The scripts that fit the constants: the held-out errors are theirs to tell."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "fit"))
    import networks
    import transformers_fp32

    sys.path.pop(0)
    return networks, transformers_fp32


@pytest.fixture(scope="module")
def eager(fits: Any) -> Any:
    rows = fits[0].read(PUBLISHED / "timm_vision.csv")
    # every third row: a third of the time, the same picture
    return [r for r in rows if r.setting.what == "network/infer/eager"][::3]


@pytest.mark.slow
def test_networks_that_the_fit_did_not_see_come_within_a_tenth_on_a_known_device(
    fits: Any, eager: Any
) -> None:
    networks, _ = fits
    error = networks.held_out(eager, eager, lambda r: r.workload.name)
    # 8 % on all rows; families have a third of their members here
    assert np.median(np.abs(error)) <= 0.13


@pytest.mark.slow
@pytest.mark.parametrize("device", ["rtx-3090", "rtx-4090"])
def test_a_card_that_nobody_measured_comes_within_a_quarter(
    fits: Any, eager: Any, device: str
) -> None:
    networks, _ = fits
    error = networks.device_out(eager, networks.activation_facts(eager), device)
    assert np.median(np.abs(error)) <= 0.25


@pytest.mark.slow
def test_transformers_in_float32_come_within_the_targets_held_out(fits: Any) -> None:
    _, transformers = fits
    rows = [r for r in transformers.read(PUBLISHED.parent) if r.step.num_devices == 1]
    known, apart = transformers.calibrated(rows), transformers.device_out(rows)
    assert np.median(np.abs(known)) <= 0.10
    assert np.median(np.abs(apart)) <= 0.25

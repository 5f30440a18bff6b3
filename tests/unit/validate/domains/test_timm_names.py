from __future__ import annotations

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.records.workload import Workload
from fitwright.validate.case import Case
from fitwright.validate.domains.networks import workload_of


@pytest.mark.parametrize(
    ("name", "side", "gmacs"),
    [
        ("tv_resnet50", 224, 4.11),
        ("tf_efficientnet_b0", 224, 0.4),
        ("xcit_large_24_p16_224_dist", 224, 35.86),
        ("xcit_large_24_p8_384_dist", 384, 415.0),
    ],
)
def test_multiply_adds_are_known_wherever_the_weights_came_from(
    name: str, side: int, gmacs: float
) -> None:
    case = Case(
        case="a",
        domain="e2e/vision-train",
        device_id="rtx-3090",
        inputs={"model": name, "img_size": side, "batch": 64, "gmacs": None, "params_M": 100},
        metric="samples_s",
        measured=None,
        unit="img/s",
    )
    found = workload_of(case, all_evidence())
    assert isinstance(found, Workload)
    # the tables round to 0.01 GMAC, and the last layer does not grow with the image
    assert found.macs == pytest.approx(gmacs * 1e9, rel=0.02)

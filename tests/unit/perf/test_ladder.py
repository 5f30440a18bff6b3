"""The ladder of evidence without one device."""

from __future__ import annotations

from fitwright.perf.ladder import nearest, without_device
from fitwright.records.estimate import Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

CARD = Sheet(id="card", name="Card", kind="gpu", vendor="V", architecture="Arch", family="v-gpu")


def row(rung: Rung, scope: str, *devices: str) -> Evidence:
    return Evidence(
        what="gemm", rung=rung, scope=scope, spread=1.2, num_points=1, source="test",
        devices=devices,
    )  # fmt: skip


OWN = row("device", "card")
ALONE = row("architecture", "Arch", "card")
SHARED = row("family", "v-gpu", "card", "other")
SISTER = row("device", "other")


def test_a_wider_scope_that_rests_on_the_device_alone_is_not_a_data_sheet() -> None:
    assert without_device((OWN, ALONE, SHARED, SISTER), CARD) == (SHARED, SISTER)


def test_what_is_left_answers_from_the_wider_rung() -> None:
    left = without_device((OWN, ALONE, SHARED), CARD)
    assert nearest(left, CARD, what="gemm") == SHARED

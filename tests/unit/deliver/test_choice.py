"""The page of a selection: complete, escaped, without a script."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from fitwright.catalog.sheets import load_sheets
from fitwright.deliver.choice import ChosenFor, write_choice
from fitwright.deliver.choice_wording import chance, refusals_told
from fitwright.deliver.svg_devices import SHAPES, Cell, draw_heat, draw_trade
from fitwright.perf.ladder import estimate
from fitwright.records.contract import Agreement, Budget, Traffic
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import ModelSummary
from fitwright.records.need import Need
from fitwright.records.prospect import Claim, Concession, Expected, Prospect, Way
from fitwright.records.selection import Refused, Selection


def seconds(value: float) -> Estimate:
    return estimate(value, unit="s", rung="family", spread=1.3)


def prospect(name: str, time_s: float, usd: float | None, **changes: Any) -> Prospect:
    cost = NoData(reason="no price is known")
    energy = estimate(time_s * 50, unit="J", rung="kind", spread=1.5)
    facts: dict[str, Any] = {
        "device_id": name,
        "name": name,
        "kind": "gpu",
        "way": Way(
            dtype="float16",
            runtime="tensorrt",
            rounds=False,
            latency_s=seconds(time_s),
            memory_bytes=estimate(1e6, unit="bytes", rung="kind", spread=1.3),
            energy_j=energy,
        ),
        "figures": {
            "latency_p99": seconds(time_s),
            "energy": energy,
            "cost": cost if usd is None else estimate(usd, unit="usd", rung="kind", spread=1.3),
        },
        "outlooks": (),
        "expected": "likely meets",
        "reasons": (f"reasons of {name} with `code` & <b>",),
    }
    return Prospect(**(facts | changes))


def chosen(*prospects: Prospect, path: str = "a.onnx") -> ChosenFor:
    selection = Selection(
        choices=(),
        refused=(Refused(device_id="t4", limit="power", reason="70 W <of> 10 W", gap=7.0),),
        prospects=prospects,
        concessions=(Concession(device_id="l4", bounds={"cost": 1.0}, ratio=2.0, text="more"),),
        claims=(Claim(text="a GPU suits it", holds="refuted", reasons=("0.5x",)),),
        model=path,
        notes=("an odd operator",),
    )
    summary = ModelSummary(
        path=path, sha256="0", size_bytes=1, ir_version=9, opsets={}, inputs=(), outputs=(),
        bindings={}, operators=(), uncounted=(), lifetimes=(), num_parameters=1,
        weight_bytes=4_000_000, peak_activation_bytes=1,
    )  # fmt: skip
    need = Need(
        limits=(), agreement=Agreement(), traffic=Traffic(), budget=Budget(),
        objective="latency_p50", percentile=50, metric="agreement", data_origin="synthetic",
        has_labels=False, check_top1=False, num_calibration=0, num_evaluation=0,
    )  # fmt: skip
    return ChosenFor(selection=selection, need=need, summary=summary, sheets=load_sheets())


def written(folder: Path, *models: ChosenFor) -> str:
    return write_choice(models, folder / "page.html").read_text()


def test_the_page_tells_devices_reasons_refusals_and_rules(tmp_path: Path) -> None:
    page = written(tmp_path, chosen(prospect("l4", 1e-3, 1e-7), prospect("a30", 2e-3, None)))
    for words in (
        "l4",
        "a30",
        "no data",
        "70 W &lt;of&gt; 10 W",
        "more",
        "Refuted",
        "odd operator",
    ):
        assert words in page
    assert "<script" not in page
    assert "<code>code</code> &amp; &lt;b&gt;" in page


def test_several_models_get_a_heat_map(tmp_path: Path) -> None:
    one = chosen(prospect("l4", 1e-3, 1e-7), prospect("a30", 4e-3, 2e-7))
    two = chosen(prospect("a30", 1e-3, 1e-7), path="b.onnx")
    assert "Models over devices" not in written(tmp_path, one)
    page = written(tmp_path, one, two)
    assert "Models over devices" in page
    assert "heat-2" in page and "heat-none" in page  # four times the best; no prediction


def test_no_device_left_is_said(tmp_path: Path) -> None:
    assert "No device is left after the hard limits" in written(tmp_path, chosen())


def test_the_front_names_only_what_no_other_beats() -> None:
    svg = draw_trade(
        [
            prospect("fast", 1e-3, 9e-7),
            prospect("cheap", 9e-3, 1e-7),
            prospect("beaten", 9.5e-3, 9.5e-7),
        ],
        across=("latency_p99", "p99 latency"),
        up=("cost", "cost"),
    )
    assert svg is not None
    root = ET.fromstring(svg.text)
    texts = {t.text for t in root.iter() if t.tag == "text"}
    assert {"fast", "cheap"} <= texts and "beaten" not in texts


@pytest.mark.parametrize("expected", ["likely meets", "unknown: measure first", "cannot meet"])
def test_every_expectation_has_a_shape_and_a_place_in_the_legend(expected: Expected) -> None:
    two = [prospect(n, t, 1e-7, expected=expected) for n, t in (("a", 1e-3), ("b", 2e-3))]
    svg = draw_trade(two, across=("latency_p99", "time"), up=("energy", "energy"))
    assert svg is not None
    root = ET.fromstring(svg.text)
    (legend,) = (t.text for t in root.iter() if t.get("class") == "legend")
    drawn = [e for e in root.iter() if e.get("class") == f"shape {SHAPES[expected]}"]
    assert (legend, len(drawn)) == (expected, 3)  # two devices and the legend's own


def test_a_trade_of_less_than_two_devices_is_not_drawn() -> None:
    one = [prospect("a", 1e-3, 1e-7), prospect("b", 1e-3, None)]
    assert draw_trade(one, across=("latency_p99", "time"), up=("cost", "cost")) is None


def test_the_heat_map_is_a_sound_drawing_whatever_the_names() -> None:
    cells = [Cell(ratio=1.0, words="1", hint="x < y"), Cell(ratio=None, words="–", hint="none")]
    root = ET.fromstring(draw_heat({"<m>": cells}, columns=["<&>", "b"]).text)
    assert {"<m>", "<&>", "b", "1", "–"} <= {t.text for t in root.iter() if t.tag == "text"}


def test_the_verdict_of_a_row_says_that_accuracy_is_unmeasured(tmp_path: Path) -> None:
    open_ = prospect("hailo-8", 1e-3, 1e-7, unmeasured=("accuracy",))
    page = written(tmp_path, chosen(open_, prospect("l4", 2e-3, 1e-7)))
    (cell,) = re.findall(r"<td><span class=\"word expected-likely\">.*?accuracy.*?</td>", page)
    assert "accuracy unmeasured" in cell
    assert "hailo-8 – likely meets; accuracy unmeasured" in page
    assert "(accuracy unmeasured for 1 of them)" in page
    assert "“Accuracy unmeasured”: it is never predicted" in page
    assert "<summary>l4 – likely meets</summary>" in page


def test_nothing_is_said_about_accuracy_where_it_is_not_open(tmp_path: Path) -> None:
    page = written(tmp_path, chosen(prospect("l4", 1e-3, 1e-7)))
    assert "unmeasured" not in page


def test_devices_refused_for_the_same_reason_are_told_together() -> None:
    rows = [
        Refused(device_id=name, limit="peak_memory", reason=reason, gap=2.0)
        for name, reason in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "x"), ("e", "x"), ("f", "x")]
    ]
    assert refusals_told(rows) == [("a, c, d and 2 more", "x"), ("b", "y")]


@pytest.mark.parametrize(
    ("probability", "words"),
    [(1.0, "over 99 %"), (0.994, "99 %"), (0.006, "1 %"), (0.004, "under 1 %")],
)
def test_a_chance_is_never_none_and_never_all(probability: float, words: str) -> None:
    assert chance(probability) == words

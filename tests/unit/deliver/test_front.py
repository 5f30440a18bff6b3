"""The front in the report: every candidate at its place, told by shape and by words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.deliver.evidence import read_evidence
from fitwright.deliver.plots import front_plot
from fitwright.deliver.report import write_report
from fitwright.deliver.svg import Svg
from fitwright.deliver.svg_front import draw_front
from fitwright.deliver.trade import (
    front_rows,
    front_words,
    second_objective,
    staircase,
    time_text,
)
from fitwright.records.figure import Figure
from fitwright.records.front import Alternative, Front, FrontPoint, Objective
from fitwright.records.plan import Settings
from fitwright.records.run import FILES, RunFolder
from fitwright.records.trial import Candidate
from fitwright.records.verdict import Verdict

MS = Figure.measured(0.010, unit="s")
HOSTILE = "</title></svg><script>alert(1)</script>"


def point(
    trial: int, ratio: float, *, size: float = 100.0, standing: str = "member", title: str = "x"
) -> FrontPoint:
    figures: dict[Objective, Figure] = {
        "time_ratio": Figure.measured(ratio, low=ratio * 0.9, high=ratio * 1.1),
        "size": Figure.measured(size, unit="bytes"),
        "relative_l2": Figure.measured(0.01),
    }
    candidate = Candidate(variant_id=f"v{trial}", title=title, backend="a", settings=Settings())
    return FrontPoint.model_validate(
        {"trial": trial, "candidate": candidate, "figures": figures, "standing": standing}
    )


def record(*points: FrontPoint, **changed: object) -> Front:
    values: dict[str, object] = {
        "reference": 1,
        "reference_time": MS,
        "time_is": "median latency",
        "objectives": ("time_ratio", "relative_l2", "size"),
        "points": points,
        "num_dominated": sum(p.standing == "dominated" for p in points),
        "num_refused": sum(p.standing == "refused" for p in points),
    }
    return Front.model_validate(values | changed)


FIVE = record(
    point(1, 1.0, size=400.0),
    point(2, 2.0, size=100.0),
    point(3, 3.0, size=500.0, standing="dominated"),
    point(4, 1.5, size=900.0, standing="refused"),
    point(5, 1.5, size=200.0),
)


def drawn(front: Front, *, artefact: str = "v1", baseline: str = "v2") -> ET.Element:
    keys = {p.candidate.variant_id: p.candidate.key for p in front.points}
    svg = draw_front(front, artefact=keys.get(artefact, ""), baseline=keys.get(baseline, ""))
    assert isinstance(svg, Svg)
    return ET.fromstring(svg.text)


def shapes(root: ET.Element, kind: str) -> list[ET.Element]:
    """Those in the plot, not those of the legend: only they have a hint."""
    return [e for e in root.iter() if e.get("class") == f"shape {kind}" and len(e)]


def test_each_kind_of_candidate_has_a_shape_of_its_own() -> None:
    root = drawn(FIVE)
    tags = {
        kind: {e.tag for e in shapes(root, kind)}
        for kind in ("artefact", "baseline", "member", "dominated", "refused")
    }
    assert tags == {
        "artefact": {"polygon"},
        "baseline": {"rect"},
        "member": {"circle"},
        "dominated": {"circle"},
        "refused": {"path"},
    }
    (member,), (beaten,) = shapes(root, "member"), shapes(root, "dominated")
    assert float(member.get("r", "0")) > float(beaten.get("r", "0"))


def test_the_legend_names_every_shape_that_occurs_and_no_other() -> None:
    words = [e.text for e in drawn(FIVE).iter() if e.get("class") == "legend"]
    assert words == ["artefact", "baseline", "on the front", "beaten", "breaks a limit"]
    fewer = record(point(1, 1.0, size=400.0), point(2, 2.0))
    words = [e.text for e in drawn(fewer).iter() if e.get("class") == "legend"]
    assert words == ["artefact", "baseline"]


def test_faster_stands_further_left_and_smaller_further_down() -> None:
    root = drawn(FIVE, artefact="", baseline="")
    first, second, fifth = shapes(root, "member")
    x, y = ([float(e.get(a, "0")) for e in (first, fifth, second)] for a in ("cx", "cy"))
    assert x == sorted(x) and y == sorted(y)


def test_the_line_goes_down_in_steps_through_the_members() -> None:
    (stairs,) = [e for e in drawn(FIVE).iter() if e.get("class") == "stairs"]
    corners = [tuple(map(float, c.split())) for c in stairs.get("d", "")[1:].split(" L")]
    assert corners == sorted(corners)  # to the right, and downwards on the paper
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(corners))


def test_every_shape_says_what_it_stands_for() -> None:
    (artefact,) = shapes(drawn(FIVE), "artefact")
    assert artefact[0].text == "trial 1, artefact: x on a (defaults): 10 ms, 400 B"
    words = ET.tostring(drawn(FIVE), encoding="unicode")
    assert "<desc>trial 1, artefact" in words and "3 candidates on the front</desc>" in words


def test_a_hostile_name_stays_a_name() -> None:
    front = record(point(1, 1.0, size=400.0, title=HOSTILE), point(2, 2.0))
    assert not [e for e in drawn(front).iter() if e.tag == "script"]


def test_without_a_trade_there_is_no_picture() -> None:
    equal = record(point(1, 1.0), point(2, 1.01))
    assert second_objective(equal) is None
    assert draw_front(equal, artefact="", baseline="") is None
    assert draw_front(record(point(1, 1.0)), artefact="", baseline="") is None


def test_the_second_axis_is_what_tells_most_candidates_apart() -> None:
    assert second_objective(FIVE) == "size"


def test_without_a_time_of_the_reference_times_are_told_as_factors() -> None:
    unknown = record(*FIVE.points, reference_time=Figure.unavailable("not timed"))
    assert time_text(unknown)[1](1.5) == "1.5×"
    assert time_text(FIVE)[0] == 0.010
    assert "1.5×" in ET.tostring(drawn(unknown), encoding="unicode")


@pytest.mark.parametrize("ratios", [(1.0, 1.0), (1.0, 300.0), (1e-9, 1.0)])
def test_any_range_of_times_fits_on_the_paper(ratios: tuple[float, float]) -> None:
    front = record(*(point(i, r, size=100.0 * (i + 1)) for i, r in enumerate(ratios)))
    members = shapes(drawn(front, artefact="", baseline=""), "member")
    assert len(members) == 2
    for shape in members:
        assert 0 <= float(shape.get("cx", "-1")) <= 960
        assert 0 <= float(shape.get("cy", "-1")) <= 470


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_the_staircase_keeps_whom_no_other_beats(points: list[tuple[int, int]]) -> None:
    steps = staircase(points)
    assert [x for x, _ in steps] == sorted({x for x, _ in steps})
    assert [y for _, y in steps] == sorted({y for _, y in steps}, reverse=True)
    for x, y in points:
        assert any(a <= x and b <= y for a, b in steps)


def test_one_row_stands_for_the_settings_of_one_variant_on_one_backend() -> None:
    first = point(1, 1.0)
    threads = Candidate.model_validate(
        first.candidate.model_dump() | {"settings": Settings(threads=2)}
    )
    again = point(2, 1.1).model_copy(update={"candidate": threads})
    (row,) = front_rows(record(first, again))
    assert (row.trial, row.others) == (1, 1)


def test_the_counts_are_said_in_words() -> None:
    assert front_words(FIVE) == (
        "3 of 5 measured candidates are beaten by no other, 1 is beaten beyond doubt by one of "
        "these, 1 breaks a limit and does not compete"
    )


def test_the_report_shows_the_front_and_the_alternatives(run: RunFolder) -> None:
    verdict = run.read(Verdict)
    assert verdict.candidate is not None
    other = Alternative(trial=3, candidate=verdict.candidate, text="2x smaller files, at a price")
    run.write(verdict.model_copy(update={"alternatives": (other,)}))
    html = write_report(run).read_text(encoding="utf-8")
    assert "2x smaller files, at a price." in html
    assert 'aria-label="Pareto front plot"' in html
    for row in front_rows(run.read(Front)):
        assert row.candidate in html


def test_a_run_without_a_front_says_so(run: RunFolder) -> None:
    (run.path / FILES[Front]).unlink()
    assert front_plot(read_evidence(run)) is None
    assert "The run kept no front" in write_report(run).read_text(encoding="utf-8")

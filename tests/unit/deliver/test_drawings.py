"""The drawings: what they hold, where it lies, and that names stay names."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from fitwright.deliver.evidence import read_evidence
from fitwright.deliver.plots import latency_plot, memory_plot, roofline_and_plot, trial_marks
from fitwright.deliver.svg import Drawing, Svg
from fitwright.deliver.svg_latency import NinesScale, percentile_points
from fitwright.deliver.svg_marks import draw_bound
from fitwright.perf.roofline import Roof, attainable_flop_per_s
from fitwright.records.figure import Figure
from fitwright.records.need import Analysis
from fitwright.records.run import RunFolder
from fitwright.records.verdict import LimitVerdict, Verdict

HOSTILE = "</title></svg><script>alert(1)</script>\x00\ud800"


def parsed(svg: Svg | None) -> ET.Element:
    assert svg is not None
    return ET.fromstring(svg.text)


def of_class(root: ET.Element, kind: str) -> list[ET.Element]:
    return [e for e in root.iter() if kind in e.get("class", "").split()]


def test_a_hostile_word_stays_inside_its_element() -> None:
    drawing = Drawing(10, 10, title=HOSTILE, description=HOSTILE, kind="x")
    drawing.text(1, 1, HOSTILE)
    drawing.circle(1, 1, 1, kind="x", hint=HOSTILE)
    text = drawing.finished().text
    assert "<script" not in text
    root = ET.fromstring(text)
    assert {e.tag for e in root.iter()} == {"svg", "title", "desc", "text", "circle"}
    text.encode()  # a lone surrogate would not survive the file


def test_every_counted_operator_lies_on_the_roof(run: RunFolder) -> None:
    roofline, svg, missing = roofline_and_plot(read_evidence(run))
    assert roofline is not None
    assert missing == ""
    roof = Roof(
        flop_per_s=roofline.peaks["float32"],
        bandwidth_bytes_per_s=roofline.bandwidth_bytes_per_s,
    )
    for point in roofline.points:
        # exact: the same formula over the same numbers
        assert point.attainable_flop_per_s == attainable_flop_per_s(point.intensity, roof)
    operators = run.read(Analysis).summary.operators
    with_flops = [o for o in operators if o.arithmetic_intensity]
    assert sum(p.count for p in roofline.points) == len(with_flops)
    assert len(of_class(parsed(svg), "operator")) == len(roofline.points)


def test_the_shares_of_the_floor_add_up_to_one_with_the_uncounted_operator(
    run: RunFolder,
) -> None:
    roofline, _, _ = roofline_and_plot(read_evidence(run))
    assert roofline is not None
    drawn = sum(p.floor_share for p in roofline.points)
    uncounted = [t.floor_share for t in roofline.top if t.cost.flops is None]
    # rounding of a dozen additions
    assert drawn + sum(uncounted) == pytest.approx(1, abs=1e-9)


def test_whole_runs_are_drawn_below_the_highest_roof(run: RunFolder) -> None:
    roofline, svg, _ = roofline_and_plot(read_evidence(run))
    assert roofline is not None
    assert [m.name for m in roofline.measured] == ["baseline", "artefact"]
    assert all(m.achieved_flop_per_s < max(roofline.peaks.values()) for m in roofline.measured)
    assert len(of_class(parsed(svg), "run")) == 2


def test_top_operators_come_slowest_first(run: RunFolder) -> None:
    roofline, _, _ = roofline_and_plot(read_evidence(run))
    assert roofline is not None
    floors = [t.floor_s for t in roofline.top]
    assert floors == sorted(floors, reverse=True)
    assert roofline.top[0].cost.name == "/features/2/Conv"
    assert roofline.top[0].binds == "compute"


def test_both_runs_have_a_curve_with_p50_and_p99_marks_and_the_limit(run: RunFolder) -> None:
    root = parsed(latency_plot(read_evidence(run)))
    assert len(of_class(root, "curve")) == 2
    assert len(of_class(root, "mark")) == 4
    assert [e.text for e in of_class(root, "limit-text")] == ["p99 limit 5 ms"]


def test_without_a_kept_sample_there_is_no_latency_plot(run: RunFolder) -> None:
    for trial in run.trials():
        run.record_trial(trial.model_copy(update={"latencies_s": ()}))
    assert latency_plot(read_evidence(run)) is None


def test_the_curve_ends_with_the_slowest_run_and_stays_thin() -> None:
    latencies = [i / 1000 for i in range(1, 100_001)]
    points = percentile_points(latencies)
    assert points[-1][1] == 100.0
    assert points == sorted(points)
    assert len(points) <= 240


def test_percentiles_stand_at_their_nines() -> None:
    scale = NinesScale(most=1000)
    assert scale.ticks() == [0, 50, 90, 99, 99.9]
    steps = scale(99) - scale(90), scale(90) - scale(0), scale(99.9) - scale(99)
    # logarithms of a few digits
    assert steps[0] == pytest.approx(steps[1], abs=1e-6) == pytest.approx(steps[2], abs=1e-6)


def test_a_percentile_that_the_sample_cannot_show_is_not_marked() -> None:
    assert not NinesScale(most=50).reaches(99)
    assert NinesScale(most=100).reaches(99)


def test_the_memory_plan_draws_every_buffer_inside_the_arena(run: RunFolder) -> None:
    evidence = read_evidence(run)
    assert evidence.plan is not None
    root = parsed(memory_plot(evidence))
    boxes = of_class(root, "buffer")
    assert len(boxes) == len(evidence.plan.memory.buffers)
    arena = of_class(root, "arena")[0]
    # a tenth of a pixel, as positions are written
    assert min(float(b.get("y", "0")) for b in boxes) >= float(arena.get("y1", "0")) - 0.1


def test_each_compared_trial_has_a_mark_and_the_others_none(run: RunFolder) -> None:
    trials = run.trials()
    marks = trial_marks(trials)
    assert [m is not None for m in marks] == [t.comparison is not None for t in trials]
    faster = parsed(marks[3])
    assert of_class(faster, "outcome-faster")
    middle = float(of_class(faster, "middle")[0].get("x1", "0"))
    assert float(of_class(faster, "dot")[0].get("cx", "0")) > middle


def test_a_bound_stands_where_its_share_says(run: RunFolder) -> None:
    row = run.read(Verdict).limits[0]
    root = parsed(draw_bound(row))
    fill = float(of_class(root, "fill")[0].get("width", "0"))
    bound = float(of_class(root, "bound-tick")[0].get("x1", "0")) - 1
    assert row.figure.value is not None
    # positions are written to a tenth of a pixel
    assert fill / bound == pytest.approx(row.figure.value / row.limit.bound, abs=0.01)


@pytest.mark.parametrize(
    "figure",
    [Figure.unavailable("no counter"), Figure.measured(-0.001, low=-0.002, high=0.0)],
    ids=["unavailable", "negative"],
)
def test_what_cannot_be_drawn_as_a_share_is_left_out(run: RunFolder, figure: Figure) -> None:
    row = run.read(Verdict).limits[4]
    judged = LimitVerdict(limit=row.limit, figure=figure, status="undecided")
    assert draw_bound(judged) is None


def test_the_same_run_draws_the_same_report(run_with: Callable[[str], RunFolder]) -> None:
    from fitwright.deliver.report import write_report

    run = run_with("")
    assert write_report(run).read_bytes() == write_report(run).read_bytes()

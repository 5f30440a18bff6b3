"""The rows that the terminal and the report share, and how their numbers read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.deliver.summary import (
    BEFORE_AFTER_HEADERS,
    LEDGER_HEADERS,
    TRIAL_HEADERS,
    VERDICT_HEADERS,
    before_after_rows,
    headline,
    ledger_rows,
    trial_rows,
    verdict_rows,
)
from fitwright.deliver.wording import (
    bound_text,
    factor_text,
    figure_text,
    figure_title,
    interval_text,
    plain,
    share,
)
from fitwright.records.figure import Figure
from fitwright.records.ledger import Ledger
from fitwright.records.need import Limit
from fitwright.records.run import RunFolder
from fitwright.records.verdict import Verdict


def test_every_row_has_one_cell_per_header(run: RunFolder) -> None:
    trials = run.trials()
    tables = (
        (VERDICT_HEADERS, verdict_rows(run.read(Verdict))),
        (BEFORE_AFTER_HEADERS, before_after_rows(trials[-2], trials[-1])),
        (LEDGER_HEADERS, ledger_rows(run.read(Ledger))),
        (TRIAL_HEADERS, trial_rows(trials)),
    )
    for headers, rows in tables:
        assert rows
        assert {len(row.cells) for row in rows} == {len(headers)}


def test_a_limit_reads_as_bound_figure_interval_label_and_status(run: RunFolder) -> None:
    first = verdict_rows(run.read(Verdict))[0]
    assert first.cells == (
        "p99 latency",
        "≤ 5 ms",
        "1.52 ms",
        "1.48 – 1.57 ms, n = 4,000",
        "measured",
        "met",
    )


def test_an_undecided_limit_says_what_would_decide_it(missed: Verdict) -> None:
    rows = verdict_rows(missed)
    assert [r.status for r in rows] == ["missed", "undecided"]
    assert rows[1].measured == "unavailable: add 'price: 0.10 USD/h' to the contract"
    assert rows[1].note == ""  # the reason stands in the cell already; it is not said twice


def test_before_and_after_say_better_and_worse_in_words(run: RunFolder) -> None:
    *_, baseline, artefact = run.trials()
    rows = {r.figure: r for r in before_after_rows(baseline, artefact)}
    assert rows["p50 latency"].cells == (
        "p50 latency",
        "2.6 ms (n = 400)",
        "940 µs (n = 400)",
        "2.77× better",
    )
    assert rows["throughput"].change == "2.77× better"
    assert rows["peak memory"].change == "1.27× worse"
    assert rows["load time"].change == "the same"
    assert rows["accuracy"].change == "−0.0014"
    assert rows["cost per million"].change == ""
    assert rows["relative L2 distance"].gain is None


def test_no_change_is_not_called_unproven(run: RunFolder) -> None:
    *_, artefact = run.trials()
    told = [row.change for row in before_after_rows(artefact, artefact)]
    assert set(told) == {"the same", ""}
    assert not any("unproven" in r.cells[-1] for r in before_after_rows(artefact, artefact))


@pytest.mark.parametrize("before", [635_560.0, 635_300.0, 636_000.0])
def test_a_change_too_small_to_print_is_none(run: RunFolder, before: float) -> None:
    *_, baseline, artefact = run.trials()
    old, new = (
        t.model_copy(update={"figures": {"size": Figure.measured(b, unit="bytes")}})
        for t, b in ((baseline, before), (artefact, 635_800.0))
    )
    (row,) = before_after_rows(old, new)
    assert row.change == "the same"


def test_the_ledger_ends_with_product_total_interaction_storage_and_energy(
    run: RunFolder,
) -> None:
    rows = ledger_rows(run.read(Ledger))
    assert [r.is_total for r in rows] == [False] * 4 + [True] * 5
    assert rows[0].cells[:4] == (
        "hardware acceleration",
        "fix_shapes + bf16 on openvino",
        "speed",
        "1.72×",
    )
    assert [r.label for r in rows if r.is_total] == [
        "predicted",
        "measured",
        "measured",
        "measured",
        "estimated",
    ]


def test_rejected_and_failed_trials_keep_figures_and_cause(run: RunFolder) -> None:
    rows = trial_rows(run.trials())
    assert rows[4].cells == (
        "4",
        "fix_shapes + int8_static/onnxruntime on onnxruntime (defaults)",
        "1.93 ms",
        "0.79× (0.766 – 0.814×), slower",
        "rejected",
        "slower than the incumbent: 0.79×",
    )
    assert rows[5].decision == "failed"
    assert rows[5].reason == (
        "the child died (raised: NOT_IMPLEMENTED: Could not find an implementation)"
    )


def test_a_missed_contract_names_what_is_missed_first(missed: Verdict) -> None:
    assert headline(missed) == "Contract missed: p99 latency 1.52 ms (limit 1 ms)"


def test_a_run_cut_short_promises_nothing_final(missed: Verdict) -> None:
    cut = missed.model_copy(update={"stop": "interrupted"})
    assert headline(cut).startswith("The run is not finished. So far: Contract missed: ")


def test_without_limits_the_headline_gives_the_speed(missed: Verdict) -> None:
    free = missed.model_copy(update={"limits": ()})
    assert headline(free) == "No limit was set: fastest verified artefact, 2.77× the baseline"


def test_a_floor_reads_as_at_least() -> None:
    limit = Limit(name="throughput", figure="throughput", sense="at_least", bound=200, unit="/s")
    assert bound_text(limit) == "≥ 200 /s"


@pytest.mark.parametrize(
    ("figure", "value", "interval"),
    [
        (
            Figure.measured(0.00152, low=0.00148, high=0.00157, unit="s"),
            "1.52 ms",
            "1.48 – 1.57 ms",
        ),
        (Figure.measured(0.00152, low=0.0009, high=0.0022, unit="s"), "1.5 ms", "900 µs – 2.2 ms"),
        (Figure.measured(0.9781, low=0.9779, high=0.9783), "0.9781", "0.9779 – 0.9783"),
        (Figure.measured(0.0014, low=-4.3e-17, high=0.0028), "0.0014", "0 – 0.0028"),
        (Figure.measured(0.0, low=-0.0014, high=0.0014), "0", "−0.0014 – 0.0014"),
        (Figure.measured(5.0, unit="bytes"), "5 B", ""),
        (Figure.measured(117_859_942, unit="bytes"), "112 MiB", ""),
        (Figure.unavailable("no counter"), "unavailable: no counter", ""),
        (Figure.unavailable(""), "unavailable", ""),
        (Figure(value=0.03, unit="J", label="estimated"), "≈ 30 mJ", ""),
    ],
)
def test_figures_print_the_digits_their_interval_supports(
    figure: Figure, value: str, interval: str
) -> None:
    assert figure_text(figure) == value
    assert interval_text(figure) == interval


@given(
    st.floats(1e-9, 1e15),
    st.floats(0, 1),
    st.sampled_from(["s", "bytes", "J", "W", "/s", "usd", "FLOP", "FLOP/s", "B/s", ""]),
)
def test_any_figure_prints_short_and_on_one_line(value: float, spread: float, unit: str) -> None:
    figure = Figure.measured(value, low=value * (1 - spread), high=value * (1 + spread), unit=unit)
    for text in (figure_text(figure), interval_text(figure), factor_text(figure)):
        assert "\n" not in text
        assert "nan" not in text
        assert len(text) < 60


@given(st.text(max_size=400))
def test_plain_text_is_one_short_line_without_control_characters(text: str) -> None:
    result = plain(text)
    assert len(result) <= 160
    assert result.isprintable()
    assert plain(result) == result


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "12.3 %"), (0, "0.0 %"), (1e-9, "< 0.1 %"), (1.5, "150.0 %")]
)
def test_a_small_share_is_not_called_zero(value: float, text: str) -> None:
    assert share(value) == text


def test_an_unknown_figure_keeps_its_name() -> None:
    assert figure_title("my_metric") == "my metric"
    assert figure_title("latency_p99") == "p99 latency"


def test_a_factor_is_never_rounded_out_of_its_interval() -> None:
    # two digits would print 1.2, below the interval's own lower end
    factor = Figure.measured(1.24, low=1.22, high=1.39)
    assert (factor_text(factor), figure_text(factor)) == ("1.24×", "1.24")

"""The report: complete, self-contained, well formed, and never fooled by a name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from fitwright.deliver.report import write_report
from fitwright.errors import UsageError
from fitwright.records.contract import Contract
from fitwright.records.environment import Environment
from fitwright.records.figure import Figure
from fitwright.records.ledger import Ledger
from fitwright.records.need import Analysis
from fitwright.records.plan import Plan
from fitwright.records.recipe import Adapted
from fitwright.records.run import FILES, RunFolder
from fitwright.records.selection import Selection
from fitwright.records.verdict import Verdict

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}
HOSTILE = "<script>alert(1)</script>\"'&\u202e\x07<svg onload=x>"
SECTIONS = [
    *("verdict", "ships", "before-after", "ledger", "front", "trials", "machine", "roofline"),
    *("latency", "memory", "accuracy", "contract", "environment", "repeat"),
]
AS_WRITTEN = (Contract, Environment, Analysis, Selection, Plan, Adapted, Ledger, Verdict)


class Page(HTMLParser):
    """Tags must balance; text, ids, references and headings are kept."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [str(a["id"]) for _, a in self.tags if "id" in a]


def written(run: RunFolder) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_every_section_is_there_in_the_agreed_order_and_the_tags_balance(run: RunFolder) -> None:
    page = Page(written(run))
    assert [i for i in page.ids() if not i.endswith("-h")] == SECTIONS
    assert len(page.ids()) == len(set(page.ids()))


def test_the_file_is_small_and_asks_nobody_for_anything(run: RunFolder) -> None:
    path = write_report(run)
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 2_000_000
    page = Page(html)
    assert not {"script", "iframe", "object", "embed", "img", "base"} & {t for t, _ in page.tags}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("href", "src", "xlink:href", "action", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    # the SVG namespace inside the favicon's data URI names, and fetches, nothing
    outside = html.replace("xmlns='http://www.w3.org/2000/svg'", "")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", outside)


def test_the_browser_is_told_to_load_nothing(run: RunFolder) -> None:
    policies = [
        a["content"]
        for tag, a in Page(written(run)).tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies and str(policies[0]).startswith("default-src 'none'")


def test_headings_descend_without_a_gap_and_every_table_names_itself(run: RunFolder) -> None:
    tags = [tag for tag, _ in Page(written(run)).tags]
    levels = [int(t[1]) for t in tags if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert tags.count("table") == tags.count("caption") >= 6


def test_headers_have_scope_and_pictures_have_words(run: RunFolder) -> None:
    page = Page(written(run))
    assert all("scope" in a for tag, a in page.tags if tag == "th")
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("role") == "img"
    pictures = re.findall(r'role="img"><title>(.+?)</title><desc>(.+?)</desc>', written(run))
    assert [title for title, _ in pictures] == [
        "Pareto front: median latency against size of the files",
        "Roofline of the operators",
        "Latency by percentile",
        "Static memory plan of the activations",
    ]


def test_every_limit_trial_and_skipped_recipe_is_shown(run: RunFolder) -> None:
    text = Page(written(run)).text
    judged = [limit.status for limit in run.read(Verdict).limits]
    assert judged and all(text.count(s) >= judged.count(s) for s in judged)
    for words in ("p99 latency", "≤ 5 ms", "≤ 512 MiB", "≤ 480 KiB", "≤ 50 mJ", "≤ 0.01"):
        assert words in text
    for trial in run.trials():
        assert f"{trial.candidate.describe()}" in text
        assert trial.reason in text
        if trial.failure:
            assert trial.failure.detail in text
    for skipped in run.read(Adapted).skipped:
        assert skipped.reason in text


def test_the_top_says_in_one_line_whether_the_contract_is_met(run: RunFolder) -> None:
    text = Page(written(run)).text
    assert "Contract met" in text
    assert "p99 latency 1.52 ms (limit 5 ms), peak memory 112 MiB (limit 512 MiB)" in text


def test_an_operator_without_a_rule_is_named(run: RunFolder) -> None:
    text = Page(written(run)).text
    assert "CenterCrop (example.digits), 1×: no rule for this domain" in text
    assert "not counted" in text


def test_an_unavailable_figure_prints_its_reason_and_an_estimate_is_marked(
    run: RunFolder,
) -> None:
    text = Page(written(run)).text
    assert "unavailable add 'price: 0.10 USD/h' to the contract" in text
    assert "≈ 29 mJ" in text
    assert re.search(r"22\.6 – 37\.6 mJ estimated", text)


def test_the_command_that_repeats_the_run_closes_the_report(run: RunFolder) -> None:
    text = Page(written(run)).text
    assert text.index("Repeat it fitwright fit examples/digits/contract.yaml --time 2m") > 0


def test_names_from_the_model_never_become_markup(
    run_with: Callable[[str], RunFolder],
) -> None:
    html = written(run_with(HOSTILE))
    page = Page(html)  # balanced: nothing broke out of its place
    assert "<script" not in html and "<svg onload" not in html
    assert "\u202e" not in html and "\x07" not in html
    assert "<script>alert(1)</script>" in page.text


def test_a_hostile_reason_or_note_never_becomes_markup(run: RunFolder) -> None:
    trial = run.trials()[1]
    run.record_trial(trial.model_copy(update={"reason": f"`{HOSTILE}`"}))
    run.write(run.read(Verdict).model_copy(update={"notes": (f"`{HOSTILE}`",)}))
    html = written(run)
    assert Page(html)
    assert "<script" not in html and "<svg onload" not in html


def test_a_very_long_name_is_cut(run_with: Callable[[str], RunFolder]) -> None:
    html = written(run_with("x" * 100_000))
    assert "x" * 300 not in html


@pytest.mark.parametrize("kept", range(1, len(AS_WRITTEN)))
def test_a_run_that_ended_early_still_has_a_whole_report(run: RunFolder, kept: int) -> None:
    for kind in AS_WRITTEN[kept:]:
        (run.path / FILES[kind]).unlink()
    page = Page(written(run))
    assert [i for i in page.ids() if not i.endswith("-h")] == SECTIONS


def test_without_a_verdict_the_report_says_how_to_go_on(run: RunFolder) -> None:
    (run.path / FILES[Verdict]).unlink()
    text = Page(written(run)).text
    assert "No verdict yet" in text
    assert "13 trials are on disk; fitwright tune RUN goes on from there" in text


def test_a_run_without_trials_renders(run: RunFolder) -> None:
    (run.path / "trials.db").unlink()
    (run.path / FILES[Verdict]).unlink()
    assert "No trial has finished" in Page(written(run)).text


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_report(RunFolder(tmp_path))
    assert caught.value.code == "FW101"
    assert list(tmp_path.iterdir()) == []


def test_the_report_goes_where_it_is_asked_to(run: RunFolder, tmp_path: Path) -> None:
    assert write_report(run, tmp_path / "elsewhere.html") == tmp_path / "elsewhere.html"
    assert not run.report.exists()
    assert write_report(run) == run.path / "report.html"


def test_a_machine_without_measured_peaks_says_why_there_is_no_roofline(run: RunFolder) -> None:
    selection = run.read(Selection)
    unknown = Figure.unavailable("the peak benchmark was skipped", unit="FLOP/s")
    device = selection.choices[0].device.model_copy(update={"peaks": {"float32": unknown}})
    choice = selection.choices[0].model_copy(update={"device": device})
    run.write(selection.model_copy(update={"choices": (choice,)}))
    assert "No roof to draw: the peak benchmark was skipped" in Page(written(run)).text


ODD = {
    "open above": Figure.measured(0.002, low=0.001, high=math.inf, unit="s"),
    "open below": Figure.measured(0.002, low=-math.inf, high=0.003, unit="s"),
    "open": Figure.measured(0.002, low=-math.inf, high=math.inf),
    "infinite": Figure.measured(math.inf, unit="s"),
    "zero": Figure.measured(0.0, unit="bytes"),
    "below zero": Figure.measured(-3.0, low=-4.0, high=-2.0),
    "tiny": Figure.measured(5e-324, unit="J"),
    "huge": Figure.measured(1e308, unit="FLOP/s"),
    "unknown": Figure.unavailable(""),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_no_figure_is_too_odd_to_report(run: RunFolder, odd: Figure) -> None:
    for trial in run.trials():
        run.record_trial(trial.model_copy(update={"figures": dict.fromkeys(trial.figures, odd)}))
    verdict = run.read(Verdict)
    rows = tuple(row.model_copy(update={"figure": odd}) for row in verdict.limits)
    run.write(verdict.model_copy(update={"limits": rows, "speedup": odd}))
    totals = dict.fromkeys(("product", "total", "interaction", "storage", "energy"), odd)
    run.write(run.read(Ledger).model_copy(update=totals))
    html = written(run)
    assert Page(html)
    assert not re.search(r"\bnan\b|=\"-?inf\"", html)


def test_an_artefact_that_takes_more_room_is_called_larger(run: RunFolder) -> None:
    ledger = run.read(Ledger)
    assert "smaller on disk" in written(run)
    run.write(ledger.model_copy(update={"storage": Figure.measured(0.5, source="files")}))
    html = written(run)
    assert "larger on disk" in html and "smaller on disk" not in html


def test_an_interval_that_is_open_says_so(run: RunFolder) -> None:
    verdict = run.read(Verdict)
    row = verdict.limits[0].model_copy(update={"figure": ODD["open above"]})
    run.write(verdict.model_copy(update={"limits": (row,)}))
    assert "2 ms ≥ 1 ms measured" in Page(written(run)).text


def test_a_thousand_buffers_keep_the_file_small(run: RunFolder, many_buffers: Plan) -> None:
    run.write(many_buffers)
    path = write_report(run)
    assert path.stat().st_size < 500_000
    assert "The 600 largest of 1500 are drawn" in Page(path.read_text()).text


def test_status_is_a_word_and_the_colours_have_contrast_in_both_themes() -> None:
    css = (Path(__file__).parents[3] / "src/fitwright/deliver/templates/report.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in css.split("@media (prefers-color-scheme: dark)")[:2]
    )
    for theme in (light, dark):
        for ink in ("ink", "ink-2", "accent", "met", "missed", "undecided"):
            for paper in ("paper", "panel"):
                # 4.5 is WCAG AA for text of this size
                assert contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper)
        for tint in ("tint-0", "tint-1", "tint-2", "tint-3"):
            assert contrast(theme["ink"], theme[tint]) >= 4.5, tint


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)

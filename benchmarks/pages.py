"""Figures in the documentation: each stands between two marks that name it."""

from __future__ import annotations

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def write_block(name: str, text: str, *, page: Path = BENCHMARKS) -> None:
    """Replace what stands between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``.

    Raises:
        SystemExit: the page does not have both marks once.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    document = page.read_text(encoding="utf-8")
    if document.count(begin) != 1 or document.count(end) != 1:
        raise SystemExit(f"{page} needs the marks {begin} and {end} once each")
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")

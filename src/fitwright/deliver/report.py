"""`report.html`: one file that shows the whole run, readable anywhere, for years."""

from __future__ import annotations

from pathlib import Path

from fitwright.deliver.evidence import read_evidence
from fitwright.deliver.pages import render
from fitwright.deliver.view import page
from fitwright.records.run import RunFolder, write_atomically


def write_report(run: RunFolder, path: Path | None = None) -> Path:
    """Write the report of a run, finished or interrupted, and return where it is.

    Args:
        path: where to write; ``report.html`` in the run's folder when absent.

    Raises:
        UsageError: the folder is no run.
        StorageError: the disk is full or may not be written.
    """
    place = path or run.report
    write_atomically(place, render("report.html.j2", **page(read_evidence(run))).encode())
    return place

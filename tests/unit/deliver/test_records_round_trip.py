"""What the run folder stores comes back equal: the report reads nothing else."""

from __future__ import annotations

from fitwright.records.need import Analysis
from fitwright.records.run import RunFolder


def test_an_analysis_survives_the_disk_with_its_computed_counts(run: RunFolder) -> None:
    analysis = run.read(Analysis)
    assert analysis.summary.flops > 0
    assert Analysis.model_validate_json(analysis.to_json()) == analysis

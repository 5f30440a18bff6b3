"""Inputs that the contract promises always to hold one value, against the data."""

from __future__ import annotations

import numpy as np

from fitwright.analyze.complaints import did_you_mean
from fitwright.analyze.samples import Split
from fitwright.errors import ContractError
from fitwright.records.contract import Contract
from fitwright.records.model import ModelSummary


def check_constant_inputs(contract: Contract, summary: ModelSummary, split: Split) -> None:
    """Every sample keeps every promise of `constant_inputs`.

    Raises:
        ContractError: a promise about an input that the model lacks, or one that the data
            breaks.
    """
    names = [i.name for i in summary.inputs]
    for name, promised in contract.constant_inputs.items():
        if name not in names:
            raise ContractError(
                f"constant_inputs.{name}: the model has no such input; {did_you_mean(name, names)}",
                code="FW116",
                remedy="Correct or remove that line under 'constant_inputs:'.",
            )
        for samples in (split.calibration, split.evaluation):
            values = np.asarray(samples.inputs[name])
            other = values[values != promised]
            if other.size:
                raise ContractError(
                    f"constant_inputs.{name}: promised to be {promised:g} always, but the data "
                    f"holds {other.size} other values of {values.size}, for instance {other[0]}",
                    code="FW120",
                    remedy="Remove that promise, or leave the samples out that break it.",
                )

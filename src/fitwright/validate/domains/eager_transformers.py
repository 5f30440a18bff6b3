"""Whole transformers in 32-bit arithmetic: one forward pass, or one step of training."""

from __future__ import annotations

import re
from dataclasses import replace

from fitwright.catalog.transformers import find_transformer
from fitwright.perf.network.transformer_time import Split, Step, transformer_time
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.training import predict_training as predict_several

SPLITS: tuple[Split, ...] = ("tp", "dp", "pp")


def predict_forward(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one forward pass."""
    return _predict(case, knowledge, training=False)


def predict_training(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of a forward and a backward pass, without the optimiser.

    Several devices are the training model's business: it knows what they tell each other.
    """
    step = step_of(case, training=True)
    if step.split and step.num_devices > 1:
        sizes = {"gpus": step.num_devices, "global_batch": step.batch, "seq_len": step.tokens}
        told = {**case.inputs, **sizes, "parallelism_4way": step.split}
        return predict_several(replace(case, inputs=told), knowledge)
    return _predict(case, knowledge, training=True)


def _predict(case: Case, knowledge: Knowledge, *, training: bool) -> Estimate | NoData:
    name = read.text(case.inputs, "model")
    shape = find_transformer(name)
    if shape is None:
        return NoData(reason=f"the catalogue does not know the shape of {name!r}")
    label = read.dtype(case.inputs, "dtype", "precision")
    if label not in ("", "float32"):
        return NoData(reason=f"this domain is float32 without tensor cores, not {label}")
    step = step_of(case, training=training)
    answer = transformer_time(shape, step, knowledge.sheet, table=knowledge.evidence)
    if isinstance(answer, NoData) or not re.search(r"_s$|/s", case.metric + case.unit):
        return answer
    return _rate(answer, step.batch)


def step_of(case: Case, *, training: bool) -> Step:
    """Sizes and options; ``tp4``, ``dp4`` and ``pp4`` divide the work over four devices."""
    option = read.text(case.inputs, "option", "options", "parallel").lower()
    found = re.search(r"(tp|dp|pp)[-_ ]?(\d+)", option)
    split: Split = next((s for s in SPLITS if found and s == found[1]), "")
    return Step(
        batch=max(1, int(read.number(case.inputs, "batch", "batch_size") or 1)),
        tokens=max(1, int(read.number(case.inputs, "seq_len", "sequence", "tokens") or 512)),
        training=training,
        fused="fus" in option,
        split=split,
        num_devices=int(found[2]) if found else 1,
    )


def _rate(seconds: Estimate, batch: int) -> Estimate:
    """Sequences a second, for tables that state a rate."""
    return seconds.model_copy(
        update={
            "value": batch / seconds.value,
            "low": batch / seconds.high,
            "high": batch / seconds.low,
            "unit": "1/s",
        }
    )

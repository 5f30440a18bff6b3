"""Whole networks known by their totals: images a second and the time of a batch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from fitwright.catalog.networks import find_network
from fitwright.perf.network.character import guessed_macs, style_of
from fitwright.perf.network.time import Mode, Runtime, Setting, macs_facts, network_time
from fitwright.records.estimate import RUNGS, Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.workload import Workload
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read


def predict_inference(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Images a second (or the time of a batch) of one network on one device."""
    return _predict(case, knowledge, mode="infer")


def predict_training(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Images a second of training: forward, backward and the optimiser."""
    return _predict(case, knowledge, mode="train")


def _predict(case: Case, knowledge: Knowledge, *, mode: Mode) -> Estimate | NoData:
    workload = workload_of(case, knowledge.evidence)
    if isinstance(workload, NoData):
        return workload
    setting = setting_of(case, mode=mode)
    stated = stated_runtime(case)
    answers = [
        network_time(
            workload, replace(setting, runtime=r), knowledge.sheet, table=knowledge.evidence
        )
        for r in ((stated,) if stated else UNSTATED)
    ]
    batch = _of_the_best_rung(answers)
    if isinstance(batch, NoData):
        return batch
    if workload.source == GUESSED:
        batch = widened(batch, macs_facts(knowledge.evidence))
    return batch if asks_for_time(case) else per_second(batch, setting.batch)


RECIPES = re.compile(r"^(gluon|tf|tv|ssl|swsl|ig|legacy)_", re.IGNORECASE)
"""Before timm's names of networks whose weights came from elsewhere."""
UNSTATED: tuple[Runtime, ...] = ("compiled", "eager")
"""What a table may mean that does not say how its networks were run."""


def _of_the_best_rung(answers: Sequence[Estimate | NoData]) -> Estimate | NoData:
    """The first answer of the best rung; the band spans the others that are as well founded."""
    found = [a for a in answers if isinstance(a, Estimate)]
    if not found:
        return answers[0]
    best = min(RUNGS.index(a.rung) for a in found)
    equal = [a for a in found if RUNGS.index(a.rung) == best]
    if len(equal) == 1:
        return equal[0]
    reason = "compiled or eager is not stated: compiled is assumed, the band spans both"
    return equal[0].model_copy(
        update={
            "low": min(a.low for a in equal),
            "high": max(a.high for a in equal),
            "reasons": (*equal[0].reasons, reason),
        }
    )


GUESSED = "the multiply-adds are those usual in the family for its parameters"


def widened(batch: Estimate, facts: Evidence | None) -> Estimate:
    """The band of a network whose multiply-adds were guessed from its parameters."""
    spread = 1.0 if facts is None else facts.spread
    return batch.model_copy(
        update={
            "low": batch.low / spread,
            "high": batch.high * spread,
            "reasons": (*batch.reasons, GUESSED),
        }
    )


def workload_of(case: Case, table: Sequence[Evidence]) -> Workload | NoData:
    """The totals that the case states; what it leaves out is taken from the catalogue."""
    name = read.text(case.inputs, *read.MODEL)
    side = read.side(case.inputs) or 0.0
    known = find_network(name) or find_network(RECIPES.sub("", name))
    known = known.at_side(side) if known and side else known
    source = "the case"
    macs = _macs(case)
    parameters = _millions(case)
    facts = macs_facts(table)
    if macs is None and known is None and parameters and facts is not None:
        side, source = side or side_in(name) or 224.0, GUESSED
        macs = guessed_macs(name, parameters=parameters * 1e6, side=side, facts=facts.constants)
    if (macs is None or parameters is None) and known is None:
        return NoData(
            reason=f"the case does not state the multiply-adds and parameters of {name!r}, "
            "and the catalogue does not know it"
        )
    if macs is None and known is not None:
        return known
    written = read.number(case.inputs, "mactivations", "activations_M", "macts")
    return Workload(
        name=name,
        style=known.style if known else style_of(name),
        macs=macs or 0.0,
        parameters=parameters * 1e6 if parameters else (known.parameters if known else 0.0),
        activations=written * 1e6 if written else None,
        num_layers=known.num_layers if known else None,
        side=side or (known.side if known else 224.0),
        source=source,
    )


def side_in(name: str) -> float | None:
    """The side of the image where the name ends in it: ``vit_base_patch16_384``."""
    found = re.search(r"_(\d{3})(?:[._]|$)", name)
    return float(found[1]) if found else None


def _millions(case: Case) -> float | None:
    """Parameters; a bare count is told from millions by its size."""
    names = ("params_M", "mparams", "parameters_M", "params_millions", "params", "parameters",
             "param_count", "num_params")  # fmt: skip
    found = read.number(case.inputs, *names)
    return (found / 1e6 if found > 1e5 else found) if found else None


def _macs(case: Case) -> float | None:
    """Multiply-adds of one sample; GFLOP and GOP count two for each."""
    gmacs = read.number(case.inputs, "gmacs", "gmac", "macs_G")
    twice = read.number(case.inputs, "gflops", "gops", "gflop")
    found = gmacs if gmacs else (twice / 2 if twice else None)
    return found * 1e9 if found and found > 0 else None


def setting_of(case: Case, *, mode: Mode) -> Setting:
    """How it was run, but for the runtime."""
    label = read.dtype(case.inputs, *read.DTYPE, "amp_dtype")
    if not label:
        label = "float16" if "amp" in read.text(case.inputs, "dtype").lower() else "float32"
    layout = read.text(case.inputs, "layout").lower()
    if not layout and read.text(case.inputs, "channels_last").lower() in ("true", "1"):
        layout = "nhwc"
    batch = max(1, int(read.number(case.inputs, *read.BATCH) or 1))
    return Setting(dtype=label, batch=batch, mode=mode, layout=layout)


def stated_runtime(case: Case) -> Runtime | None:
    """``compile``, ``runtime``, ``framework`` in whatever words; None: nobody says."""
    said = read.text(case.inputs, "compile", "runtime", "framework", "backend", "mode").lower()
    if re.search(r"eager|false|none|^no$", said):
        return "eager"
    if re.search(r"compile|dynamo|inductor|true|tensorrt|trt|aot|graph", said):
        return "compiled"
    return "openvino" if "openvino" in said else None


def asks_for_time(case: Case) -> bool:
    """Whether the figure is a time; otherwise it is a rate."""
    return bool(re.search(r"time|latency|_ms$|_s_per|seconds", case.metric.lower())) or (
        case.unit.strip().lower() in ("ms", "s", "us")
    )


def per_second(batch: Estimate, num_samples: int) -> Estimate:
    """Samples a second from the time of a batch."""
    return Estimate(
        value=num_samples / batch.value,
        low=num_samples / batch.high,
        high=num_samples / batch.low,
        unit="1/s",
        rung=batch.rung,
        reasons=batch.reasons,
    )

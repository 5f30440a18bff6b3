"""From a case to a language model on devices: name, precision, engine and parallelism."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fitwright.catalog.transformers import find_transformer
from fitwright.perf.ladder import estimate, nearest
from fitwright.perf.llm.formats import Format, read_format
from fitwright.perf.llm.machine import Reached, reach
from fitwright.perf.llm.step import StepModel
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Fact, Sheet
from fitwright.records.transformer import Transformer
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read

BAND = "llm/band"
DERIVED_SPREAD = 1.25
"""Widens the band of a model whose shape was made up from its size."""
LATENT_SPREAD = 1.5
"""Widens the band of models with latent attention (and their hundreds of experts): a prior; the few
public runs that are remembered lie a third below what is counted."""
LATENT = "latent attention and hundreds of experts are counted, no run of them was measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A model on devices, and the evidence for what they reach."""

    model: StepModel
    reached: Reached
    shape: Transformer


def shape_of(case: Case) -> Transformer | NoData:
    """The model that the case names."""
    name = read.text(case.inputs, "model", "model_path", "benchmark")
    found = find_transformer(name) if name else None
    if found is None:
        return NoData(reason=f"the shape of the model {name!r} is unknown and no size is in it")
    return found


def parallel_of(case: Case) -> tuple[int, int]:
    """Tensor-parallel devices and pipeline stages."""
    tp = read.number(case.inputs, "tensor_par", "tp_size", "tp", "tensor_parallel")
    pp = read.number(case.inputs, "pipeline_par", "pp_size", "pp")
    return max(1, int(tp or 1)), max(1, int(pp or 1))


def as_software_sees(sheet: Sheet) -> Sheet:
    """One of the two devices of a card that holds two (MI250, MI250X): half of everything."""
    if "(2 GCD)" not in sheet.name:
        return sheet

    def half(fact: Fact | None) -> Fact | None:
        return fact and fact.model_copy(update={"value": fact.value / 2})

    return sheet.model_copy(
        update={
            "peaks": {
                k: f.model_copy(update={"value": f.value / 2}) for k, f in sheet.peaks.items()
            },
            "bandwidth_bytes_per_s": half(sheet.bandwidth_bytes_per_s),
            "memory_bytes": half(sheet.memory_bytes),
            "tdp_w": half(sheet.tdp_w),
        }
    )


NATIVE = {
    "DeepSeek-V3": "fp8",
    "Kimi-K2": "fp8",
    "gpt-oss-120b": "mxfp4",
    "gpt-oss-20b": "mxfp4",
}
"""What models are published in that have no weights of 16 bits."""


def native_precision(shape: Transformer) -> str:
    """Of a model's published weights; empty: 16 bits."""
    return NATIVE.get(shape.name, "")


def format_of(
    text: str, *, sheet: Sheet | None = None, float8_cache: bool = False
) -> Format | NoData:
    """The precision as a table writes it; empty stands for 16 bits.

    MXFP4 (of gpt-oss) is that of the experts alone, and their weights alone where the device
    (`sheet`) has no fast path for it.
    """
    form = read_format(text or None)
    if form is None:
        return NoData(reason=f"the precision {text!r} is not known")
    if "mxfp4" in text.lower():
        form = replace(form, bits=4.25, attention_bits=16.0)
        if sheet is not None and "float4" not in sheet.peaks:
            form = replace(form, arithmetic="float16", group="int4w")
    if float8_cache and form.group in ("float8", "float4"):
        return replace(form, kv_bytes=1.0)
    return form


_PRECISION = re.compile(
    r"nvfp4|mxfp4|fp8|fp4|int8|int4|awq|gptq|w4a16|w8a16|w8a8|w4a8|nf4|[48]-?bit"
    r"|(?<![a-z])i?q\d_(?:k_)?[a-z\d]+"
)
"""Precisions that names of models carry; of ``GPTQ-Int8`` the bits count."""


def precision_of(case: Case) -> str:
    """As the case says, else as the model's name does (``-FP8``, ``-AWQ``), else what its weights
    are published in; empty: 16 bits."""
    said = read.text(case.inputs, "precision", "dtype", "weight_dtype", "quant")
    if said:
        return said
    name = read.text(case.inputs, "model", "model_path").lower()
    words: list[str] = _PRECISION.findall(name)
    kept = [w for w in words if w not in ("gptq", "awq")]
    if kept or words:
        return (kept or words)[-1]
    shape = shape_of(case)
    return "" if isinstance(shape, NoData) else native_precision(shape)


def set_up(
    shape: Transformer,
    form: Format,
    knowledge: Knowledge,
    *,
    engine: str,
    tp: int = 1,
    pp: int = 1,
    own_sequences: bool = False,
) -> Setup | NoData:
    """The step model of a shape on a device, or why there is none.

    Args:
        own_sequences: as of `StepModel`.
    """
    sheet = as_software_sees(knowledge.sheet)
    reached = reach(sheet, knowledge.evidence, form=form, engine=engine, tp=tp)
    if isinstance(reached, NoData):
        return reached
    model = StepModel(
        shape=shape,
        form=form,
        machine=reached.machine,
        tp=tp,
        pp=pp,
        own_sequences=own_sequences,
    )
    return Setup(model=model, reached=reached, shape=shape)


def answered(
    value: float,
    setup: Setup,
    knowledge: Knowledge,
    *,
    unit: str,
    about: str,
    reasons: Iterable[str] = (),
) -> Estimate | NoData:
    """With the band that the held-out rows of this kind of question had.

    Args:
        about: ``decode``, ``decode/local``, ``prefill``, ``throughput``, ``mlperf``, ``tpot``,
            ``ttft``, ``energy`` (of batches) or ``energy/1`` (of one user); the shares' own
            spread counts where no band was found.
    """
    if not value > 0:
        return NoData(reason=f"no time is left for {setup.shape.name} at these settings")
    spread = setup.reached.spread
    band = nearest(knowledge.evidence, knowledge.sheet, what=BAND, dtype=about)
    if band is not None:
        spread = band.constants.get(setup.reached.rung, spread)
    shape = setup.shape
    wider = (DERIVED_SPREAD if shape.derived else 1.0) * (LATENT_SPREAD if shape.kv_rank else 1.0)
    beside = (*((shape.source,) if shape.derived else ()), *((LATENT,) if shape.kv_rank else ()))
    return estimate(
        value,
        unit=unit,
        rung=setup.reached.rung,
        spread=spread * wider,
        reasons=(*reasons, *setup.reached.reasons, *beside),
    )

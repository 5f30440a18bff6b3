"""Language models by themselves: tokens a second of one user, prompts, and full queues."""

from __future__ import annotations

from dataclasses import replace

from fitwright.perf.llm.engines import ENGINES, Engine, engine_named
from fitwright.perf.llm.formats import Format, llama_cpp_format
from fitwright.perf.llm.memory import weights_fit
from fitwright.perf.llm.offline import offline, with_cache
from fitwright.perf.llm.serving import Outcome
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_setup import (
    Setup,
    answered,
    format_of,
    parallel_of,
    precision_of,
    set_up,
    shape_of,
)
from fitwright.validate.measures import in_base_units

SHORT_CONTEXT = 100.0
"""Tokens behind a generated one where a table does not say: short prompts, 200 answers."""
LOCAL_PROMPT, LOCAL_ANSWER = 512.0, 128.0
"""Defaults of `llama-bench`: pp512 and tg128."""
LOCAL_CHUNK = 512.0
"""Tokens of a prompt that llama.cpp works on at once (`ubatch`)."""
SHAREGPT = (220.0, 200.0)
"""Mean tokens of prompts and answers in the ShareGPT set that vLLM's benchmark samples."""


def _rate_or_time(seconds_per_token: float, case: Case, *, tokens: float) -> tuple[float, str]:
    """As the case asks: seconds a token where its unit is a time, else tokens a second."""
    if in_base_units(case.unit) not in (None, 1.0) or case.unit.strip() == "s":
        return seconds_per_token, "s"
    return tokens / seconds_per_token, "1/s"


def _compiled_format(text: str, sheet: Sheet) -> Format | NoData:
    """gpt-fast and torchao quantise the output projection like every other."""
    form = format_of("int4 g64" if "hqq" in text.lower() else text, sheet=sheet)
    if isinstance(form, NoData) or form.attention_bits:
        return form
    return replace(form, head_bits=form.bits)


def predict_decode(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens a second while generating: ``torch.compile`` (gpt-fast, torchao)."""
    shape = shape_of(case)
    form = _compiled_format(precision_of(case), knowledge.sheet)
    if isinstance(shape, NoData):
        return shape
    if isinstance(form, NoData):
        return form
    tp, pp = parallel_of(case)
    setup = set_up(shape, form, knowledge, engine="torch-compile", tp=tp, pp=pp)
    if isinstance(setup, NoData):
        return setup
    if no := weights_fit(setup.model):
        return no
    batch = read.number(case.inputs, "batch", "batch_size") or 1.0
    context = read.number(case.inputs, "context", "seq_len", "input_len") or SHORT_CONTEXT
    seconds = setup.model.decode_s(batch=batch, context=context)
    value, unit = _rate_or_time(seconds, case, tokens=batch)
    return answered(value, setup, knowledge, unit=unit, about="decode")


def _local(case: Case, knowledge: Knowledge) -> Setup | NoData:
    shape = shape_of(case)
    if isinstance(shape, NoData):
        return shape
    quant = read.text(case.inputs, "quant", "dtype", "precision") or "f16"
    form = llama_cpp_format(quant)
    if form is None:
        return NoData(reason=f"llama.cpp has no file type {quant!r} that is known here")
    setup = set_up(shape, form, knowledge, engine="llama.cpp")
    if isinstance(setup, NoData):
        return setup
    return weights_fit(setup.model) or setup


def predict_local_decode(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens a second of llama.cpp while generating, one user."""
    setup = _local(case, knowledge)
    if isinstance(setup, NoData):
        return setup
    length = read.number(case.inputs, "length", "n_gen", "tokens") or LOCAL_ANSWER
    seconds = setup.model.decode_s(batch=1, context=max(1.0, length / 2))
    value, unit = _rate_or_time(seconds, case, tokens=1)
    return answered(value, setup, knowledge, unit=unit, about="decode/local")


def predict_local_prefill(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens a second of llama.cpp while it reads a prompt."""
    setup = _local(case, knowledge)
    if isinstance(setup, NoData):
        return setup
    length = read.number(case.inputs, "length", "n_prompt", "tokens") or LOCAL_PROMPT
    seconds, done = 0.0, 0.0
    while done < length:
        part = min(LOCAL_CHUNK, length - done)
        seconds += setup.model.prefill_s(part, past=done)
        done += part
    value, unit = _rate_or_time(seconds / length, case, tokens=1)
    return answered(value, setup, knowledge, unit=unit, about="prefill")


def engine_of(case: Case, sheet: Sheet) -> Engine:
    """As the case says; else what vendors publish with: TensorRT-LLM on NVIDIA, vLLM elsewhere.

    Precisions in torchao's words (``bf16``, ``fp8 rowwise``, ``int8 weight-only``) are vLLM's.
    """
    named = engine_named(read.text(case.inputs, "backend", "engine", "software", "framework"))
    if named is not None:
        return ENGINES["vllm-bench"] if named.software == "vllm" else named
    precision = read.text(case.inputs, "dtype", "precision").lower()
    vendor_own = sheet.vendor.lower() == "nvidia" and precision in ("fp8", "fp16", "fp4", "nvfp4")
    return ENGINES["trtllm"] if vendor_own else ENGINES["vllm-bench"]


def predict_serving_offline(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Output tokens a second of a whole tensor-parallel group with a full queue."""
    shape = shape_of(case)
    if isinstance(shape, NoData):
        return shape
    engine = engine_of(case, knowledge.sheet)
    form = format_of(precision_of(case), sheet=knowledge.sheet, float8_cache=engine.float8_cache)
    if isinstance(form, NoData):
        return form
    tp, pp = parallel_of(case)
    own = shape.kv_rank > 0 and tp > 1
    setup = set_up(shape, form, knowledge, engine=engine.software, tp=tp, pp=pp, own_sequences=own)
    if isinstance(setup, NoData):
        return setup
    asked = read.number(case.inputs, "input_len", "isl") or SHAREGPT[0]
    given = read.number(case.inputs, "output_len", "osl") or SHAREGPT[1]
    outcome = _full_queue(setup, engine, case, asked=asked, given=given)
    if isinstance(outcome, NoData):
        return outcome
    rate = outcome.output_tokens_per_s
    if _counts_prompts(case, engine, asked=asked, given=given):
        rate *= (asked + given) / given
    return answered(rate, setup, knowledge, unit="1/s", about="throughput")


def _full_queue(
    setup: Setup, engine: Engine, case: Case, *, asked: float, given: float
) -> Outcome | NoData:
    policy = with_cache(setup.model, engine)
    if isinstance(policy, NoData):
        return policy
    prompts = read.number(case.inputs, "num_prompts", "load")
    return offline(
        setup.model,
        policy,
        input_tokens=int(asked),
        output_tokens=int(given),
        num_requests=int(prompts) if prompts else None,
    )


def _counts_prompts(case: Case, engine: Engine, *, asked: float, given: float) -> bool:
    """`vllm bench throughput` counts the prompts' tokens, too; so do tables that say so.

    Where nothing says so, a run whose answers are a tenth of its prompts or less is taken for
    one that measures prefill.
    """
    said = f"{case.metric} {read.text(case.inputs, 'metric', 'load')}".lower()
    if "total" in said or "prefill" in said:
        return True
    return engine.software == "vllm-bench" and "output" not in said and given <= asked / 10

"""What a row about training ran: its inputs read as a shape, a layout and a software."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fitwright.catalog.transformers import find_transformer
from fitwright.perf.training.answer import Software
from fitwright.perf.training.layout import Float8, Layout, Recompute, Shape, Zero, shape_of
from fitwright.records.estimate import NoData
from fitwright.validate.case import Case

Inputs = Mapping[str, Any]
MEGATRON_VOCAB = 51_200
# Micro batch and interleaving of Korthikanti et al. 2022, tables 4 and 5, by parameters.
KORTHIKANTI = {"22": (4, 1), "175": (1, 3), "530": (1, 3), "1": (1, 1), "1000": (1, 1)}
DLPERF_ACCUMULATION = 32
"""Micro batches per step of DLPerf's pipelines, not interleaved; without one, a rank's whole batch
is one micro batch (Oneflow-Inc/DLPerf:Megatron-LM/README.md)."""
USUAL_RANK = 16
ZERO_NAMES = ("zero", "zero_stage", "zero_level", "deepspeed_stage")
VISION = {
    "s": (384, 12, 6),
    "g": (1408, 40, 16),
    "b": (768, 12, 12),
    "l": (1024, 24, 16),
    "h": (1280, 32, 16),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """One training run.

    Attributes:
        free: micro batch and interleaving are not stated: the authors chose what was fastest.
        notes: what was assumed, a sentence each.
        alone: plain PyTorch on one device, whose peak is stated as allocated.
    """

    shape: Shape
    layout: Layout
    software: Software
    dtype: str
    free: bool = False
    notes: tuple[str, ...] = ()
    alone: bool = False


def read(case: Case) -> Ran | NoData:
    """The run behind a row.

    The form is told by the names of the inputs: ``parallelism_4way`` (NeuSight), ``act_ckpt``
    (llm-foundry), ``fsdp`` or ``local_batch`` (torchtitan, torchao), else Megatron and its kin.
    """
    given = {str(k).lower(): v for k, v in case.inputs.items() if v not in (None, "")}
    model = _offloaded(given) or _shape(case, given)
    if isinstance(model, NoData):
        return model
    shape, notes = model
    if "parallelism_4way" in given or "4gpu" in case.domain:
        return _four(shape, given, notes)
    if "act_ckpt" in given or "n_gpus" in given:
        return _foundry(shape, given, notes)
    if "megatron" in case.domain:
        return _megatron(shape, given, case, notes)
    titan = {"fsdp", "local_batch", "float8", "activation_checkpoint", "config", "slice"}
    if titan & given.keys() or "maxtext" in case.domain or adapter_rank(given):
        return _titan(shape, given, notes)
    return _megatron(shape, given, case, notes)


def _offloaded(given: Inputs) -> NoData | None:
    """What lies in the host's memory is neither timed nor counted."""
    asked = next((k for k, v in given.items() if "offload" in k and not _false(v)), None)
    if asked is None:
        return None
    return NoData(
        reason=f"{asked}={given[asked]}: training that offloads to the host is unmeasured"
    )


def number(given: Inputs, *names: str, default: float | None = None) -> float | None:
    """The first of these names that is there, as a number."""
    for name in names:
        if name in given:
            match = re.search(r"-?\d+(?:\.\d+)?", str(given[name]))
            if match:
                return float(match[0])
    return default


def whole(given: Inputs, *names: str, default: int = 1) -> int:
    """As `number`, for counts."""
    found = number(given, *names)
    return default if found is None else max(int(found), 1)


def _shape(case: Case, given: Inputs) -> tuple[Shape, tuple[str, ...]] | NoData:
    """From widths where they are given, else from the model's name."""
    seq = whole(given, "seq_len", "seq", "sequence_length", "seq_or_size", default=0)
    if "hidden" in given and "layers" in given:
        return _gpt(given, seq or 2048), ()
    name = str(given.get("model", ""))
    if image := re.match(r"vit-?(s|b|l|h|g)[^/]*/(\d+)", name.lower()):
        return _vision(image[1], pixels=seq or 224, patch=int(image[2])), ()
    found = find_transformer(_full_name(name, given))
    if found is None:
        return NoData(reason=f"the shape of the model {name!r} is not known")
    eager = "4gpu" in case.domain or "parallelism_4way" in given
    dropout = eager or bool(re.match(r"megatron|gpt3|turing|mt-nlg", name.lower()))
    length = seq or _usual_length(found.name, eager)
    notes = () if seq else (f"sequences of {length} tokens assumed",)
    if "derived" in found.source or "proportion" in found.source:
        notes = (*notes, f"shape of {name!r} derived from its size")
    return shape_of(found, seq_len=length, dropout=dropout), notes


def _gpt(given: Inputs, seq: int) -> Shape:
    """A GPT as Megatron builds it; see `usual_heads` where heads are not given."""
    hidden = whole(given, "hidden")
    heads = whole(given, "heads", default=usual_heads(hidden))
    return Shape(
        hidden=hidden,
        layers=whole(given, "layers"),
        heads=heads,
        kv_heads=heads,
        head_size=hidden / heads,
        ffn=whole(given, "ffn", default=4 * hidden),
        ffn_matrices=2,
        vocab=whole(given, "vocab", default=MEGATRON_VOCAB),
        seq_len=seq,
        dropout=True,
    )


def usual_heads(hidden: int) -> int:
    """Heads of 96 from a width of 1,536 to 3,072, of 64 below, of 128 above.

    As in Shoeybi et al. 2019 (arXiv 1909.08053), table 2, and Narayanan et al. 2021, table 1.
    """
    size = 64 if hidden < 1536 else 96 if hidden <= 3072 else 128
    return max(hidden // size, 1)


def _vision(size: str, *, pixels: int, patch: int) -> Shape:
    """A vision transformer of Dosovitskiy et al. 2020, table 1, on square images."""
    hidden, layers, heads = VISION[size]
    return Shape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=hidden // heads,
        ffn=4 * hidden,
        ffn_matrices=2,
        vocab=1000,
        seq_len=(pixels // patch) ** 2 + 1,
        causal=False,
    )


def _full_name(name: str, given: Inputs) -> str:
    """``30b`` of an llm-foundry row is MPT-30B."""
    bare = re.fullmatch(r"\d+(\.\d+)?[mb]", name.lower())
    return f"mpt-{name}" if bare and ("act_ckpt" in given or "n_gpus" in given) else name


def _usual_length(name: str, eager: bool) -> int:
    lower = name.lower()
    if "bert" in lower or "switch" in lower:
        return 512
    if eager:
        return 1024 if "gpt-2" in lower or "gpt2" in lower else 2048
    return 8192 if "llama-3" in lower else 2048


def _four(shape: Shape, given: Inputs, notes: tuple[str, ...]) -> Ran:
    """NeuSight's four GPUs: float32, one micro batch, gradients summed after the backward pass."""
    way = str(given.get("parallelism_4way", given.get("option", ""))).lower()
    devices = whole(given, "gpus", "num_gpus", default=4)
    batch = whole(given, "global_batch", "batch")
    layout = Layout(
        tp=devices if "t" in way or "mp" in way else 1,
        pp=devices if "pp" in way or "pipe" in way else 1,
        dp=devices if "dp" in way or "data" in way else 1,
        attention="scores",
        optimiser=False,
        value_bytes=4,
        gradient_bytes=4,
    )
    layout = replace(layout, micro_batch=max(batch // layout.dp, 1))
    return Ran(shape=shape, layout=layout, software="eager", dtype="float32", notes=notes)


def _foundry(shape: Shape, given: Inputs, notes: tuple[str, ...]) -> Ran:
    """llm-foundry: FSDP over all devices, fused attention, whole blocks recomputed or nothing."""
    devices = whole(given, "n_gpus", "gpus")
    micro = whole(given, "micro_batch", "device_batch")
    batch = whole(given, "global_batch", default=micro * devices)
    steps = max(batch // (micro * devices), 1)
    grad_op = "grad_op" in str(given.get("sharding", "")).lower()
    precision = str(given.get("precision", "amp_bf16")).lower()
    layout = Layout(
        dp=devices,
        micro_batch=micro,
        micro_batches=steps,
        recompute="full" if _true(given.get("act_ckpt")) else "none",
        zero=2 if grad_op else 3,
        fsdp=True,
        float8="tensorwise" if "fp8" in precision else "",
    )
    dtype = "float16" if "fp16" in precision else "bfloat16"
    return Ran(shape=shape, layout=layout, software="fsdp", dtype=dtype, notes=notes)


def _titan(shape: Shape, given: Inputs, notes: tuple[str, ...]) -> Ran:
    """torchtitan and torchao: FSDP2 with tensor, context and pipeline parallelism."""
    said = " ".join(str(v).lower() for k, v in given.items() if k != "model")
    tp, pp = whole(given, "tensor_par", "tp"), whole(given, "pipeline_par", "pp")
    cp = whole(given, "context_par", "cp")
    names = ("gpus", "num_gpus", "n_gpus", "chips", "num_chips", "devices")
    devices = whole(given, *names, default=0) or _devices(said) * tp * pp * cp
    dp = max(devices // (tp * pp * cp), 1)
    local = whole(given, "local_batch", "per_device_batch", "batch", "micro_batch")
    zero = zero_stage(given, default=3)
    tuned = "fine-tune (alpaca)" in str(given.get("model", "")).lower()  # torchtune's recipe
    layout = Layout(
        tp=tp,
        pp=pp,
        cp=cp,
        dp=dp,
        ep=whole(given, "expert_par", "ep", "expert_parallel"),
        micro_batch=max(local // pp, 1),  # torchtitan cuts a local batch into one per stage
        micro_batches=pp,
        recompute="full" if tuned else _recompute(_asked_again(given)),
        sequence_parallel=tp > 1,
        zero=zero,
        fsdp=zero == 3 and dp * cp > 1,
        adapter_rank=adapter_rank(given),
        compiled=str(given.get("compile", 1)) not in ("0", "False", "false")
        and "eager" not in said
        and not tuned,
        async_tp="asynctp" in said.replace(" ", "").replace("_", ""),
        float8=_float8(str(given.get("float8", given.get("dtype", "")))),
    )
    said = str(given.get("dtype", given.get("precision", ""))).lower()
    dtype = "float32" if re.search(r"fp32|float32", said) else "bfloat16"
    rank = layout.adapter_rank
    return Ran(
        shape=shape,
        layout=layout,
        software="titan",
        dtype=dtype,
        notes=(*notes, f"adapters of rank {rank} on every product") if rank else notes,
        alone=layout.devices == 1,
    )


def _asked_again(given: Inputs) -> str:
    """What a row says of recomputation."""
    names = (
        "mode",
        "activation_checkpoint",
        "activation_recompute",
        "recompute",
        "recompute_granularity",
        "act_ckpt",
        "gradient_checkpointing",
        "config",
    )
    return next((str(given[name]) for name in names if name in given), "")


def adapter_rank(given: Inputs) -> int:
    """Of LoRA's adapters, 16 where a row does not say; 0 where all weights are trained."""
    rank = whole(given, "lora_rank", "lora_r", "adapter_rank", "rank", default=0)
    named = any(k in ("lora", "qlora") and not _false(v) for k, v in given.items())
    said = named or "lora" in " ".join(str(v) for v in given.values()).lower()
    return (rank or USUAL_RANK) if said or "lora_rank" in given or "lora_r" in given else 0


def _devices(said: str) -> int:
    if pod := re.search(r"\bv(\d+[ep]?)-(\d+)", said):  # a TPU slice; v5p counts TensorCores
        return max(int(pod[2]) // (2 if pod[1] in ("2", "3", "4", "5p") else 1), 1)
    match = re.search(r"fsdp2? (\d+)-way|(\d+)x ", said)
    return int(next(g for g in match.groups() if g)) if match else 1


def _float8(said: str) -> Float8:
    text = said.lower()
    if "rowwise" in text:
        return "rowwise"
    return "tensorwise" if "float8" in text or "fp8" in text or text in ("1", "true") else ""


def _recompute(said: str) -> Recompute:
    text = said.lower()
    if "selective" in text:
        return "selective"
    return "full" if re.search(r"\bfull\b|checkpoint|\bac\b|true", text) else "none"


def _megatron(shape: Shape, given: Inputs, case: Case, notes: tuple[str, ...]) -> Ran:
    """Megatron-LM (and OneFlow on the same grid): float16, dropout, separate attention products."""
    tp = whole(given, "tensor_par", "tp", "tensor_parallel")
    pp = whole(given, "pipeline_par", "pp", "pipeline_parallel")
    devices = whole(given, "gpus", "n_gpus", "num_gpus", default=0)
    dp = whole(given, "data_par", "dp", "data_par_derived", default=max(devices // (tp * pp), 1))
    batch = whole(given, "global_batch", "batch", default=max(pp, 1) * dp)
    size = re.search(r"(\d+)(?:\.\d+)?[bt]", str(given.get("model", "")).lower())
    known = KORTHIKANTI.get(size[1]) if size else None
    said = str(given).lower()
    plain = "kind" in given or "oneflow" in case.metric
    per_rank = max(batch // dp, 1)
    once = max(per_rank // (DLPERF_ACCUMULATION if pp > 1 else 1), 1)
    micro = whole(given, "micro_batch", default=known[0] if known else once if plain else 1)
    recompute, sequence = modes(_asked_again(given) or "full")
    layout = Layout(
        tp=tp,
        pp=pp,
        dp=dp,
        ep=whole(given, "expert_par", "ep", "expert_parallel"),
        interleave=whole(given, "interleave", default=known[1] if known and pp > 1 else 1),
        micro_batch=micro,
        micro_batches=max(batch // (dp * micro), 1),
        recompute=recompute,
        attention="scores",
        sequence_parallel=sequence or _true(given.get("sequence_parallel")) or "rs_ag" in said,
        whole_sends=plain,
        zero=zero_stage(given),
        float8=_float8(str(given.get("dtype", given.get("precision", "")))),
    )
    software: Software = "megatron-2022" if _asked_again(given) or "rs_ag" in said else "megatron"
    if "oneflow" in case.metric or "oneflow" in said:
        software = "oneflow"
    free = not (known or plain or "micro_batch" in given)
    return Ran(
        shape=shape, layout=layout, software=software, dtype="float16", free=free, notes=notes
    )


def modes(mode: str) -> tuple[Recompute, bool]:
    """Korthikanti's words: none, seq, sel, seqsel, full, and sentences with these in them."""
    text = mode.lower()
    sequence = text.startswith("seq") or (
        "sequence parallel" in text and "no sequence parallel" not in text
    )
    if "full" in text:
        return "full", sequence
    if "sel" in text or "attn_only" in text:
        return "selective", sequence
    return "none", sequence


def zero_stage(given: Inputs, *, default: Zero = 0) -> Zero:
    """Stage of ZeRO that a row states."""
    stated = number(given, *ZERO_NAMES)
    if stated is None and _true(given.get("distributed_optimizer")):
        return 1  # Megatron-LM's name for the first stage
    return default if stated not in (0, 1, 2, 3) else int(stated)  # type: ignore[return-value]


def _false(value: object) -> bool:
    return str(value).lower() in ("false", "0", "no", "none", "")


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "yes", "full")

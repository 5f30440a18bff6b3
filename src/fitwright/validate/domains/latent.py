"""Cases of latent attention (DeepSeek-V2 and later, Kimi-K2): one vector a token is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fitwright.catalog.transformers import find_transformer
from fitwright.perf.operators import latent_decode_work, latent_prefill_work
from fitwright.perf.work import Work
from fitwright.records.estimate import Estimate
from fitwright.validate.case import Inputs
from fitwright.validate.domains import inputs as read

KV_RANK, ROPE = 512, 64
"""Of DeepSeek-V2, V3, R1 and Kimi-K2: taken where a case says no more than that it is MLA."""

UNMEASURED = 1.4
"""Widens the bands: no kernel of latent attention is among the evidence, grouped queries answer
(a prior; FlashMLA states 66 % of the peak of an H800 where arithmetic binds, half is taken)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latent:
    """Numbers kept of a token: `kv_rank` and `rope`."""

    kv_rank: int
    rope: int


def latent_sizes(inputs: Inputs) -> Latent | None:
    """Where the attention is latent: by its rank, its name (``mla``) or the model's."""
    rank = read.number(inputs, "kv_lora_rank", "kv_rank")
    rope = read.number(inputs, "qk_rope_head_dim", "rope_dim", "rope_size")
    said = read.text(inputs, "attention", "attention_type", "kernel_source", "op_name", "mla_dtype")
    model = find_transformer(read.text(inputs, "model", "model_path") or "-")
    if model is not None and model.kv_rank and not rank:
        return Latent(kv_rank=model.kv_rank, rope=model.rope_size)
    named = "mla" in said.lower() or read.text(inputs, "mla_dtype")
    if not rank and not named:
        return None
    return Latent(kv_rank=int(rank or KV_RANK), rope=int(rope or ROPE))


def latent_attention(
    num: Mapping[str, int], latent: Latent, *, decode: bool, dtypes: tuple[str, str]
) -> Work:
    """The work of one attention of that kind; prompts expand keys and values for each head."""
    dtype, kv_dtype = dtypes
    batch, heads = max(num["batch"], 1), max(num["num_heads"], 1)
    if not decode:
        return latent_prefill_work(
            batch=batch, queries=max(num["queries"], 1), past=num["past"], num_heads=heads,
            head_dim=max(num["head_dim"], 1), rope_dim=latent.rope, dtype=dtype,
        )  # fmt: skip
    work = latent_decode_work(
        batch=batch, context=max(num["queries"] + num["past"], 1), num_heads=heads,
        kv_rank=latent.kv_rank, rope_dim=latent.rope, dtype=dtype, kv_dtype=kv_dtype,
    )  # fmt: skip
    return replace(work, working_set_bytes=work.bytes_moved)


def widened(answer: Estimate) -> Estimate:
    """The answer of grouped queries for a kernel that nobody measured."""
    why = "no kernel of latent attention was measured: grouped queries answer, the band is wider"
    return answer.model_copy(
        update={
            "low": answer.low / UNMEASURED,
            "high": answer.high * UNMEASURED,
            "reasons": (*answer.reasons, why),
        }
    )

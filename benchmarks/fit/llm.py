"""Fits what language models reach of a device's peaks, and what serving software costs.

    python benchmarks/fit/llm.py --data ../shared/data

Writes `src/fitwright/catalog/constants/llm.yaml` and prints held-out errors: folds of a device's
own rows (calibrated), and the other architecture's constants (datasheet only). The formula is in
`fitwright.perf.llm.step`; shares are fitted by least absolute deviations, one coordinate at a
time, on the closed form of a full queue.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from llm_operators import BETWEEN, LEGACY, power_evidence, powered, sweep_evidence
from llm_priors import priors, row, shares
from llm_rows import (
    SERVED_BY,
    Decode,
    Served,
    decode_rows,
    decode_s,
    eager_layer_s,
    served_per_s,
    served_rows,
)
from llm_submissions import mlperf_evidence

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/llm.yaml"
GPT_FAST = "meta-pytorch/gpt-fast and pytorch/ao, decode at batch 1 (llm_decode_batch1.csv)"
TRT = "NVIDIA/TensorRT-LLM performance overview v0.17 (llm_serving_trtllm_vllm.csv)"
VLLM = "pytorch/ao, vLLM 0.13 offline on H100 (llm_serving_trtllm_vllm.csv)"
CAPS = {
    "step_s": 1e-3,
    "layer_s": 36e-6,
    "weight": 0.90,
    "compute": 0.95,
    "kv_share": 0.92,
    "prefill_share": 0.62,
    "kv_order": 1.0,
}
"""What is physical: a dozen launches of 3 us a block, a millisecond of host, shares that the
operators reach alone. Full queues alone would trade one for another."""
LEAST = {"weight_share": 0.70}
"""Products of few rows alone reach this (A100 0.71, H100 0.82): a full queue cannot tell reading
weights from reading the cache."""
Guess = dict[str, float]


def descend(start: Guess, loss: Callable[[Guess], float], *, sweeps: int) -> Guess:
    """Least absolute deviations, one constant at a time, each step halved when none helps."""
    best, at = loss(start), dict(start)
    factors = dict.fromkeys(start, 1.3)
    for _ in range(sweeps):
        for key in start:
            for factor in (factors[key], 1 / factors[key]):
                cap = next((c for name, c in CAPS.items() if key.startswith(name)), math.inf)
                trial = at | {key: max(min(at[key] * factor, cap), LEAST.get(key, 0.0))}
                if (found := loss(trial)) < best - 1e-6:
                    best, at = found, trial
                    break
            else:
                factors[key] **= 0.5
    return at


def mean_error(pairs: Sequence[tuple[float, float]]) -> float:
    """Mean of |log|, each no more than 0.5 so that outliers do not steer."""
    return sum(min(abs(math.log(p / m)), 0.5) for p, m in pairs) / len(pairs)


def report(name: str, pairs: Sequence[tuple[float, float]]) -> float:
    """Prints the median error, and returns the factor that holds four of five rows."""
    errors = sorted(abs(p / m - 1) for p, m in pairs)
    factors = sorted(math.exp(abs(math.log(p / m))) for p, m in pairs)
    spread = factors[min(len(factors) - 1, math.ceil(0.82 * len(factors)))]
    print(f"{name}: median {median(errors):.1%}, {len(errors)} rows, 80 % within x{spread:.2f}")
    return spread


# ---- decode at batch 1

DECODE_START = {
    "weight_float16": 0.75,
    "weight_int8w": 0.64,
    "weight_int4w": 0.48,
    "step_s": 0.2e-3,
    "layer_s": 25e-6,
}
FROM_GEMMS = DECODE_START | {"weight_float16": 0.80, "weight_int8w": 0.65, "weight_int4w": 0.50}
"""As if the A100 had not been run: a Hopper's share in GEMMs, priors for narrow weights."""


def fit_decode(rows: Sequence[Decode]) -> Guess:
    def loss(guess: Guess) -> float:
        return mean_error([(decode_s(r, guess), r.seconds) for r in rows])

    return descend(DECODE_START, loss, sweeps=14)


def decode_evidence(data: Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
    rows = decode_rows(data)
    own = [r for r in rows if r.device == "a100-80-sxm"]
    held = [
        (decode_s(r, guess), r.seconds)
        for fold in range(5)
        for guess in [fit_decode([r for i, r in enumerate(own) if i % 5 != fold])]
        for r in own[fold::5]
    ]
    spread = report("decode, A100 calibrated (5 folds)", held)
    bare = report(
        "decode, A100 datasheet only", [(decode_s(r, FROM_GEMMS), r.seconds) for r in own]
    )
    guess = fit_decode(own)
    amd = [r for r in rows if r.device == "mi250x"]
    report("decode, MI250X datasheet only", [(decode_s(r, guess), r.seconds) for r in amd])
    what, source = "llm/products/torch-compile", GPT_FAST
    found = []
    for scope in (("device", "a100-80-sxm"), ("architecture", "Ampere GA100"),
                  ("family", "nvidia-gpu"), ("kind", "gpu")):  # fmt: skip
        for group in ("float16", "int8w", "int4w"):
            constants = shares(guess[f"weight_{group}"], 0.70)
            width = spread if scope[0] == "device" else bare
            found.append(row(what, group, *scope, constants, spread=width,
                             num_points=len(own), source=source))  # fmt: skip
    for group in ("float16", "int8w"):
        reached = median(r.bytes_per_s(guess) for r in amd if r.group == group)
        found.append(row(what, group, "family", "amd-gpu", shares(reached, 0.5), spread=1.3,
                         num_points=1, source=source))  # fmt: skip
    found += dynamic_evidence(data, guess)
    software = {"step_s": guess["step_s"], "sequence_s": 0.0, "layer_s": guess["layer_s"]}
    found += [row("llm/software", "torch-compile", "kind", kind, software, num_points=len(own),
                  source=source) for kind in ("gpu", "cpu", "tpu", "npu", "asic")]  # fmt: skip
    return found, {"device": spread, "bare": bare}


def dynamic_evidence(data: Path, guess: Guess) -> list[dict[str, Any]]:
    """Activations quantised on the fly (`torch._int_mm`) with one row: a tenth of the pace."""
    rows = decode_rows(data, dynamic=True)
    reached = [r.bytes_per_s(guess) for r in rows]
    held = [
        (decode_s(r, guess | {"weight_int8": other}), r.seconds)
        for r, other in zip(rows, reversed(reached), strict=True)
    ]
    report("decode, A100, int8 dynamic, each from the other", held)
    constants = shares(median(reached), 0.5)
    what, scopes = "llm/products/torch-compile", (("device", "a100-80-sxm", 1.15),
                                                  ("kind", "gpu", 2.0))  # fmt: skip
    return [row(what, "int8", rung, scope, constants, spread=spread, num_points=len(rows),
                source=GPT_FAST) for rung, scope, spread in scopes]  # fmt: skip


# ---- full queues

SERVED_STARTS = (
    {"weight_share": 0.88, "compute_share": 0.78, "kv_share": 0.82, "prefill_share": 0.58,
     "kv_order": 0.26},
    {"weight_share": 0.78, "compute_share": 0.74, "kv_share": 0.82, "prefill_share": 0.62,
     "kv_order": 0.38},
)  # fmt: skip
HOST_STARTS = (
    {"step_s": 1.0e-3, "sequence_s": 6.5e-6, "layer_s": 26e-6},
    {"step_s": 0.7e-3, "sequence_s": 8.5e-6, "layer_s": 34e-6},
)
"""Two valleys of the loss; the fit keeps the deeper one."""
HOST = tuple(HOST_STARTS[0])


def fit_served(rows: Sequence[Served], *, host: Mapping[str, float] | None, sweeps: int) -> Guess:
    """Shares of one device; with the host's times where they are not given."""
    narrow = {"compute_share": 0.60} if rows[0].dtype == "fp8" else {}

    def loss(guess: Guess) -> float:
        at = {**(host or {}), **guess}
        return mean_error([(served_per_s(r, at), r.per_s) for r in rows])

    ends = [
        descend(start | narrow | ({} if host else of_host), loss, sweeps=sweeps)
        for start, of_host in zip(SERVED_STARTS, HOST_STARTS, strict=True)
    ]
    return {**(host or {}), **min(ends, key=loss)}


def served_evidence(data: Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
    rows = [r for r in served_rows(data) if r.engine == "trtllm"]
    by_device = {d: [r for r in rows if r.device == d] for d in SERVED_BY}
    a100 = fit_served(by_device["a100-80-sxm"][::2], host=None, sweeps=8)
    host = {k: a100[k] for k in HOST}
    h100 = fit_served(by_device["h100-sxm"][::2], host=host, sweeps=6)
    fitted = {"a100-80-sxm": a100, "h100-sxm": h100}
    print("fitted:", fitted)
    held = [
        (served_per_s(r, fitted[d]), r.per_s) for d, own in by_device.items() for r in own[1::2]
    ]
    spread = report("full queue, calibrated (rows of the same device left out)", held)
    crossed = {
        # another architecture's shares; 8-bit products from the prior, 16-bit ones carry over
        "a100-80-sxm": h100 | {"compute_share": 0.72},
        "h100-sxm": a100 | {"compute_share": 0.56},
    }
    bare = report(
        "full queue, datasheet only",
        [(served_per_s(r, crossed[d]), r.per_s) for d, own in by_device.items() for r in own],
    )
    found = []
    for device, guess in fitted.items():
        group, architecture = SERVED_BY[device]
        points = len(by_device[device])
        for rung, scope in (("device", device), ("architecture", architecture),
                            ("family", "nvidia-gpu")):  # fmt: skip
            width = spread if rung == "device" else bare
            found.append(row("llm/products/trtllm", group, rung, scope,
                             shares(guess["weight_share"], guess["compute_share"])
                             | powered(device),
                             spread=width, num_points=points, source=TRT))  # fmt: skip
            kv = "float8" if group == "float8" else "float16"
            constants = {k: guess[k] for k in ("kv_share", "prefill_share", "kv_order")}
            found.append(row("llm/attention/trtllm", kv, rung, scope, constants, spread=width,
                             num_points=points, source=TRT))  # fmt: skip
    found += [row("llm/software", "trtllm", "kind", kind, host, num_points=len(rows), source=TRT)
              for kind in ("gpu", "cpu", "npu", "tpu", "asic")]  # fmt: skip
    return found, {"device": spread, "bare": bare}


VLLM_STARTS = {
    "weight_share": 0.80,
    "compute_share": BETWEEN * 0.78,
    "kv_share": 0.80,
    "prefill_share": 0.49,
    "kv_order": 0.3,
    "step_s": 1.5e-3,
    "layer_s": 34e-6,
}
VLLM_NARROW = {"compute_share": BETWEEN * 0.584, "weight_share": 0.67}


def vllm_per_s(r: Served, guess: Guess) -> float:
    """With the shares of the GEMMs, slowed down as `pace` says."""
    at = VLLM_STARTS | (VLLM_NARROW if r.dtype.startswith("fp8") else {})
    at = at | {"compute_share": at["compute_share"] * guess["pace"]}
    return served_per_s(r, at | {"sequence_s": guess["sequence_s"]})


def fit_vllm(rows: Sequence[Served], start: Guess) -> Guess:
    def loss(guess: Guess) -> float:
        return mean_error([(vllm_per_s(r, {"pace": 1.0} | guess), r.per_s) for r in rows])

    return descend(start, loss, sweeps=12)


def vllm_evidence(data: Path) -> list[dict[str, Any]]:
    """Host time of vLLM: what its runs on an H100 take beyond the shares of the GEMMs. Of its
    own benchmark also the pace of the products, which other runs are not charged with, and what
    it makes of torchao's weights of 8 bits.

    All runs decode 128 sequences, so that only the time of each sequence can be told; that of a
    pass is assumed.
    """
    rows = [r for r in served_rows(data) if r.engine == "vllm" and r.num_prompts]
    plain = [r for r in rows if "weight-only" not in r.dtype]
    slow = {"sequence_s": 30e-6, "pace": 0.9}
    held = [(vllm_per_s(r, fit_vllm([o for o in plain if o.dtype != r.dtype], slow)), r.per_s)
            for r in plain]  # fmt: skip
    report("vLLM's benchmark, the other precision left out", held)
    bench, host = fit_vllm(plain, slow), fit_vllm(plain, {"sequence_s": 30e-6})
    print("vLLM:", host, "its benchmark:", bench)
    fixed = {k: VLLM_STARTS[k] for k in ("step_s", "layer_s")}
    return [
        _torchao_weights([r for r in rows if "weight-only" in r.dtype], bench),
        *(row("llm/software", engine, "kind", kind, fixed | found, num_points=4, source=VLLM)
          for engine, found in (("vllm", host), ("vllm-bench", bench))
          for kind in ("gpu", "cpu", "npu", "tpu", "asic")),
    ]  # fmt: skip


def _torchao_weights(rows: Sequence[Served], host: Guess) -> dict[str, Any]:
    """Two rows for two shares: in sample, so that the band is a prior."""

    def at(guess: Guess) -> Guess:
        shared = {"weight_share": guess["weight_int8w"], "compute_share": guess["compute_int8w"]}
        return VLLM_STARTS | shared | {"sequence_s": host["sequence_s"]}

    found = descend(
        {"weight_int8w": 0.4, "compute_int8w": 0.5},
        lambda guess: mean_error([(served_per_s(r, at(guess)), r.per_s) for r in rows]),
        sweeps=16,
    )
    constants = shares(found["weight_int8w"], found["compute_int8w"] / host["pace"])
    print("vLLM with torchao's int8 weights:", constants)
    return row("llm/products/vllm-bench", "int8w", "device", "h100-sxm", constants, spread=1.35,
               num_points=len(rows), source=VLLM)  # fmt: skip


def eager_evidence(data: Path) -> list[dict[str, Any]]:
    """Host time of a block in eager PyTorch (Transformers): what an A100 waits for."""
    seconds = eager_layer_s(data)
    constants = {"step_s": 0.5e-3, "sequence_s": 0.0, "layer_s": 80e-6,
                 "host_layer_s": median(seconds)}  # fmt: skip
    return [row("llm/software", "eager", "kind", kind, constants, num_points=len(seconds),
                source=LEGACY) for kind in ("gpu", "cpu", "npu", "tpu", "asic")]  # fmt: skip


# ---- everything together


def bands(
    decode: Mapping[str, float], served: Mapping[str, float], mlperf: dict[str, float]
) -> list[dict[str, Any]]:
    """By question and rung: as found on rows left out; where there were none, doubled margins."""

    def band(about: str, device: float, bare: float, source: str) -> dict[str, Any]:
        wider = {"device": device, "architecture": (device * bare) ** 0.5, "family": bare,
                 "kind": max(bare * 1.1, 1.5), "measured": device}  # fmt: skip
        return row("llm/band", about, "kind", "gpu", wider, source=source)

    left_out = "rows left out of the fit"
    return [
        band("decode", decode["device"], decode["bare"], left_out),
        band("decode/local", 1.2, 1.3, "prior: llama.cpp was not published here"),
        band("prefill", 1.3, 1.5, "prior: no published rows of prefill alone"),
        band("throughput", served["device"], served["bare"], left_out),
        row("llm/band", "mlperf", "kind", "gpu", mlperf, source=left_out),
        band("tpot", served["device"] * 1.2, served["bare"] * 1.2, left_out + ", widened"),
        band("ttft", served["device"] * 1.4, served["bare"] * 1.5, left_out + ", widened"),
        band("energy", 1.45, 1.6, "prior: batched requests were not published here"),
        band(
            "energy/1", 1.18, 1.23, "one user, with and without rows of the device (" + LEGACY + ")"
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    published = parser.parse_args().data / "published"
    decode, decode_spread = decode_evidence(published)
    served, served_spread = served_evidence(published)
    rows = [
        *decode,
        *served,
        *vllm_evidence(published),
        *eager_evidence(published),
        *sweep_evidence(published),
        *power_evidence(published),
        *priors(),
    ]
    submitted, mlperf_spread = mlperf_evidence(published, rows)
    rows += [*submitted, *bands(decode_spread, served_spread, mlperf_spread)]
    kept = {(r["what"], r["dtype"], r["rung"], r["scope"]): r for r in reversed(rows)}
    text = yaml.safe_dump(list(reversed(kept.values())), sort_keys=False, width=100)
    OUT.write_text("# Written by benchmarks/fit/llm.py; see there.\n" + text)


if __name__ == "__main__":
    main()

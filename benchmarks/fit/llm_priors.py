"""What is assumed where language models were not measured: rounded, wide, and said as such."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

PRIOR = "prior"
GEMM = "medians over GEMMs of 16 rows at most and of 4,096 at least (ai-dynamo/aiconfigurator)"
ATTENTION = "attention sweeps (ai-dynamo/aiconfigurator)"
LLAMA = "from memory of public llama.cpp benchmarks, rounded by family; not read again, not fitted"
MACHINES = ("gpu", "cpu", "npu", "tpu", "asic")
# share of the bandwidth while weights are read, share of the peak in large products
SHARES = {
    "float16": (0.74, 0.72),
    "float8": (0.68, 0.56),
    "float4": (0.55, 0.42),
    "int8": (0.68, 0.60),
    "int8w": (0.62, 0.66),
    "int4w": (0.50, 0.62),
    "float32": (0.74, 0.70),
}
# processors: the matrix units of AMX are fed from caches, 16 bits reach about a third
CPU_SHARES = {
    "float16": (0.70, 0.35),
    "int8": (0.70, 0.35),
    "int8w": (0.65, 0.30),
    "int4w": (0.55, 0.30),
    "float32": (0.70, 0.50),
}
SPREAD = {"gpu": 1.5, "cpu": 1.8, "npu": 1.8, "tpu": 1.6, "asic": 1.8}


def row(what: str, dtype: str, rung: str, scope: str, constants: Row, **rest: Any) -> Row:
    """One row of evidence."""
    return {
        "what": what,
        "dtype": dtype,
        "rung": rung,
        "scope": scope,
        "constants": {k: float(f"{v:.4g}") for k, v in constants.items()},
        "spread": float(f"{rest.get('spread', 1.5):.3g}"),
        "num_points": rest.get("num_points", 0),
        "source": rest.get("source", PRIOR),
    }


def shares(weight: float, compute: float) -> Row:
    return {"weight_share": weight, "compute_share": compute}


def priors() -> list[Row]:
    """Rows of every kind of device, and of llama.cpp."""
    return [*_kinds(), *_software(), *_llama_cpp()]


def _kinds() -> list[Row]:
    rows = []
    for kind in MACHINES:
        for dtype, (weight, compute) in (CPU_SHARES if kind == "cpu" else SHARES).items():
            source = f"{PRIOR}: {GEMM}" if kind == "gpu" else f"{PRIOR} of {kind}s"
            at = row("llm/products", dtype, "kind", kind, shares(weight, compute),
                     spread=SPREAD[kind], source=source)  # fmt: skip
            rows.append(at)
        for dtype in ("float16", "float8"):
            constants = {"kv_share": 0.70, "prefill_share": 0.45, "kv_order": 0.25}
            if kind == "cpu":
                constants["prefill_share"] = 0.25
            rows.append(row("llm/attention", dtype, "kind", kind, constants, spread=SPREAD[kind],
                            source=f"{PRIOR}: {ATTENTION}"))  # fmt: skip
    return rows


# host time of a pass, more for each sequence, more for each block
V0 = (
    "blog.vllm.ai 2024-09-05, as remembered: under 0.5 an H100 works 38 % of the time on "
    "Llama 3 8B; the rest is scheduling, input preparation and the API server"
)
SOFTWARE = {
    "vllm-v0": (5e-3, 150e-6, 30e-6, V0),
    "sglang": (1.1e-3, 20e-6, 30e-6, "prior: halfway between TensorRT-LLM and vLLM"),
}


def _software() -> list[Row]:
    rows = [
        row("llm/software", engine, "kind", kind,
            {"step_s": a, "sequence_s": b, "layer_s": c}, source=source)
        for engine, (a, b, c, source) in SOFTWARE.items()
        for kind in MACHINES
    ]  # fmt: skip
    local = {
        ("kind", "gpu"): (0.2e-3, 70e-6),
        ("family", "nvidia-gpu"): (0.2e-3, 60e-6),
        ("family", "apple-gpu"): (0.3e-3, 140e-6),
        ("kind", "cpu"): (0.1e-3, 20e-6),
        ("kind", "npu"): (1e-3, 100e-6),
        ("kind", "tpu"): (1e-3, 100e-6),
        ("kind", "asic"): (1e-3, 100e-6),
    }
    for (rung, scope), (step, layer) in local.items():
        constants = {"step_s": step, "sequence_s": 0.0, "layer_s": layer}
        rows.append(row("llm/software", "llama.cpp", rung, scope, constants, source=LLAMA))
    return rows


def _llama_cpp() -> list[Row]:
    """Weights stream at the full speed of GDDR and LPDDR; HBM wants more loads in flight."""
    scopes: dict[tuple[str, str], dict[str, tuple[float, float]]] = {
        ("family", "nvidia-gpu"): {"float16": (0.94, 0.42), "int8w": (0.92, 0.34),
                                   "int4w": (0.90, 0.32)},
        ("architecture", "Ampere GA100"): {"float16": (0.54, 0.36), "int8w": (0.54, 0.28),
                                           "int4w": (0.54, 0.27)},
        ("architecture", "Hopper"): {"float16": (0.65, 0.20), "int8w": (0.65, 0.16),
                                     "int4w": (0.65, 0.15)},
        ("architecture", "Pascal"): {"float16": (0.55, 0.30), "int8w": (0.45, 0.30),
                                     "int4w": (0.40, 0.30)},
        ("architecture", "Volta"): {"float16": (0.60, 0.36), "int8w": (0.60, 0.28),
                                    "int4w": (0.60, 0.27)},
        ("family", "apple-gpu"): {"float16": (0.93, 0.72), "int8w": (0.92, 0.63),
                                  "int4w": (0.88, 0.62)},
        ("family", "amd-gpu"): {"float16": (0.75, 0.30), "int8w": (0.70, 0.25),
                                "int4w": (0.65, 0.25)},
        ("kind", "gpu"): {"float16": (0.75, 0.35), "int8w": (0.70, 0.28), "int4w": (0.65, 0.28)},
        ("kind", "cpu"): {"float16": (0.75, 0.35), "int8w": (0.75, 0.35), "int4w": (0.70, 0.35)},
    }  # fmt: skip
    return [
        row("llm/products/llama.cpp", dtype, rung, scope, shares(weight, compute),
            spread=1.35 if rung != "kind" else 1.6, source=LLAMA)
        for (rung, scope), by_dtype in scopes.items()
        for dtype, (weight, compute) in by_dtype.items()
    ]  # fmt: skip

"""One way to run a model, as it is asked about, and whose fusion rules each backend follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.perf.fusion import Runtime

RUNTIMES: Mapping[str, Runtime] = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "torch": "eager",
    "torch-compile": "compiled",
    "xla": "compiled",
    "litert": "onnxruntime",
    "coreml": "compiled",
    "mlx": "eager",
    "neuron": "compiled",
    "qnn": "compiled",
    "qaic": "compiled",
    "hailo": "compiled",
    "vendor": "compiled",
    "vitis-ai": "compiled",
    "mcu-c": "onnxruntime",
    "hls4ml": "compiled",
    "finn": "compiled",
    "rtl": "compiled",
}
"""Backends that run a graph, and whose fusion rules come nearest. Servers of language models
(vLLM, TensorRT-LLM, llama.cpp) run no graph; `perf.llm` speaks of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One way to run a model: what `Forecast` is asked about.

    Attributes:
        batch: queries that one run takes together.
        streams: runs at the same time.
    """

    dtype: str
    runtime: str
    batch: int = 1
    streams: int = 1

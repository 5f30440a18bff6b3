"""Runs what Olive found, with the session options that Olive chose, in Olive's environment.

``python benchmarks/peer_olive_worker.py MODEL.onnx OPTIONS_JSON``. Speaks as `peer_serve` does.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import onnxruntime
from peer_serve import Model, pipe, serve

LEVELS = {
    0: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    2: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    99: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MODES = (onnxruntime.ExecutionMode.ORT_SEQUENTIAL, onnxruntime.ExecutionMode.ORT_PARALLEL)


def options(chosen: dict[str, Any]) -> onnxruntime.SessionOptions:
    """Olive's choice as ONNX Runtime takes it; what it left open stays at its default."""
    given = onnxruntime.SessionOptions()
    if chosen.get("graph_optimization_level") is not None:
        given.graph_optimization_level = LEVELS[int(chosen["graph_optimization_level"])]
    if chosen.get("execution_mode") is not None:
        given.execution_mode = MODES[int(chosen["execution_mode"])]
    for name in ("intra_op_num_threads", "inter_op_num_threads"):
        if chosen.get(name) is not None:
            setattr(given, name, int(chosen[name]))
    for key, value in (chosen.get("extra_session_config") or {}).items():
        given.add_session_config_entry(key, str(value))
    return given


def loaded(file: Path, chosen: dict[str, Any]) -> Model:
    """The session."""
    session = onnxruntime.InferenceSession(
        file, options(chosen), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return Model(
        prepare=lambda query: query,
        run=lambda query: session.run(None, query),
        read=lambda found: dict(zip(names, found, strict=True)),
        facts={
            "device": "CPU",
            "provider": "CPUExecutionProvider",
            "options": json.dumps(chosen),
            "threads": str(chosen.get("intra_op_num_threads") or os.cpu_count()),
            "version": onnxruntime.__version__,
        },
    )


def main() -> None:
    """Load and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("options", type=json.loads)
    given = parser.parse_args()
    stream = pipe()
    serve(lambda: loaded(given.model, given.options), stream)


if __name__ == "__main__":
    main()

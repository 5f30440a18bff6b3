"""What other tools make of an ONNX file, through their public interfaces, as their documents say.

Nothing of Fitwright's own adaptation is used here. Each build runs in a process of its own:
``python benchmarks/peer_builds.py TOOL MODEL CALIBRATION.npz FOLDER`` prints one JSON line
``{"file", "backend", "seconds"}``.

Sources: ONNX Runtime, "Quantize ONNX models" (pre-process, then `quantize_static`; S8S8 in QDQ
format is its first choice on CPUs); NNCF, "Post-training quantization" (`nncf.quantize` with
its defaults, `ModelType.TRANSFORMER` for transformers).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Queries = list[dict[str, NDArray[Any]]]


def queries(calibration: Path, *, batch: int) -> Queries:
    """The file's samples as the model takes them, `batch` per call."""
    with np.load(calibration) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    num = len(next(iter(columns.values())))
    return [
        {name: column[i : i + batch] for name, column in columns.items()}
        for i in range(0, num, batch)
    ]


def batch_of(model: Path) -> int:
    """First size of the first input; the benchmark's files have fixed shapes."""
    first = onnx.load(model, load_external_data=False).graph.input[0]
    return int(first.type.tensor_type.shape.dim[0].dim_value) or 1


def is_transformer(model: Path) -> bool:
    """Whether the graph normalises layers, as every transformer does and no plain CNN."""
    nodes = onnx.load(model, load_external_data=False).graph.node
    return any(node.op_type == "LayerNormalization" for node in nodes)


def onnxruntime_defaults(model: Path, calibration: Path, folder: Path) -> Path:
    """The original file."""
    del calibration, folder
    return model


openvino_defaults = onnxruntime_defaults


def onnxruntime_int8(model: Path, calibration: Path, folder: Path) -> Path:
    """Pre-processed, then quantised statically: QDQ, S8S8, per channel, MinMax."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._left: Iterator[dict[str, NDArray[Any]]] = iter(
                queries(calibration, batch=batch_of(model))
            )

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self._left, None)

    prepared, quantised = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(model, prepared)
    quantize_static(prepared, quantised, Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
    prepared.unlink()
    return quantised


def openvino_int8(model: Path, calibration: Path, folder: Path) -> Path:
    """`nncf.quantize` with its defaults; the model type is stated for transformers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type, unused-ignore]
    import nncf
    import openvino

    model_type = nncf.ModelType.TRANSFORMER if is_transformer(model) else None
    quantised = nncf.quantize(
        openvino.Core().read_model(model),
        nncf.Dataset(queries(calibration, batch=batch_of(model))),
        model_type=model_type,
    )
    file = folder / "int8.xml"
    openvino.save_model(quantised, file, compress_to_fp16=False)
    return file


Build = Callable[[Path, Path, Path], Path]
PEERS: Mapping[str, tuple[str, Build]] = {
    "ONNX Runtime, defaults": ("onnxruntime", onnxruntime_defaults),
    "ONNX Runtime, static int8": ("onnxruntime", onnxruntime_int8),
    "OpenVINO, defaults": ("openvino", openvino_defaults),
    "OpenVINO, NNCF int8": ("openvino", openvino_int8),
}


def main() -> None:
    """Build one peer's model and say where it is and how long that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=PEERS)
    parser.add_argument("model", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    backend, build = PEERS[chosen.tool]
    start = time.monotonic()
    file = build(chosen.model, chosen.calibration, chosen.folder)
    seconds = time.monotonic() - start
    print(json.dumps({"file": str(file), "backend": backend, "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()

"""Runs a model of the benchmark as a torch module; the peers that need no ONNX file.

``python benchmarks/peer_torch_worker.py NAME WAY MODELS``, by the Python of an environment
with ``torch`` and ``transformers``; WAY is one of ``float32``, ``bfloat16``, ``compile`` and
``compile-bfloat16``. Speaks as `peer_serve` does.

As torch's documents advise for inference on CPUs: `torch.inference_mode`, weights frozen into
the compiled code (`torch._inductor.config.freezing`), bfloat16 by converting the module, the
inputs of it converted inside the timed call and the outputs back. Compiling happens at the
first run of a query, which is part of `load_s` here, for one query of zeros.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_serve import Model, pipe, serve
from torch import Tensor, nn

WAYS = ("float32", "bfloat16", "compile", "compile-bfloat16")
Answer = Callable[[list[Tensor]], tuple[Tensor, ...]]


def loaded(name: str, *, way: str, models: Path, example: Path) -> Model:
    """The module in the asked way, compiled where asked, with a first query answered."""
    from models import outputs, restored

    module = restored(name, models)
    if "bfloat16" in way:
        module = module.to(torch.bfloat16)
    answer = answers(module, dtype=torch.bfloat16 if "bfloat16" in way else torch.float32)
    if way.startswith("compile"):
        torch._inductor.config.freezing = True
        torch.set_grad_enabled(False)
        answer = torch.compile(answer)
    run = torch.inference_mode()(answer)
    with np.load(example) as arrays:
        first = prepared({key: arrays[key][0] for key in arrays.files})
    run(first)
    names = outputs(name)
    return Model(
        prepare=prepared,
        run=run,
        read=lambda found: {n: t.numpy() for n, t in zip(names, found, strict=True)},
        facts=facts(way),
    )


def prepared(query: dict[str, Any]) -> list[Tensor]:
    """Arrays as tensors, in the order of the module's arguments."""
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in query.values()]


def answers(module: nn.Module, *, dtype: torch.dtype) -> Answer:
    """From tensors to float32 tensors, whatever the module computes in."""

    def answer(arguments: list[Tensor]) -> tuple[Tensor, ...]:
        cast = [a.to(dtype) if a.is_floating_point() else a for a in arguments]
        found = module(*cast)
        return tuple(t.float() for t in (found if isinstance(found, tuple) else (found,)))

    return answer


def facts(way: str) -> dict[str, str]:
    """What runs, in the words of the other backends' facts."""
    return {
        "device": "CPU",
        "precision": "bfloat16" if "bfloat16" in way else "float32",
        "compiled": "inductor, freezing" if way.startswith("compile") else "no",
        "threads": str(torch.get_num_threads()),
        "version": torch.__version__,
    }


def main() -> None:
    """Load and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("models", type=Path)
    parser.add_argument("example", type=Path, help=".npz of queries; the first is compiled for")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    stream = pipe()
    serve(
        lambda: loaded(given.name, way=given.way, models=given.models, example=given.example),
        stream,
    )


if __name__ == "__main__":
    main()

"""Olive's search over its ONNX Runtime passes, in Olive's own environment.

``python benchmarks/peer_olive.py MODEL CALIBRATION.npz FOLDER [--limit 120]`` prints one JSON
line ``{"file", "options", "seconds", "trials"}``: the model that Olive found, the session
options it should run with, how long the search took and how many points it evaluated.

Olive is given what Fitwright is given: the ONNX file, the samples, the wish (relative L2 distance
to the original at most 0.05, then the least latency) and time. It searches with its TPE sampler,
jointly over three steps, each with the search space that Olive itself declares: graph
optimisation for transformers or Olive's peephole optimiser, quantisation (static or dynamic,
every calibration method and format) or none, and session parameters. Of the points it measured,
the one with the least latency by its own figures among those within the distance is taken; the
original file is what is left when none is better.

Needs ``olive-ai``, ``onnxruntime``, ``optuna`` and ``requests`` (which Olive 0.13 imports and
does not declare). Sources: Olive, "How to: configure a search" and the pass pages of its
documentation.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"  # read when Olive is imported
HERE = Path(__file__).parent
LARGEST_L2 = 0.05
L2, LATENCY = "agreement-relative_l2", "latency-avg"


def configuration(
    model: Path, calibration: Path, folder: Path, *, batch: int, kind: str, limit_s: int
) -> dict[str, Any]:
    """The workflow that a user would write for this wish."""
    script = str(HERE / "peer_olive_data.py")
    return {
        "input_model": {"type": "ONNXModel", "model_path": str(model)},
        "systems": {"here": here()},
        "data_configs": [
            {
                "name": "samples",
                "user_script": script,
                "load_dataset_config": {
                    "type": "benchmark_samples",
                    "params": {"calibration": str(calibration), "batch": batch},
                },
                "dataloader_config": {"type": "no_auto_batch_dataloader"},
            }
        ],
        "evaluators": {
            "wish": {"metrics": metrics(script, model, calibration, batch=batch)},
        },
        "passes": passes(kind),
        "engine": {
            "host": "here",
            "target": "here",
            "evaluator": "wish",
            "search_strategy": {
                "execution_order": "joint",
                "sampler": "tpe",
                "max_time": limit_s,
            },
            "cache_dir": str(folder / "cache"),
            "output_dir": str(folder / "found"),
        },
    }


def here() -> dict[str, Any]:
    """This machine's CPU."""
    accelerator = {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}
    return {"type": "LocalSystem", "accelerators": [accelerator]}


def metrics(script: str, model: Path, calibration: Path, *, batch: int) -> list[dict[str, Any]]:
    """Agreement as a goal, latency as what to lessen."""
    goal = {"type": "threshold", "value": LARGEST_L2}
    arguments = {"original": str(model), "calibration": str(calibration), "batch": batch}
    return [
        {
            "name": "latency",
            "type": "latency",
            "data_config": "samples",
            "sub_types": [{"name": "avg", "priority": 1, "higher_is_better": False}],
        },
        {
            "name": "agreement",
            "type": "custom",
            "sub_types": [
                {
                    "name": "relative_l2",
                    "priority": 2,
                    "higher_is_better": False,
                    "goal": goal,
                }
            ],
            "user_config": {
                "user_script": script,
                "evaluate_func": "relative_l2",
                "evaluate_func_kwargs": arguments,
            },
        },
    ]


def passes(kind: str) -> dict[str, list[dict[str, Any]]]:
    """Three steps; each alternative keeps the search space that its pass declares."""
    none = {"type": "OnnxPeepholeOptimizer"}
    steps: dict[str, list[dict[str, Any]]] = {}
    if kind != "plain":
        optimise = {"type": "OrtTransformersOptimization", "config": {"model_type": kind}}
        steps["optimise"] = [optimise, none]
    steps["quantise"] = [{"type": "OnnxQuantization", "config": {"data_config": "samples"}}, none]
    steps["tune"] = [
        {
            "type": "OrtSessionParamsTuning",
            "config": {
                "data_config": "samples",
                "opt_level_list": categorical([1, 2, 99]),
                "execution_mode_list": categorical([0, 1]),
                "intra_thread_num_list": categorical([None, 1, os.cpu_count()]),
            },
        }
    ]
    return steps


def categorical(values: list[Any]) -> dict[str, Any]:
    """How Olive writes a choice in a configuration."""
    return {
        "olive_parameter_type": "SearchParameter",
        "type": "Categorical",
        "support": values,
    }


def points(footprint: dict[str, Any]) -> Iterator[tuple[float, float, dict[str, Any]]]:
    """Latency (ms), distance and model of everything that Olive measured."""
    for node in footprint.values():
        found = (node.get("metrics") or {}).get("value") or {}
        if L2 in found and LATENCY in found:
            yield found[LATENCY]["value"], found[L2]["value"], node["model_config"]["config"]


def chosen(footprint: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The fastest model within the distance, and how many were measured."""
    measured = list(points(footprint))
    within = [point for point in measured if point[1] <= LARGEST_L2]
    if not within:
        raise SystemExit(f"Olive measured {len(measured)} models, none within {LARGEST_L2}")
    return min(within, key=lambda point: point[0])[2], len(measured)


def run(workflow: dict[str, Any]) -> None:
    """`olive.run`, around a defect: Olive 0.13 cannot write a metric of the user's own.

    Its `Metric` leaves two fields of those at None and then fails to serialise None; anything
    in their places is ignored everywhere else.
    """
    from olive.common.config_utils import ConfigBase
    from olive.package_config import OlivePackageConfig
    from olive.workflows.run.config import RunConfig
    from olive.workflows.run.run import run_engine

    packages = OlivePackageConfig.parse_file_or_obj(OlivePackageConfig.get_default_config_path())
    config = RunConfig.model_validate(workflow)
    for evaluator in (*config.evaluators.values(), config.engine.evaluator):
        for metric in evaluator.metrics:
            if metric.backend is None:
                object.__setattr__(metric, "backend", "custom")
            for part in metric.sub_types:
                if part.metric_config is None:
                    object.__setattr__(part, "metric_config", ConfigBase())
    run_engine(packages, config)


def main() -> None:
    """Search, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", default="plain", help="bert, gpt2, vit, ... or plain")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--limit", type=int, default=120, help="seconds for the search")
    given = parser.parse_args()
    answer = os.dup(1)
    os.dup2(2, 1)  # Olive talks on stdout
    start = time.monotonic()
    run(
        configuration(
            given.model.resolve(),
            given.calibration.resolve(),
            given.folder.resolve(),
            batch=given.batch,
            kind=given.kind,
            limit_s=given.limit,
        )
    )
    seconds = time.monotonic() - start
    footprint = json.loads((given.folder / "found" / "footprint.json").read_text())
    model, num = chosen(footprint)
    line = {
        "file": model["model_path"],
        "options": (model.get("inference_settings") or {}).get("session_options") or {},
        "seconds": round(seconds, 1),
        "trials": num,
    }
    os.write(answer, (json.dumps(line) + "\n").encode())


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()

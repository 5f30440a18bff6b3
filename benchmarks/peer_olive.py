"""Olive's search over its ONNX Runtime passes, in Olive's own environment.

``python benchmarks/peer_olive.py MODEL CALIBRATION.npz FOLDER [--limit 120]`` prints one JSON
line ``{"file", "options", "seconds", "trials"}``: the model that Olive found, the session
options it should run with, how long the search took and how many points it evaluated.

Olive is given what Fitwright is given: the ONNX file, the samples and time. It searches for the
least latency with its TPE sampler in up to four workflows: session parameters alone, behind its
optimiser for transformers, behind quantisation, and behind both, each with the search space that
Olive itself declares. Four, because in Olive 0.13 a step with alternatives takes the first when
the other has no parameters to search, so that "no quantisation" cannot be one of them. The method
of calibration is fixed to MinMax, ONNX Runtime's default: the others do not change the latency
and take most of a short search. A point that is unfinished when the time is up is given up.

Of the points it measured, the one with the least latency by its own figures among those within a
relative L2 distance of 0.05 to the original is taken. That distance is computed here, after the
search: Olive 0.13 loses the function of a metric of the user's own on its way to the evaluator.
One defect of it is mended at run time (`repair`), without which most points of a search fail.

Needs ``olive-ai``, ``onnxruntime``, ``optuna``, and beside them what Olive 0.13 does not declare:
``requests``, ``psutil``, and ``pydantic`` below 2.13 (its enumerations fail on newer ones).
Sources: the pages "Search" and "Passes" of Olive's documentation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"  # read when Olive is imported
HERE = Path(__file__).parent
LARGEST_L2 = 0.05
Pass = dict[str, Any]
LATENCY = "latency-avg"
GRACE_S = 5.0  # Olive looks at its clock between points only


def configuration(
    model: Path,
    calibration: Path,
    folder: Path,
    *,
    batch: int,
    passes: Mapping[str, Pass],
    limit_s: float,
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
        "evaluators": {"wish": {"metrics": [latency()]}},
        "passes": dict(passes),
        "engine": {
            "host": "here",
            "target": "here",
            "evaluator": "wish",
            "search_strategy": {
                "execution_order": "joint",
                "sampler": "tpe",
                "max_time": max(1, round(limit_s)),
            },
            "cache_dir": str(folder.parent / "cache"),
            "output_dir": str(folder),
        },
    }


def here() -> dict[str, Any]:
    """This machine's CPU."""
    accelerator = {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}
    return {"type": "LocalSystem", "accelerators": [accelerator]}


def latency() -> dict[str, Any]:
    """What to lessen."""
    return {
        "name": "latency",
        "type": "latency",
        "data_config": "samples",
        "sub_types": [{"name": "avg", "priority": 1, "higher_is_better": False}],
    }


def workflows(optimise: Pass | None) -> Iterator[tuple[float, dict[str, Pass]]]:
    """Share of the time and passes of each workflow; `optimise` is for transformers."""
    quantise: Pass = {
        "type": "OnnxQuantization",
        "config": {"data_config": "samples", "calibrate_method": "MinMax"},
    }
    if optimise is None:
        yield 0.3, {"tune": tune()}
        yield 0.7, {"quantise": quantise, "tune": tune()}
        return
    yield 0.1, {"tune": tune()}
    yield 0.2, {"optimise": optimise, "tune": tune()}
    yield 0.35, {"quantise": quantise, "tune": tune()}
    yield 0.35, {"optimise": optimise, "quantise": quantise, "tune": tune()}


def tune() -> Pass:
    """Session parameters that change the latency on a CPU."""
    return {
        "type": "OrtSessionParamsTuning",
        "config": {
            "data_config": "samples",
            "opt_level_list": categorical([1, 2, 99]),
            "execution_mode_list": categorical([0, 1]),
            "intra_thread_num_list": categorical([1, os.cpu_count()]),
        },
    }


def categorical(values: list[Any]) -> dict[str, Any]:
    """How Olive writes a choice in a configuration."""
    return {
        "olive_parameter_type": "SearchParameter",
        "type": "Categorical",
        "support": values,
    }


def points(footprint: Path) -> Iterator[tuple[float, dict[str, Any]]]:
    """Latency (ms) and model of everything that Olive measured and can load again."""
    nodes = json.loads(footprint.read_text()) if footprint.is_file() else {}
    for node in nodes.values():
        found = (node.get("metrics") or {}).get("value") or {}
        if LATENCY in found and node.get("model_config_data"):
            yield found[LATENCY]["value"], node["model_config_data"]["config"]


def chosen(
    measured: list[tuple[float, dict[str, Any]]], *, original: Path, calibration: Path, batch: int
) -> dict[str, Any]:
    """The fastest model within the distance; ends the process with a message when none is."""
    from peer_olive_data import Distances

    distances = Distances(original, calibration, batch=batch)
    for _, model in sorted(measured, key=lambda point: point[0]):
        if distances.relative_l2(Path(model["model_path"])) <= LARGEST_L2:
            return model
    raise SystemExit(f"Olive measured {len(measured)} points, none within {LARGEST_L2}")


def search(workflow: dict[str, Any], *, limit_s: float) -> None:
    """`olive.run`.

    When the time is up, whatever point is being made fails, and Olive notices the time. A
    workflow that fails as a whole is told on stderr and leaves no footprint.
    """
    import olive

    repair()

    def give_up(*_: object) -> None:
        raise TimeoutError("the time of the search is up")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit_s + GRACE_S)
    try:
        olive.run(workflow)
    except Exception:  # noqa: BLE001 - whatever Olive raises ends this workflow, not the others
        traceback.print_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def repair() -> None:
    """Let Olive 0.13 use what an earlier point of the search has made.

    It records such a model under a field's alias, which fails, and with it every point that
    shares a step with an earlier one.
    """
    from olive.engine.footprint import FootprintNode

    original = FootprintNode.update

    def update(node: Any, **changes: Any) -> None:
        if "model_config" in changes:
            changes["model_config_data"] = changes.pop("model_config")
        original(node, **changes)

    if original.__name__ == "update" and original.__module__ == FootprintNode.__module__:
        FootprintNode.update = update


def main() -> None:
    """Search, and say what was found."""
    given = parsed()
    answer = os.dup(1)
    os.dup2(2, 1)  # Olive talks on stdout
    model, calibration, folder = (
        path.resolve() for path in (given.model, given.calibration, given.folder)
    )
    seconds, measured = searched(
        model,
        calibration,
        folder,
        batch=given.batch,
        optimise=optimiser(given) if given.kind else None,
        limit_s=given.limit,
    )
    found = chosen(measured, original=model, calibration=calibration, batch=given.batch)
    line = {
        "file": str(moved(Path(found["model_path"]), folder)),
        "options": (found.get("inference_settings") or {}).get("session_options") or {},
        "seconds": round(seconds, 1),
        "trials": len(measured),
    }
    os.write(answer, (json.dumps(line) + "\n").encode())


def moved(file: Path, folder: Path) -> Path:
    """The model beside the notes, and Olive's cache of everything else removed."""
    kept = file
    if folder in file.parents:
        kept = Path(shutil.copytree(file.parent, folder / "model", dirs_exist_ok=True)) / file.name
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return kept


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", help="of a transformer, as ONNX Runtime's optimiser calls it")
    parser.add_argument("--heads", type=int, default=0)
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--limit", type=float, default=180, help="seconds for the search")
    return parser.parse_args()


def optimiser(given: argparse.Namespace) -> Pass:
    """ONNX Runtime's optimiser for transformers, told what it wants to know."""
    known = {"model_type": given.kind, "num_heads": given.heads, "hidden_size": given.width}
    return {"type": "OrtTransformersOptimization", "config": known}


def searched(
    model: Path,
    calibration: Path,
    folder: Path,
    *,
    batch: int,
    optimise: Pass | None,
    limit_s: float,
) -> tuple[float, list[tuple[float, dict[str, Any]]]]:
    """How long all workflows took, seconds, and everything that they measured.

    A pass that made nothing is not tried again in a later workflow; the last one that is left
    gets the time of those left out.
    """
    begin, measured = time.monotonic(), []
    failed: set[str] = set()
    left = list(workflows(optimise))
    for number, (share, passes) in enumerate(left):
        if failed & passes.keys():
            continue
        later = [p for _, p in left[number + 1 :] if not failed & p.keys()]
        rest_s = limit_s - (time.monotonic() - begin)
        part_s = share * limit_s if later else max(rest_s, share * limit_s)
        part = folder / f"found-{number}"
        workflow = configuration(
            model, calibration, part, batch=batch, passes=passes, limit_s=part_s
        )
        search(workflow, limit_s=part_s)
        made = list(points(part / "footprint.json"))
        measured += made
        failed |= set() if made else passes.keys() - {"tune"}
    return time.monotonic() - begin, measured


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()

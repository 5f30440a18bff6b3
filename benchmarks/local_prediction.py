"""Predicted against measured latency on this machine, after `fitwright calibrate`.

The eight models of `benchmarks/peers.py` with random weights, one query at a time, in float32,
bfloat16 (where the backend computes in it here) and static int8, on ONNX Runtime and OpenVINO.
The int8 forms come from Fitwright's own passes, with a few samples: ranges do not change how
long a kernel takes. The forms of a model are timed in turn, the models in several passes, and
the fastest tenth of a pass that had the fewest neighbours counts, as it does in calibration: what
the machine does when it is left alone.

Two errors are stated. *Calibrated*: by the probes of `fitwright calibrate` alone, so every
model is held out. *Refitted*: with the scale per backend and dtype that runs leave behind,
learned from the other seven models only.

Run by hand on a quiet machine, after ``python benchmarks/models.py``:

    python benchmarks/local_prediction.py [--only NAME] [--json] [--write-docs]

What was measured is kept in ``benchmarks/.work/local-prediction``, one file per model, and not
measured again unless ``--again``; so it goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from local_table import Row, summary_of, tables
from pages import write_block
from peer_inputs import INPUTS, model_path

from fitwright.backends.recipes import RECIPES
from fitwright.errors import FitwrightError
from fitwright.graph.summary import summarize
from fitwright.perf.fusion import Runtime as RuntimeName
from fitwright.perf.graph_time import GraphTime, graph_time, prepare
from fitwright.perf.local import local_sheet, local_table, refitted
from fitwright.ports import ChildLimits, Tools, TransformRequest, Worker
from fitwright.records.device import Device
from fitwright.records.estimate import NoData
from fitwright.records.plan import Settings
from fitwright.records.profile import Confronted, Profile
from fitwright.records.recipe import Int8Static
from fitwright.select.calibration.calibrate import (
    calibrate,
    fingerprint,
    keep_profile,
    stored_profile,
)
from fitwright.select.calibration.timing import QUANTILE
from fitwright.select.instructions import has_bfloat16
from fitwright.select.local import local_device
from fitwright.start import Silent, local_tools

HERE = Path(__file__).parent
WORK = HERE / ".work" / "local-prediction"
LIMITS = ChildLimits(wall_s=600.0, memory_bytes=16 << 30)
NUM_SAMPLES = 4  # for the ranges of int8, which change no time
NUM_QUERIES = 4
NUM_PASSES = 3  # over all models: neighbours come and go within seconds
NUM_ROUNDS = 4
BLOCK_S = 0.3
MIN_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Form:
    """A model as one backend runs it.

    Attributes:
        file: what is loaded and timed.
        graph: the ONNX file that the prediction reads.
        assumed: dtype that the prediction takes for products of floats in it.
    """

    runtime: RuntimeName
    dtype: str
    file: Path
    graph: Path
    assumed: str
    settings: Settings


def forms(name: str, model: Path, folder: Path, *, device: Device, tools: Tools) -> Iterator[Form]:
    """Every form of a model that this machine runs."""
    for runtime in ("onnxruntime", "openvino"):
        if runtime not in tools.runtimes:
            continue
        chooses = runtime == "openvino"
        plain = Settings(threads=device.num_cores, precision="float32" if chooses else None)
        common = {"runtime": runtime, "file": model, "graph": model}
        yield Form(**common, dtype="float32", assumed="float32", settings=plain)
        if chooses and has_bfloat16(device.instruction_sets):
            half = Settings(threads=device.num_cores, precision="bfloat16")
            yield Form(**common, dtype="bfloat16", assumed="bfloat16", settings=half)
        toolkit = "nncf" if chooses else "onnxruntime"
        file = quantised(name, model, folder / f"int8-{toolkit}", toolkit=toolkit, tools=tools)
        if file is not None:
            yield Form(
                runtime=runtime,
                dtype="int8",
                file=file,
                graph=model if chooses else file,
                assumed="int8" if chooses else "float32",
                settings=Settings(threads=device.num_cores),
            )


def quantised(name: str, model: Path, folder: Path, *, toolkit: Any, tools: Tools) -> Path | None:
    """The static int8 form by Fitwright's pass; None where the pass does not apply."""
    if done := [f for f in (folder / "model.onnx", folder / "model.xml") if f.is_file()]:
        return done[0]
    folder.mkdir(parents=True, exist_ok=True)
    recipe, samples = Int8Static(toolkit=toolkit), folder / "samples.npz"
    drawn = INPUTS[name](NUM_SAMPLES, np.random.default_rng(1))
    np.savez(samples, **{key: array[:, None] for key, array in drawn.items()})
    request = TransformRequest(
        recipe=recipe,
        model=model,
        summary=summarize(model, shapes={}, batch=1),
        calibration=samples,
        folder=folder,
    )
    try:
        made = tools.executor.call(RECIPES[Int8Static, toolkit], LIMITS, request)
    except FitwrightError as error:
        print(f"{name}: no int8 by {toolkit}: {error}", file=sys.stderr)
        return None
    return made.file if made.modified else None


def measured(name: str, chosen: Sequence[Form], *, tools: Tools) -> dict[str, float]:
    """Latency of each form, seconds; blocks in turn, the same quantile as in calibration."""
    drawn = INPUTS[name](NUM_QUERIES, np.random.default_rng(2))
    queries = {key: array[:, None] for key, array in drawn.items()}
    workers: list[Worker] = []
    times: list[list[float]] = [[] for _ in chosen]
    try:
        for form in chosen:
            runtime = tools.runtimes[form.runtime]
            workers.append(tools.executor.open(runtime, form.file, form.settings, limits=LIMITS))
            workers[-1].feed(queries)
            workers[-1].time_block(seconds=BLOCK_S, min_runs=MIN_RUNS)
        for _ in range(NUM_ROUNDS):
            for found, worker in zip(times, workers, strict=True):
                found += worker.time_block(seconds=BLOCK_S, min_runs=MIN_RUNS)
    finally:
        for worker in workers:
            worker.close()
    return {
        label(form): float(np.quantile(found, QUANTILE))
        for form, found in zip(chosen, times, strict=True)
    }


def label(form: Form) -> str:
    """``openvino bfloat16``."""
    return f"{form.runtime} {form.dtype}"


def rows(
    found: Mapping[str, Mapping[str, float]],
    chosen: Mapping[str, Sequence[Form]],
    *,
    device: Device,
    profile: Profile,
) -> list[Row]:
    """Every form that was measured; each model's scale comes from the other models."""
    plain = profile.model_copy(update={"confronted": ()})
    first = {
        (name, label(form)): predicted(form, device=device, profile=plain)
        for name, its in chosen.items()
        for form in its
    }
    confronted = [
        Confronted(
            model=name,
            runtime=form.runtime,
            dtype=form.dtype,
            predicted_s=guess.latency.value,
            measured_s=found[name][label(form)],
        )
        for name, its in chosen.items()
        for form in its
        if isinstance(guess := first[name, label(form)], GraphTime)
    ]
    made = []
    for name, its in chosen.items():
        others = refitted(plain, [c for c in confronted if c.model != name])
        made += [_row(name, f, found, first, device=device, profile=others) for f in its]
    return made


def _row(
    name: str,
    form: Form,
    found: Mapping[str, Mapping[str, float]],
    first: Mapping[tuple[str, str], GraphTime | NoData],
    *,
    device: Device,
    profile: Profile,
) -> Row:
    before = first[name, label(form)]
    after = predicted(form, device=device, profile=profile)
    truth = found[name][label(form)]
    common = {"model": name, "runtime": form.runtime, "dtype": form.dtype, "measured_s": truth}
    if isinstance(before, NoData) or isinstance(after, NoData):
        reason = before.reason if isinstance(before, NoData) else "no data after the refit"
        return Row(**common, predicted_s=math.nan, refitted_s=math.nan, inside=False, reason=reason)
    return Row(
        **common,
        predicted_s=before.latency.value,
        refitted_s=after.latency.value,
        inside=after.latency.low <= truth <= after.latency.high,
    )


_PREPARED: dict[tuple[Path, str], Any] = {}


def predicted(form: Form, *, device: Device, profile: Profile) -> GraphTime | NoData:
    """By the kernels of the graph that the backend gets."""
    key = form.graph, form.runtime
    if key not in _PREPARED:
        summary = summarize(form.graph, shapes={}, batch=1)
        _PREPARED[key] = prepare(summary, runtime=form.runtime)
    sheet, table = local_sheet(device, profile), local_table(profile)
    return graph_time(_PREPARED[key], sheet, table, dtype=form.assumed)


class Passes:
    """Passes over the models, kept on disk as they are made.

    Attributes:
        number: of passes made or found on disk.
        found: of each form the fastest so far, seconds, by model.
    """

    def __init__(self, chosen: Mapping[str, Sequence[Form]], *, tools: Tools, mark: str) -> None:
        self.number = 0
        self.found: dict[str, dict[str, float]] = {}
        self._chosen, self._tools, self._mark = chosen, tools, mark

    def forget(self) -> None:
        """What was measured before."""
        for name in self._chosen:
            (WORK / f"{name}.json").unlink(missing_ok=True)

    def next(self) -> None:
        """One more pass over every model that has not had so many."""
        self.number += 1
        for name, its in self._chosen.items():
            _say(f"{name}, {self.number} of {NUM_PASSES}")
            self.found[name] = pass_over(
                name,
                its,
                WORK / f"{name}.json",
                tools=self._tools,
                fingerprint=self._mark,
                wanted=self.number,
            )


def pass_over(
    name: str, chosen: Sequence[Form], file: Path, *, tools: Tools, fingerprint: str, wanted: int
) -> dict[str, float]:
    """One more pass over a model unless so many are kept; of each form the fastest so far."""
    kept = json.loads(file.read_text()) if file.is_file() else {}
    labels = [label(f) for f in chosen]
    fits = kept.get("fingerprint") == fingerprint and kept.get("labels") == labels
    passes = list(kept["passes"]) if fits else []
    if len(passes) < wanted:
        passes.append(measured(name, chosen, tools=tools))
    document = {"fingerprint": fingerprint, "labels": labels, "passes": passes}
    file.write_text(json.dumps(document, indent=2))
    return {form: min(p[form] for p in passes) for form in labels}


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(INPUTS), help="default: all")
    parser.add_argument("--models", type=Path, default=HERE / ".work" / "models")
    parser.add_argument("--again", action="store_true", help="measure the models again")
    parser.add_argument("--calibrate", action="store_true", help="calibrate again")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


def _chosen(
    asked: argparse.Namespace, *, device: Device, tools: Tools
) -> Iterator[tuple[str, list[Form]]]:
    """Every model that was built, with its forms, made where they are missing."""
    for name in asked.only or INPUTS:
        model, folder = model_path(name, asked.models, batch=1), WORK / name
        if not model.is_file():
            print(f"{model} is missing; build it with benchmarks/models.py", file=sys.stderr)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        yield name, list(forms(name, model, folder, device=device, tools=tools))


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Calibrate where that was not done, measure what is missing, predict, compare.

    Each round of passes of the calibration is followed by one over the models: a drift falls
    on both.
    """
    asked = parsed()
    tools = local_tools(Silent())
    runtimes = tuple(tools.runtimes.values())
    device = local_device(executor=tools.executor, runtimes=runtimes, cache=tools.cache)
    earlier = stored_profile(device, cache=tools.cache)
    profile = None if asked.calibrate else earlier
    chosen = dict(_chosen(asked, device=device, tools=tools))
    passes = Passes(chosen, tools=tools, mark=fingerprint(device))
    if asked.again:
        passes.forget()
    if profile is None:
        profile = calibrate(
            device,
            executor=tools.executor,
            runtimes=runtimes,
            say=_say,
            between=passes.next,
            earlier=earlier,
        )
        keep_profile(profile, cache=tools.cache)
    while passes.number < NUM_PASSES:
        passes.next()
    found = passes.found
    made = rows(found, chosen, device=device, profile=profile)
    if asked.json:
        each = [vars(r) | {"error": r.errors()[0], "error_refitted": r.errors()[1]} for r in made]
        print(json.dumps({"rows": each, "summary": summary_of(made)}, indent=2))
    else:
        print(tables(made, profile))
    if asked.write_docs:
        write_block("local-prediction", tables(made, profile))


if __name__ == "__main__":
    main()

"""The comparison of predicted and measured latency holds the model out that it judges."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from fitwright.perf.graph_time import GraphTime, graph_time, prepare
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.profile import Profile
from fitwright.testing.summaries import TABLE, matmul, sheet, summary

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def module(name: str) -> Any:
    """A script of the benchmarks folder, which is no package."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


module("peer_inputs")
module("pages")
module("local_table")
local_prediction = module("local_prediction")
NOTHING = Figure.unavailable("nobody knows")
PROFILE = Profile(
    fingerprint="f", machine="Made Up", software={}, peaks={}, bandwidth_bytes_per_s=1.0,
    rows=(), idle_power=NOTHING, loaded_power=NOTHING, cpu_share=1.0, seconds=1.0,
)  # fmt: skip


def form(name: str) -> Any:
    file = Path(name)
    return local_prediction.Form(
        runtime="openvino", dtype="float32", file=file, graph=file, assumed="float32",
        settings=Settings(),
    )  # fmt: skip


def always_the_same(form: Any, *, device: Any, profile: Profile) -> GraphTime:
    """One time for every model, times what the profile has learned."""
    prepared = prepare(summary([matmul()]), runtime="openvino")
    learned = [r for r in local_prediction.local_table(profile) if r.what == "model@openvino"]
    here = [r.model_copy(update={"scope": "made-up"}) for r in learned]
    found = graph_time(prepared, sheet(), (*TABLE, *here), dtype="float32")
    assert isinstance(found, GraphTime)
    return found


def test_the_scale_of_a_model_is_learned_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_prediction, "predicted", always_the_same)
    once = always_the_same(form("a"), device=None, profile=PROFILE).latency.value
    off = {"a": 2.0, "b": 2.0, "c": 2.0, "odd": 1.0}
    found = {name: {"openvino float32": factor * once} for name, factor in off.items()}
    chosen = {name: [form(name)] for name in off}
    device: Any = None
    compared = local_prediction.rows(found, chosen, device=device, profile=PROFILE)
    made = {r.model: r for r in compared}
    assert made["odd"].errors()[0] == pytest.approx(0.0)
    # three models of the other kind: drawn towards them by 3 / (3 + 2) in the logarithm
    assert made["odd"].errors()[1] == pytest.approx(2 ** (3 / 5) - 1)
    assert made["a"].errors()[0] == pytest.approx(-0.5)
    assert abs(made["a"].errors()[1]) < 0.5
    assert local_prediction.summary_of(list(made.values()))["all"]["rows"] == 4


def test_passes_are_kept_and_the_fastest_of_them_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = iter([3.0, 2.0, 4.0])
    monkeypatch.setattr(
        local_prediction, "measured", lambda *_, tools: {"openvino float32": next(taken)}
    )

    def passed(wanted: int, *, machine: str = "this") -> dict[str, float]:
        found: dict[str, float] = local_prediction.pass_over(
            "a", [form("a")], tmp_path / "a.json", tools=None, fingerprint=machine, wanted=wanted
        )
        return found

    assert passed(1) == {"openvino float32": 3.0}
    assert passed(1) == {"openvino float32": 3.0}  # kept, not measured again
    assert passed(2) == {"openvino float32": 2.0}
    assert passed(1, machine="another") == {"openvino float32": 4.0}

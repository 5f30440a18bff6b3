"""`fitwright select` as a user meets it: a choice over the catalogue, and what is wrong with it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SIZE = 256
BOARD = """
id: mine
name: My board
kind: cpu
vendor: Me
architecture: Cortex-A76
family: arm-cpu
sources: {{sheet: the data sheet}}
peaks:
  {peaks}
memory: [{memory}, A, sheet]
bandwidth: [{bandwidth}, A, sheet]
"""


def model(path: Path, *, axis: str | int = "batch", last: str = "Relu") -> None:
    """Two products and one more operator behind them; `axis` opens the input."""
    w = numpy_helper.from_array(np.ones((SIZE, SIZE), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["i"]),
        helper.make_node(last, ["i"], ["y"], domain="com.microsoft" if last == "Rfft" else ""),
    ]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [axis, SIZE]) for name in ("x", "y")
    ]
    graph = helper.make_graph(nodes, "g", [shapes[0]], [shapes[1]], [w])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def fitwright(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def contract(folder: Path, text: str) -> None:
    model(folder / "m.onnx")
    (folder / "c.yaml").write_text(f"model: m.onnx\n{text}\n")


def selection(folder: Path, text: str) -> dict[str, Any]:
    contract(folder, text)
    done = fitwright("select", "c.yaml", "--json", cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_table_fits_80_columns_and_names_reasons_and_rules(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [l4, {kind: npu}, xeon-8480]\nlimits: {latency_p99: 5 ms}")
    done = fitwright("select", "c.yaml", "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    for words in ("l4", "xeon-8480", "likely", "roofline:", "a GPU suits", "why the first"):
        assert words in done.stdout
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_an_accuracy_that_nothing_predicts_stands_in_table_page_and_json(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "d.npz", x=np.ones((8, SIZE), np.float32), labels=np.arange(8, dtype=np.int64)
    )
    contract(
        tmp_path,
        "devices: [hailo-8, l4]\nlimits: {latency_p99: 5 ms, accuracy: {drop: 0.01}}\n"
        "data: {source: d.npz, labels: labels, metric: accuracy}",
    )
    done = fitwright("select", "c.yaml", "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ *\d+ (\S+) +likely \S+ %(\*?) ", done.stdout, re.M)
    assert sorted(rows) == [("hailo-8", "*"), ("l4", "")]
    told = " ".join(done.stdout.split())
    assert "2 likely meet the contract (accuracy unmeasured for 1 of them)" in told
    assert "* accuracy unmeasured in int8" in told
    assert "likely meets; accuracy unmeasured" in (tmp_path / "page.html").read_text()
    found = json.loads(fitwright("select", "c.yaml", "--json", cwd=tmp_path).stdout)
    assert {p["device_id"]: p["unmeasured"] for p in found["prospects"]} == {
        "hailo-8": ["accuracy"],
        "l4": [],
    }


def test_one_device_is_told_in_full_even_if_the_contract_leaves_it_out(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [l4]")
    done = fitwright("select", "c.yaml", "--device", "t4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "t4" in done.stdout and "- also " in done.stdout
    assert "refused" not in done.stdout


def test_cost_owned_rented_and_carbon_are_figures_of_every_prospect(tmp_path: Path) -> None:
    found = selection(tmp_path, "devices: [l4]\nsite: {grid: 400 g/kWh}")
    figures = found["prospects"][0]["figures"]
    assert figures["cost_rented"]["value"] > 0
    assert figures["carbon"]["unit"] == "kg"
    assert figures["cost"]["value"] <= figures["cost_rented"]["value"]


def test_several_models_are_compared_in_one_call(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [l4, t4]")
    model(tmp_path / "n.onnx")
    (tmp_path / "d.yaml").write_text("model: n.onnx\ndevices: [l4]\n")
    done = fitwright("select", "c.yaml", "d.yaml", "--json", cwd=tmp_path)
    assert [len(s["prospects"]) for s in json.loads(done.stdout)["selections"]] == [2, 1]


def test_a_device_file_of_the_user_is_predicted_like_any_other(tmp_path: Path) -> None:
    board = BOARD.format(
        peaks="float32: [40 GFLOP/s, A, sheet]", memory="8 GB", bandwidth="20 GB/s"
    )
    (tmp_path / "mine.yaml").write_text(board)
    (found,) = selection(tmp_path, "devices: [mine.yaml]")["prospects"]
    assert found["device_id"] == "mine"
    assert found["figures"]["latency_p50"]["value"] > 0


def test_all_unknown_devices_are_named_with_suggestions(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [h100, l4, rtx4090, local]")
    done = fitwright("select", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "error[FW119]" in done.stderr
    for words in ("'h100'", "'h100-sxm'", "'rtx4090'", "rtx-4090"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("peaks", "memory", "bandwidth", "words"),
    [
        ("float32: [40 GB/s, A, sheet]", "8 GB", "20 GB/s", "peaks.float32: unknown unit 'GB/s'"),
        ("float32: [40, A, sheet]", "8 GB", "20 GB/s", "peaks.float32: '40' has no unit"),
        ("float32: [0 GFLOP/s, A, sheet]", "8 GB", "20 GB/s", "peaks.float32: must be above 0"),
        ("float32: [1 GFLOP/s, A, sheet]", "-8 GB", "20 GB/s", "memory: must be above 0"),
        ("{}", "8 GB", "20 GB/s", "peaks: are missing"),
    ],
)
def test_a_device_file_with_wrong_values_is_refused_with_path_and_rule(
    peaks: str, memory: str, bandwidth: str, words: str, tmp_path: Path
) -> None:
    text = BOARD.format(peaks=peaks, memory=memory, bandwidth=bandwidth)
    (tmp_path / "mine.yaml").write_text(text)
    contract(tmp_path, "devices: [mine.yaml]")
    done = fitwright("select", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr, done.stderr
    assert "error[FW122]" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("site: {life: 0 y}", "site.life: must be above 0"),
        ("site: {power_overhead: 0.5}", "site.power_overhead: must be at least 1"),
        ("site: {energy_price: -1 USD/kWh}", "site.energy_price: must be above 0"),
        ("site: {grid: 400}", "site.grid: 400 has no unit"),
        ("devices: [{kind: gpus}]", "must be 'cpu', 'gpu'"),
        ("devices: [{}]", "a filter needs kind, vendor or available"),
        ("devices: [5]", "expected local, a device id"),
        ("devices: []", "devices: must not be empty"),
    ],
)
def test_wrong_values_of_the_contract_are_refused_by_name(
    text: str, words: str, tmp_path: Path
) -> None:
    contract(tmp_path, text)
    done = fitwright("select", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr, done.stderr


def test_a_filter_that_lets_nothing_through_is_an_error(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [{vendor: Nvidea}]")
    done = fitwright("select", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'NVIDIA'?" in done.stderr


def test_a_graph_with_a_free_dimension_asks_for_its_size(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [l4]")
    path = tmp_path / "m.onnx"
    model(path, axis="batch")
    loaded = onnx.load(path)
    for value in (*loaded.graph.input, *loaded.graph.output):
        value.type.tensor_type.shape.dim.insert(
            1, onnx.TensorShapeProto.Dimension(dim_param="tokens")
        )
    onnx.save(loaded, path)
    done = fitwright("select", "c.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert "tokens" in done.stderr and "shapes" in done.stderr
    (tmp_path / "c.yaml").write_text("model: m.onnx\ndevices: [l4]\nshapes: {tokens: 16}\n")
    assert fitwright("select", "c.yaml", cwd=tmp_path).returncode == 0


def test_a_contract_no_device_can_meet_tells_what_would_have_to_give(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [l4, t4, xeon-8480]\nlimits: {latency_p99: 2 us}")
    done = fitwright("select", "c.yaml", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "what would have to give" in done.stdout
    assert "latency_p99: 2 µs -> " in done.stdout and "is met by" in done.stdout
    assert "latency_p99 blocks" in done.stdout.replace("\n  ", " ")


def test_an_operator_no_rule_covers_is_listed_and_widens_the_band(tmp_path: Path) -> None:
    def width(last: str) -> tuple[float, dict[str, Any]]:
        model(tmp_path / "m.onnx", last=last)
        (tmp_path / "c.yaml").write_text("model: m.onnx\ndevices: [l4]\n")
        done = fitwright("select", "c.yaml", "--json", cwd=tmp_path)
        found = json.loads(done.stdout)
        latency = found["prospects"][0]["way"]["latency_s"]
        return latency["high"] / latency["low"], found

    known, _ = width("Relu")
    odd, found = width("Rfft")
    assert odd > known
    assert any("com.microsoft.Rfft" in note for note in found["notes"])


def test_fit_without_this_machine_says_what_it_can_do_instead(tmp_path: Path) -> None:
    contract(tmp_path, "devices: [l4, {kind: npu}]")
    done = fitwright("fit", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "error[FW125]" in done.stderr
    told = " ".join(done.stderr.split())
    assert "measures only `local`" in told and "fitwright select" in told
    assert not (tmp_path / "runs").exists()


PAGE = Path(__file__).parents[2] / "docs" / "steps" / "select.md"
COMMANDS = [
    line.split()[1:]
    for line in re.findall(r"^fitwright select .*$", PAGE.read_text(), re.M)
    if "contract.yaml" in line
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_examples_of_the_guide_run(command: list[str], tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    model(tmp_path / "resnet50.onnx")
    (tmp_path / "contract.yaml").write_text(shown.replace("local, ", ""))
    (tmp_path / "boards").mkdir()
    board = BOARD.format(
        peaks="float32: [40 GFLOP/s, A, sheet]", memory="8 GB", bandwidth="20 GB/s"
    )
    (tmp_path / "boards" / "mine.yaml").write_text(board)
    done = fitwright(*command, cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout

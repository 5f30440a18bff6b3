"""Step 1 as a whole, on small real models and with an executor in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fitwright.analyze.analyze import Analyzed, analyze, summarize_safely
from fitwright.analyze.contract import contract_for_model, read_contract
from fitwright.analyze.reference import reference_outputs
from fitwright.backends import RUNTIMES
from fitwright.bench.agreement import is_trained_classifier
from fitwright.errors import ContractError, DataError, ModelRefused, TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Samples
from fitwright.records.contract import Contract, Data

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "contract.yaml"
LIMITS = ChildLimits(wall_s=60)


def saved(folder: Path, nodes: list[Any], inputs: list[Any], tables: list[Any] = ()) -> Path:  # type: ignore[assignment]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", inputs, [output], list(tables))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


@pytest.fixture
def scaled(tmp_path: Path) -> Path:
    """y = x + x for x of shape (batch, width)."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "width"])
    return saved(tmp_path, [helper.make_node("Add", ["x", "x"], ["y"])], [x])


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """Looks ids up in a table of 7 rows."""
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", 5])
    table = helper.make_tensor("table", TensorProto.FLOAT, [7, 3], np.zeros(21))
    nodes = [
        helper.make_node("Cast", ["ids"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "wide"], ["y"]),
    ]
    return saved(tmp_path, nodes, [ids], [table])


def run(contract: Contract, folder: Path, executor: Any, **options: Any) -> Analyzed:
    return analyze(
        contract,
        folder=folder,
        executor=executor,
        runtime=RUNTIMES["onnxruntime"],
        limits=LIMITS,
        classifier_check=is_trained_classifier,
        **options,
    )


def doubled(inputs: Any) -> dict[str, np.ndarray]:
    return {"y": 2 * inputs["x"]}


def test_free_sizes_are_bound_by_the_data(scaled: Path, in_process) -> None:
    np.savez(scaled.parent / "d.npz", x=np.ones((6, 3), np.float32))
    contract = Contract(model="m.onnx", data=Data(source="d.npz"))
    analyzed = run(contract, scaled.parent, in_process(doubled))
    assert analyzed.analysis.summary.bindings["width"] == 3
    assert analyzed.reference["y"].shape == (5, 1, 3)
    assert analyzed.metric == "agreement"


def test_the_contract_binds_before_the_data(scaled: Path, in_process) -> None:
    np.savez(scaled.parent / "d.npz", x=np.ones((6, 3), np.float32))
    contract = Contract(model="m.onnx", data=Data(source="d.npz"), shapes={"width": 4})
    with pytest.raises(DataError, match=r"needs shape \(samples, 4\); it has \(6, 3\)"):
        run(contract, scaled.parent, in_process(doubled))


def test_the_batch_of_the_traffic_is_the_batch_of_a_query(scaled: Path, in_process) -> None:
    contract = Contract(model="m.onnx", shapes={"width": 4}, traffic={"batch": 3})
    analyzed = run(contract, scaled.parent, in_process(doubled))
    assert analyzed.split.evaluation.inputs["x"].shape == (32, 3, 4)


def test_a_free_size_that_nothing_binds_is_refused(scaled: Path, in_process) -> None:
    with pytest.raises(ModelRefused, match="width"):
        summarize_safely(scaled, Contract(model="m"), executor=in_process(), limits=LIMITS)


def test_a_size_for_an_unknown_symbol_is_refused_with_a_guess(scaled: Path, in_process) -> None:
    contract = Contract(model="m", shapes={"widht": 4})
    with pytest.raises(ContractError, match="did you mean 'width'") as caught:
        summarize_safely(scaled, contract, executor=in_process(), limits=LIMITS)
    assert caught.value.code == "FW116"


def test_indices_of_a_table_stay_within_it(embedded: Path, in_process) -> None:
    executor = in_process(lambda inputs: {"y": np.zeros((32, 1, 5, 3), np.float32)})
    ids = run(Contract(model="m.onnx"), embedded.parent, executor).split.evaluation.inputs["ids"]
    assert ids.dtype == np.int32
    assert set(np.unique(ids)) == set(range(7))


@pytest.mark.parametrize("cause", ["timeout", "memory", "crashed"])
def test_a_model_that_cannot_be_read_in_its_limits_is_refused(scaled, in_process, cause) -> None:
    executor = in_process()
    executor.fails = TrialFailed("no answer within 60 s", cause=cause)
    with pytest.raises(ModelRefused, match="was stopped: no answer within 60 s") as caught:
        summarize_safely(scaled, Contract(model="m"), executor=executor, limits=LIMITS)
    assert caught.value.code == "FW245"


def test_an_original_that_crashes_is_refused_with_the_cause(scaled: Path, in_process) -> None:
    contract = Contract(model="m.onnx", shapes={"width": 2})
    with pytest.raises(ModelRefused, match=r"does not run on onnxruntime: .*SIGSEGV") as caught:
        run(contract, scaled.parent, in_process(None))
    assert caught.value.code == "FW246"


def test_an_original_that_gives_nan_is_refused_by_output_and_query(scaled, in_process) -> None:
    executor = in_process(lambda _: {"y": np.array([[1.0], [np.nan]])})
    samples = Samples(inputs={"x": np.ones((2, 1))}, labels=None, origin="synthetic")
    with pytest.raises(ModelRefused, match=r"output 'y' .* not finite on query 1 of 2") as caught:
        reference_outputs(
            scaled,
            samples,
            executor=executor,
            runtime=RUNTIMES["onnxruntime"],
            limits=LIMITS,
            budget_s=60.0,
        )
    assert caught.value.code == "FW247"
    assert "inputs:" in caught.value.remedy
    assert executor.num_open == 0


def test_the_reference_is_float32_on_a_backend_without_levels_too(scaled, in_process) -> None:
    executor = in_process(doubled)
    executor.refuses = {"basic"}
    run(Contract(model="m.onnx", shapes={"width": 2}), scaled.parent, executor)
    assert executor.opened_with.precision == "float32"
    assert executor.num_open == 0


def test_the_users_metric_is_loaded_from_beside_the_contract(scaled: Path, in_process) -> None:
    (scaled.parent / "user_metric_of_test.py").write_text("def score(outputs, labels): return 1.0")
    np.savez(scaled.parent / "d.npz", x=np.ones((6, 3), np.float32), labels=np.zeros(6))
    data = Data(source="d.npz", metric="user_metric_of_test:score")
    analyzed = run(Contract(model="m.onnx", data=data), scaled.parent, in_process(doubled))
    assert callable(analyzed.metric)
    assert analyzed.analysis.need.metric == "user_metric_of_test:score"


@pytest.mark.slow
def test_the_digits_example_is_a_trained_classifier() -> None:
    contract, folder = read_contract(DIGITS)
    analyzed = run(contract, folder, LocalExecutor())
    need = analyzed.analysis.need
    assert need.check_top1
    assert need.metric == "accuracy"
    answers = analyzed.reference["logits"][:, 0].argmax(axis=1)
    # the training script of the example reports 97 to 99 % on images kept apart
    assert (answers == analyzed.split.evaluation.labels).mean() > 0.95


@pytest.mark.slow
def test_a_bare_model_is_analyzed_with_synthetic_queries(scaled: Path) -> None:
    contract = contract_for_model(scaled).model_copy(update={"shapes": {"width": 4}})
    analyzed = run(contract, scaled.parent, LocalExecutor())
    x = analyzed.split.evaluation.inputs["x"]
    assert (analyzed.reference["y"] == x + x).all()  # exact: one float32 addition
    assert analyzed.analysis.need.data_origin == "synthetic"


@pytest.mark.slow
def test_nested_functions_that_explode_are_refused_and_do_not_hang(tmp_path: Path) -> None:
    functions = [
        helper.make_function(
            "local", f"f{i}", ["a"], ["c"],
            [helper.make_node(f"f{i + 1}", ["a"], ["b"], domain="local"),
             helper.make_node(f"f{i + 1}", ["b"], ["c"], domain="local")],
            [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)],
        )
        for i in range(24)
    ] + [helper.make_function("local", "f24", ["a"], ["c"],
                              [helper.make_node("Neg", ["a"], ["c"])],
                              [helper.make_opsetid("", 17)])]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(
        [helper.make_node("f0", ["x"], ["y"], domain="local")], "g", [x],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)
    onnx.save(model, tmp_path / "bomb.onnx")
    with pytest.raises(ModelRefused):
        summarize_safely(
            tmp_path / "bomb.onnx",
            Contract(model="bomb.onnx"),
            executor=LocalExecutor(),
            limits=ChildLimits(wall_s=20),
        )

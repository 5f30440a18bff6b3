"""How long `fitwright select` takes to choose: the whole catalogue, a graph of 1,000 operators.

Run by hand: ``python benchmarks/select_speed.py``. Reading the model and starting Python are not
counted; loading the catalogue and the fitted constants is.
"""

from __future__ import annotations

import time

from fitwright.records.model import ModelSummary, OperatorCost, Product, TensorInfo

NUM_OPERATORS = 1000
SIZE = 768
TARGET_S = 2.0


def summary_of(num_operators: int) -> ModelSummary:
    """Products, activations and normalisations in turn, each reading the one before."""
    operators = tuple(_operator(i) for i in range(num_operators))
    tensor = TensorInfo(name="x", dtype="float32", shape=(128, SIZE))
    weights = sum(o.weight_bytes for o in operators)
    return ModelSummary(
        path="made-up.onnx", sha256="0", size_bytes=weights, ir_version=10, opsets={"": 20},
        inputs=(tensor,), outputs=(tensor,), bindings={}, operators=operators, uncounted=(),
        lifetimes=(), num_parameters=weights // 4, weight_bytes=weights,
        peak_activation_bytes=3 * 128 * SIZE * 4, is_batchable=False,
    )  # fmt: skip


def _operator(index: int) -> OperatorCost:
    kind = ("MatMul", "Gelu", "LayerNormalization")[index % 3]
    activations = 128 * SIZE * 4
    weights = SIZE * SIZE * 4 if kind == "MatMul" else 0
    return OperatorCost(
        name=f"{kind}_{index}", kind=kind, flops=2 * 128 * SIZE * SIZE if weights else 0,
        elementwise_flops=0 if weights else 8 * 128 * SIZE, bytes_read=activations + weights,
        bytes_written=activations, weight_bytes=weights, num_parameters=weights // 4,
        activation_bytes=activations, dtype="float32",
        product=Product(m=128, n=SIZE, k=SIZE) if weights else None,
        reads_from=(index - 1,) if index else (), reads_inputs=index == 0,
    )  # fmt: skip


def main() -> None:
    """Print how long each part takes."""
    from fitwright.catalog.evidence import all_evidence
    from fitwright.catalog.sheets import load_sheets
    from fitwright.records.contract import Contract
    from fitwright.records.need import Limit
    from fitwright.select.demand import demand_of
    from fitwright.select.predict import Forecaster
    from fitwright.select.survey import survey

    summary = summary_of(NUM_OPERATORS)
    limit = Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=0.02, unit="s")
    demand = demand_of(Contract(model="made-up.onnx"), (limit,), is_batchable=False)
    started, worked = time.perf_counter(), time.process_time()
    sheets = tuple(load_sheets().values())
    loaded = time.perf_counter()
    table = all_evidence()
    evidence = time.perf_counter()
    found = survey(demand, summary, sheets, forecast=Forecaster(summary=summary, table=table))
    ended, done = time.perf_counter(), time.process_time()
    print(f"{len(sheets)} devices, {NUM_OPERATORS} operators, {len(table)} fitted rows")
    print(f"catalogue {loaded - started:.2f} s, constants {evidence - loaded:.2f} s")
    print(f"choice    {ended - evidence:.2f} s")
    print(f"in all    {ended - started:.2f} s (target: under {TARGET_S:g} s)")
    print(f"          {done - worked:.2f} s of one core")
    print(f"{len(found.prospects)} predicted, {len(found.refused)} refused")


if __name__ == "__main__":
    main()

"""From the contract's words to limits on figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fitwright.analyze.need import need_of
from fitwright.analyze.samples import Split
from fitwright.errors import ContractError
from fitwright.ports import Samples
from fitwright.records.contract import Contract
from fitwright.records.need import Need

WITH_DATA = {"data": {"source": "d.npz"}}
LABELS = np.zeros(4, np.int64)


@pytest.fixture
def need(summary_of):
    def build(
        contract: dict[str, Any],
        *,
        labels: np.ndarray | None = None,
        check_top1: bool = False,
        shape: tuple[int, ...] = (1, 10),
        outputs: tuple[str, str] = ("float32", "float32"),
        first: int = 1,
    ) -> Need:
        y, z = outputs
        summary = summary_of(
            ("x", "float32", (first, 4)), outputs=(("y", y, shape), ("z", z, shape))
        )
        part = Samples(
            inputs={"x": np.zeros((4, 1, 4), np.float32)}, labels=labels, origin="contract"
        )
        split = Split(calibration=part, evaluation=part, notes=("a note",))
        read = Contract.model_validate({"model": "m", **contract}, context={"user": True})
        return need_of(read, summary, split, check_top1=check_top1)

    return build


def rows(need: Need) -> list[tuple[str, str, str, float]]:
    return [(limit.name, limit.figure, limit.sense, limit.bound) for limit in need.limits]


def test_each_limit_becomes_a_row_in_base_units(need) -> None:
    limits = {
        "latency_p99": "10 ms",
        "throughput": "200/s",
        "peak_memory": "1 MiB",
        "energy": "50 mJ",
        "cost": "1 USD/1k",
        "size": "1 KiB",
        "accuracy": {"drop": 0.01},
    }
    assert rows(need({**WITH_DATA, "limits": limits, "price": "1 USD/h"}, labels=LABELS)) == [
        ("latency_p99", "latency_p99", "at_most", pytest.approx(0.01)),  # one decimal product
        ("throughput", "throughput", "at_least", 200),
        ("peak_memory", "peak_memory", "at_most", 2**20),
        ("energy", "energy", "at_most", pytest.approx(0.05)),
        ("cost", "cost", "at_most", pytest.approx(1e-3)),
        ("size", "size", "at_most", 1024),
        ("accuracy", "accuracy_drop", "at_most", 0.01),
    ]


def test_every_row_names_the_unit_of_its_figure(need) -> None:
    limits = {"latency_p50": "1 s", "energy": "1 J", "size": "1 B", "cost": "1 USD"}
    units = {limit.name: limit.unit for limit in need({"limits": limits}).limits}
    assert units == {"latency_p50": "s", "energy": "J", "size": "bytes", "cost": "usd",
                     "agreement": ""}  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "sense"), [("accuracy", "at_least"), ("f1", "at_least"), ("mse", "at_most")]
)
def test_a_floor_is_a_ceiling_where_less_is_better(need, metric: str, sense: str) -> None:
    contract = {
        "data": {"source": "d.npz", "metric": metric},
        "limits": {"accuracy": {"floor": 0.9}},
    }
    assert rows(need(contract, labels=LABELS)) == [("accuracy", "accuracy", sense, 0.9)]


def test_without_an_accuracy_limit_agreement_is_the_floor_and_is_said(need) -> None:
    found = need({"agreement": {"relative_l2": 0.02, "top1": 0.9}}, check_top1=True)
    assert rows(found) == [
        ("agreement", "relative_l2", "at_most", 0.02),
        ("top1_agreement", "top1_agreement", "at_least", 0.9),
    ]
    assert any("<= 0.02 and top-1 agreement >= 0.9" in note for note in found.notes)


def test_top1_is_no_limit_for_an_untrained_model(need) -> None:
    assert [limit.name for limit in need({}, check_top1=False).limits] == ["agreement"]


def test_outputs_that_are_whole_numbers_are_equal_and_not_close(need) -> None:
    found = need({"agreement": {"top1": 0.9}}, outputs=("int64", "bool"))
    assert rows(found) == [("equal_outputs", "equal_share", "at_least", 0.9)]
    assert any("equal elements of integer outputs >= 0.9" in note for note in found.notes)
    mixed = need({}, outputs=("float32", "int64"))
    assert [limit.name for limit in mixed.limits] == ["agreement", "equal_outputs"]


def test_a_batch_that_the_model_cannot_take_is_refused(need) -> None:
    with pytest.raises(ContractError, match="room for 4") as told:
        need({"traffic": {"batch": 8}}, first=4)
    assert told.value.code == "FW118"
    assert need({"traffic": {"batch": 4}}, first=4).traffic.batch == 4


def test_a_model_of_fixed_batch_counts_queries_and_says_so(need) -> None:
    told = [n for n in need({}, first=4).notes if "batch: 4" in n]
    assert len(told) == 1
    assert not any("batch" in n for n in need({}, first=1).notes)


def test_an_accuracy_limit_replaces_agreement(need) -> None:
    contract = {**WITH_DATA, "limits": {"accuracy": {"drop": 0}}}
    assert [r[0] for r in rows(need(contract, labels=LABELS, check_top1=True))] == ["accuracy"]


@pytest.mark.parametrize(
    ("contract", "objective", "percentile"),
    [
        ({}, "latency_p50", 50),
        ({"limits": {"latency_p95": "1 s", "latency_p50": "1 s"}}, "latency_p95", 95),
        ({"limits": {"throughput": "5/s"}}, "throughput", 50),
        ({"limits": {"throughput": "5/s", "latency_p99": "1 s"}}, "latency_p99", 99),
        ({"traffic": {"scenario": "offline"}}, "throughput", 50),
        ({"traffic": {"scenario": "offline"}, "limits": {"latency_p99": "1 s"}}, "throughput", 99),
        (
            {"traffic": {"scenario": "server", "rate": "5/s"}, "limits": {"throughput": "5/s"}},
            "latency_p50",
            50,
        ),
    ],
)
def test_the_objective_follows_the_contract(need, contract, objective, percentile) -> None:
    found = need(contract)
    assert (found.objective, found.percentile) == (objective, percentile)


@pytest.mark.parametrize(
    ("labels", "shape", "metric"),
    [
        (LABELS, (1, 10), "accuracy"),
        (np.zeros((4, 3), np.float32), (1, 3), "mse"),
        (None, (1, 10), "agreement"),
    ],
)
def test_the_metric_follows_the_labels(need, labels, shape, metric) -> None:
    assert need(WITH_DATA, labels=labels, shape=shape).metric == metric


def test_without_a_limit_worth_meeting_the_loop_looks_for_the_best(need) -> None:
    found = need({})
    assert found.budget.stop == "exhausted"
    assert any("looks for the best" in note for note in found.notes)
    assert need({"limits": {"size": "1 B"}}).budget.stop == "met"


def test_a_cost_limit_without_a_price_is_said_to_be_open(need) -> None:
    found = need({"limits": {"cost": "1 USD/1M"}})
    assert any("add 'price:" in note for note in found.notes)


@pytest.mark.parametrize(
    ("contract", "labels", "shape", "code", "expected"),
    [
        ({**WITH_DATA, "limits": {"accuracy": {"drop": 0}}}, None, (1, 2), "FW115",
         "limits.accuracy needs labels, and the data has no array 'labels'"),
        ({"data": {"source": "d", "metric": "f1"}}, None, (1, 2), "FW115", "data.metric 'f1'"),
        ({"data": {"source": "d", "metric": "acuracy"}}, LABELS, (1, 2), "FW117",
         "did you mean 'accuracy'"),
        ({"data": {"source": "d", "metric": "a:b:c"}}, LABELS, (1, 2), "FW117", "unknown metric"),
        ({"data": {"source": "d", "output": "zz"}}, LABELS, (1, 2), "FW116", "no output 'zz'"),
        (WITH_DATA, LABELS, (1, 8, 8), "FW117", "what 'accuracy' means is open"),
    ],
)  # fmt: skip
def test_what_the_model_or_the_data_cannot_give_is_refused(
    need, contract, labels, shape, code, expected
) -> None:
    with pytest.raises(ContractError) as caught:
        need(contract, labels=labels, shape=shape)
    assert caught.value.code == code
    assert expected in caught.value.rule

"""LoadGen's callbacks, its trace, and what happens without it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from fitwright.errors import BackendMissing, TrialFailed
from fitwright.executors import loadgen
from fitwright.ports import LoadGenLoad, Tensors

QUERIES = [{"x": np.array(i)} for i in range(5)]
ATTEMPTS = 4
TRACE = """{"traceEvents":[
{"name":"IssueQuery","ph":"X","pid":1,"tid":2,"ts":305.243,"dur":81.491,"args":{}},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":1,"ts":100.0,"args":{"sample_seq":1,\
"query_seq":0,"sample_idx":6,"issue_start_ns":0,"complete_ns":5000000}},
{"name":"Sample","cat":"default","ph":"e", "pid":1,"id":1,"ts":5100.0},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":0,"ts":100.0,"args":{"sample_seq":0,\
"query_seq":0,"sample_idx":3,"issue_start_ns":0,"complete_ns":6000000}},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":2,"ts":6200.0,"args":{"sample_seq":2,\
"query_seq":1,"sample_idx":3,"issue_start_ns":0,"complete_ns":4000000}},
{"name":"LastTrace"}
]}"""


class Served:
    """A model that takes a while and counts."""

    def __init__(self, service_s: float = 2e-3) -> None:
        self.num, self.service_s = 0, service_s

    def __call__(self, _: Tensors) -> None:
        self.num += 1
        time.sleep(self.service_s)


def load(scenario: str, **stated: float) -> LoadGenLoad:
    return LoadGenLoad(scenario=scenario, seconds=0.1, **stated)  # type: ignore[arg-type]


def test_samples_of_a_trace_carry_query_begin_and_latency() -> None:
    found = list(loadgen.sent(TRACE))
    assert [(s.query, s.begin_s, s.latency_s) for s in found] == [
        (0, pytest.approx(1e-4), 5e-3),
        (0, pytest.approx(1e-4), 6e-3),
        (1, pytest.approx(6.2e-3), 4e-3),
    ]


def test_a_burst_is_as_slow_as_its_slowest_sample() -> None:
    found = list(loadgen.sent(TRACE))
    latencies_s, elapsed_s = loadgen.summed_up(found, scenario="multi_stream")
    assert latencies_s == [6e-3, 4e-3]
    assert elapsed_s == pytest.approx(10.1e-3)
    assert loadgen.summed_up(found, scenario="server")[0] == [5e-3, 6e-3, 4e-3]


def test_a_trace_without_samples_fails_the_trial() -> None:
    with pytest.raises(TrialFailed):
        loadgen.summed_up([], scenario="server")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(BackendMissing) as caught:
        loadgen.block(Served(), QUERIES, load=load("offline"))
    assert caught.value.code == "FW302"
    assert "fitwright[loadgen]" in caught.value.remedy


def test_a_missing_package_is_noticed_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loadgen.util, "find_spec", lambda _: None)
    with pytest.raises(BackendMissing, match="mlcommons-loadgen"):
        loadgen.check_loadgen()


@pytest.mark.parametrize("scenario", ["single_stream", "multi_stream", "server", "offline"])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_every_scenario_lasts_as_long_as_asked_and_leaves_no_file(
    scenario: str, concurrency: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("mlperf_loadgen")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asked = load(scenario, concurrency=concurrency, streams=2, rate_per_s=100.0)
    # the queries are drawn in advance for 0.1 s by a probe, or by a Poisson process of 100/s:
    # fewer where the machine stood still during the probe, though not time after time
    for _ in range(ATTEMPTS):
        served = Served()
        latencies_s, elapsed_s = loadgen.block(served, QUERIES, load=asked)
        if elapsed_s > 0.04:
            break
    assert elapsed_s > 0.04
    assert min(latencies_s) >= served.service_s
    streams = 2 if scenario == "multi_stream" else 1
    assert streams * len(latencies_s) < served.num  # the probe ran some more
    assert list(tmp_path.iterdir()) == []

"""Reading contracts: what is right passes, what is wrong is said at once and in full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitwright.analyze.contract import contract_for_model, read_contract, resolved
from fitwright.errors import ContractError
from fitwright.records.contract import Contract

FULL = """
model: model.onnx            # a comment
data: {source: data.npz, metric: accuracy}
traffic: {scenario: server, rate: 200/s}
limits:
  latency_p99: 10 ms
  throughput: 200/s
  peak_memory: 512 MiB
  energy: 50 mJ
  accuracy: {drop: 0.01}
  cost: 0.40 USD/1M
  size: 20 MiB
devices: [local]
price: 0.36 USD/h
budget: {time: 10 min}
"""


@pytest.fixture
def read(tmp_path: Path):
    def from_text(text: str | bytes, name: str = "contract.yaml") -> Contract:
        file = tmp_path / name
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_contract(file)[0]

    return from_text


def refusal(read, text: str | bytes, **kwargs) -> ContractError:
    with pytest.raises(ContractError) as caught:
        read(text, **kwargs)
    return caught.value


def test_a_full_contract_is_read_in_base_units(read) -> None:
    contract = read(FULL)
    assert contract.limits.latency_p99 == pytest.approx(0.010)  # one decimal product
    assert contract.limits.peak_memory == 512 * 2**20
    assert contract.limits.cost == pytest.approx(0.4e-6)
    assert contract.price_usd_per_s == pytest.approx(0.36 / 3600)
    assert contract.traffic.rate_per_s == 200
    assert contract.budget.time_s == 600


def test_a_contract_survives_its_own_json(read) -> None:
    contract = read(FULL)
    assert Contract.model_validate_json(contract.to_json()) == contract


def test_relative_paths_start_from_the_folder_of_the_contract(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("model: sub/m.onnx")
    contract, folder = read_contract(tmp_path / "c.yaml")
    assert resolved(contract.model, folder) == tmp_path / "sub" / "m.onnx"
    assert resolved("/elsewhere/m.onnx", folder) == Path("/elsewhere/m.onnx")


def test_a_home_folder_of_nobody_is_a_name_like_any_other(tmp_path: Path) -> None:
    assert resolved("~no-such-user/m.onnx", tmp_path) == tmp_path / "~no-such-user/m.onnx"


@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_given_as_the_model_is_left_to_the_reader_to_refuse(folder: str) -> None:
    assert resolved(contract_for_model(Path(folder)).model, Path(folder).parent).is_dir()


def test_a_bare_model_means_the_fastest_that_agrees(tmp_path: Path) -> None:
    contract = contract_for_model(tmp_path / "m.onnx")
    assert contract.model == "m.onnx"
    assert contract.budget.stop == "exhausted"


def test_every_mistake_is_named_at_once(read) -> None:
    error = refusal(
        read,
        "limts: {}\nlimits: {latency_p99: 10, size: 3 foo, accuray: {drop: 1}}\n"
        "traffic: {scenario: sever, batch: 0}\ninputs: {x: {lo: 1}}\nbudget: 5\n",
    )
    assert error.code == "FW113"
    for line in (
        "has 9 problems",
        "model: is missing",
        "limts: unknown key - did you mean 'limits'?",
        "limits.latency_p99: 10 has no unit; write it as '10 ms'",
        "limits.size: unknown unit 'foo'",
        "limits.accuray: unknown key - did you mean 'accuracy'?",
        "traffic.scenario: must be 'single_stream', 'multi_stream', 'server' or 'offline'",
        "traffic.batch: must be at least 1 (0)",
        "inputs.x.lo: unknown key - did you mean 'low'?",
        "budget: expected 'key: value' lines beneath it (5)",
    ):
        assert line in error.rule


def test_a_suggestion_uses_the_words_users_write(read) -> None:
    error = refusal(read, "model: m\ntraffic: {scenario: server, rat: 5/s}\nprise: 1 USD/h")
    assert "did you mean 'rate'?" in error.rule
    assert "did you mean 'price'?" in error.rule


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("limits: {latency_p99: -3 ms}", "must be above 0"),
        ("limits: {latency_p99: 0 ms}", "must be above 0"),
        ("limits: {accuracy: {drop: 2}}", "must be at most 1 (2)"),
        ("limits: {accuracy: {drop: 0.1, floor: 0.9}}", "give exactly one of"),
        ("limits: {accuracy: {floor: .nan}}", "finite"),
        ("limits: {size: 1e999 MiB}", "not finite"),
        ("data: {source: d.npz, calibration_share: 1}", "must be below 1 (1)"),
        ("inputs: {x: {low: 2, high: 1}}", "low must be below high"),
        ("inputs: {x: {low: 0, high: .inf}}", "low must be below high and both finite"),
        ("traffic: {scenario: server}", "needs an arrival rate"),
        ("traffic: {rate: 5/s}", "belongs to scenario 'server' only"),
        ("traffic: {streams: 4}", "belongs to scenario 'multi_stream' only"),
        ("traffic: {batch: true}", "traffic.batch: "),
        ("traffic: {batch: 1.5}", "expected a whole number (1.5)"),
        ("shapes: {seq: 0}", "must be at least 1 (0)"),
        ("devices: []", "must not be empty"),
        ("devices: local", "expected a list"),
        ("model: ''", "model"),
    ],
)
def test_an_impossible_value_is_refused_with_its_rule(read, line: str, expected: str) -> None:
    model = "" if line.startswith("model") else "model: m\n"
    error = refusal(read, model + line)
    assert error.code == "FW113"
    assert expected in error.rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "traffic: {scenario: server, rate: 5/s}\nlimits: {throughput: 9/s}",
            "asks for 9/s while only 5/s arrive",
        ),
        ("limits: {accuracy: {drop: 0.01}}", "needs labels"),
        (
            "data: {source: d.npz, metric: f1}\nlimits: {accuracy: {floor: 1.5}}",
            "f1 lies in [0, 1] (1.5)",
        ),
        (
            "data: {source: d.npz, metric: mse}\nlimits: {accuracy: {floor: -1}}",
            "mse lies in [0, inf] (-1)",
        ),
    ],
)
def test_a_contradiction_is_refused(read, text: str, expected: str) -> None:
    error = refusal(read, f"model: m\n{text}")
    assert error.code == "FW114"
    assert expected in error.rule


def test_a_rate_of_whole_batches_carries_its_samples(read) -> None:
    text = "model: m\ntraffic: {scenario: server, rate: 5/s, batch: 4}\nlimits: {throughput: 20/s}"
    assert read(text).limits.throughput == 20


def test_a_limit_below_another_percentile_is_no_contradiction(read) -> None:
    contract = read("model: m\nlimits: {latency_p50: 9 ms, latency_p99: 5 ms}")
    assert contract.limits.latency_p50 == pytest.approx(0.009)


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        (b"", "FW111", "holds nothing"),
        (b"model.onnx", "FW111", "holds a str"),
        (b"- a\n- b", "FW111", "holds a list"),
        (b"<!DOCTYPE html><html>", "FW111", "HTML"),
        (b"\x08\x07\x12\x00\x00", "FW111", "looks like a model"),
        ("model: é".encode("latin-1"), "FW111", "not UTF-8"),
        (b"model: m\nmodel: n", "FW112", "line 2, column 1: the key 'model' appears twice"),
        (b"model: m\nlimits: {size: 1 B, size: 2 B}", "FW112", "appears twice"),
        (b"a: &x [1]\nb: *x", "FW112", "anchors"),
        (b"1: x", "FW112", "a key must be text"),
        (b"? [a]\n: x", "FW112", "a key must be text"),
        (b"model: [", "FW112", "line 1"),
        (b"model: m\n\tx: 1", "FW112", "line 2"),
        (b"a: b: c", "FW112", "line 1"),
        (b"model: !!python/object/apply:os.system ['true']", "FW112", "constructor"),
        (b"model: !!int x", "FW112", "invalid literal"),
        (b"--- \nmodel: a\n---\nmodel: b", "FW112", "another document"),
        (b"model: m\x07", "FW112", "special characters"),
        (b"[" * 5000, "FW112", "nested deeper"),
        (b"a: " + b"[" * 500_000, "FW112", "nested deeper"),
        (b"a: [" + b"1," * 50_000 + b"]", "FW112", "more than 20000 entries"),
        (b"#" * 1_000_001, "FW111", "at most 1000000"),
    ],
)
def test_a_file_that_is_no_contract_is_refused(read, text: bytes, code: str, expected: str) -> None:
    error = refusal(read, text)
    assert error.code == code
    assert expected in error.rule
    assert error.remedy


def test_a_model_given_by_mistake_is_recognised_by_its_name(read) -> None:
    assert "looks like a model" in refusal(read, b"plain text", name="m.onnx").rule


def test_dates_octals_and_words_stay_what_users_wrote(read) -> None:
    contract = read("model: 2020-13-45\nshapes: {no: 010}")
    assert contract.model == "2020-13-45"
    assert contract.shapes == {"no": 10}


def test_a_byte_order_mark_is_no_obstacle(read) -> None:
    assert read(b"\xef\xbb\xbfmodel: m").model == "m"


def test_a_missing_file_a_folder_and_a_pipe_are_told_apart(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, expected in (("none.yaml", "No such file"), (".", "a folder"), ("pipe", "regular")):
        with pytest.raises(ContractError, match=expected) as caught:
            read_contract(tmp_path / name)
        assert caught.value.code == "FW110"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").touch(mode=0o000)
    with pytest.raises(ContractError, match="Permission denied"):
        read_contract(tmp_path / "c.yaml")


yaml_like = st.recursive(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(["10 ms", "200/s", "~", "{", "[", "- ", "*a", "&a 1", "!!set x", "|", "'"]),
        st.integers().map(str),
        st.floats().map(str),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(["model", "limits", "latency_p99", "traffic", "data", "<<", "x"]),
            inner,
            max_size=4,
        ).map(lambda m: "{" + ", ".join(f"{k}: {v}" for k, v in m.items()) + "}"),
    ),
    max_leaves=8,
)
lines = st.dictionaries(
    st.one_of(st.sampled_from([*Contract.model_fields, "rate", "price"]), st.text(max_size=8)),
    yaml_like,
    max_size=6,
).map(lambda m: "\n".join(f"{k}: {v}" for k, v in m.items()))


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.one_of(st.binary(max_size=200), lines.map(lambda t: t.encode(errors="ignore"))))
def test_no_content_gives_anything_but_a_contract_or_a_clear_refusal(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    try:
        contract, _ = read_contract(file)
    except ContractError as error:
        assert error.rule
        assert error.remedy
    else:
        assert contract.model

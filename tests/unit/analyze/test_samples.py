"""Data made to fit the model, or refused with what was expected; split once for all."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwright.analyze.samples import Split, load_samples
from fitwright.errors import ContractError, DataError
from fitwright.records.contract import Contract, Data, InputRange

IMAGE = ("image", "float32", (1, 4))
RANDOM = np.random.default_rng(0)


@pytest.fixture
def load(tmp_path: Path, summary_of):
    """Save arrays, load them for a model with these inputs."""

    def run(arrays: dict[str, Any], *inputs: Any, seed: int = 0, **data: Any) -> Split:
        np.savez(tmp_path / "data.npz", **arrays)
        contract = Contract(model="m", data=Data(source="data.npz", **data))
        return load_samples(contract, tmp_path, summary_of(*(inputs or (IMAGE,))), seed=seed)

    return run


def rows(num: int, *shape: int) -> np.ndarray:
    """Row i is filled with i, so that samples can be told apart."""
    return np.broadcast_to(np.arange(num).reshape(-1, *[1] * len(shape)), (num, *shape)).astype(
        np.float32
    )


def identities(split: Split, name: str = "image") -> tuple[list[int], list[int]]:
    parts = (split.calibration, split.evaluation)
    return tuple(sorted(int(q.flat[0]) for q in p.inputs[name]) for p in parts)  # type: ignore[return-value]


def test_samples_become_queries_of_the_bound_shape(load) -> None:
    split = load({"image": rows(10, 4), "labels": np.arange(10)})
    assert split.calibration.inputs["image"].shape == (2, 1, 4)
    assert split.evaluation.inputs["image"].shape == (8, 1, 4)
    assert split.evaluation.origin == "contract"


def test_whole_queries_are_taken_as_they_are(load) -> None:
    split = load({"x": rows(6, 3, 4), "labels": np.arange(18) % 10}, ("x", "float32", (3, 4)))
    assert split.evaluation.inputs["x"].shape == (5, 3, 4)
    assert split.evaluation.labels is not None
    assert split.evaluation.labels.shape == (15,)


@settings(deadline=None)  # the machine may be busy
@given(
    num=st.integers(2, 60),
    share=st.floats(0.01, 0.99),
    batch=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_the_parts_are_disjoint_and_neither_is_empty(summary_of, num, share, batch, seed) -> None:
    samples = num * batch
    arrays = {"image": rows(samples, 4), "labels": np.arange(samples) % 3}
    contract = Contract(model="m", data=Data(source="data.npz", calibration_share=share))
    summary = summary_of(("image", "float32", (batch, 4)))
    split = load_samples(contract, Path(), summary, seed=seed, arrays=arrays)
    parts = [
        p.inputs["image"][..., 0].ravel().tolist() for p in (split.calibration, split.evaluation)
    ]
    assert len(parts[0]) + len(parts[1]) == samples
    assert not set(parts[0]) & set(parts[1])
    assert all(parts)


def test_labels_stay_with_their_samples(load) -> None:
    labels = RANDOM.integers(0, 10, 50)
    split = load({"image": rows(50, 4), "labels": labels})
    for part in (split.calibration, split.evaluation):
        ids = part.inputs["image"][:, 0, 0].astype(int)
        assert part.labels is not None
        assert part.labels.tolist() == labels[ids].tolist()


def test_classes_keep_their_share_in_both_parts(load) -> None:
    labels = np.repeat([0, 1], [80, 20])
    split = load({"image": rows(100, 4), "labels": labels})
    assert split.calibration.labels is not None
    # 20 of 100 samples, evenly spaced over the sorted labels: 16 and 4 exactly
    assert np.bincount(split.calibration.labels).tolist() == [16, 4]


def test_the_same_seed_gives_the_same_split_and_another_seed_another(load) -> None:
    arrays = {"image": rows(40, 4)}
    first, again, other = (identities(load(arrays, seed=s)) for s in (1, 1, 2))
    assert first == again != other


def test_what_does_not_fill_a_query_is_left_out_and_said(load) -> None:
    split = load({"x": rows(11, 4)}, ("x", "float32", (4, 4)))
    assert split.calibration.num_queries + split.evaluation.num_queries == 2
    assert "3 of 11 samples left over from queries of 4" in split.notes


def test_a_lone_array_serves_a_lone_input_and_that_is_said(load) -> None:
    split = load({"arr_0": rows(4, 4), "labels": np.zeros(4, int)})
    assert "array 'arr_0' of data.npz is taken for the input 'image'" in split.notes


def test_an_array_nobody_needs_is_named(load) -> None:
    assert (
        "not used: array 'extra' of data.npz"
        in load({"image": rows(4, 4), "extra": rows(4, 1)}).notes
    )


def test_one_sample_per_row_and_one_query_per_row_mix(load) -> None:
    split = load(
        {"x": rows(6, 4), "scale": rows(3)}, ("x", "float32", (2, 4)), ("scale", "float32", ())
    )
    assert split.evaluation.inputs["x"].shape == (2, 2, 4)
    assert split.evaluation.inputs["scale"].shape == (2,)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("int32", np.int64([1, 2])), ("float32", np.float64([1, 2])), ("float16", np.float32([1, 2])),
     ("int64", np.uint8([1, 2])), ("bool", np.int64([0, 1])), ("float32", np.array([1, 2], ">f4"))],
)  # fmt: skip
def test_types_are_converted_when_no_value_changes(load, dtype: str, values: np.ndarray) -> None:
    split = load({"x": values}, ("x", dtype, (1,)))
    both = [*split.calibration.inputs["x"].ravel(), *split.evaluation.inputs["x"].ravel()]
    assert sorted(both) == sorted(values.tolist())
    assert split.evaluation.inputs["x"].dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("arrays", "inputs", "options", "code", "expected"),
    [
        ({"img": rows(4, 4), "b": rows(4, 4)}, (), {}, "FW143", "no array 'image'"),
        ({"image": rows(4, 4)}, (), {"labels": "y"}, "FW143", "no array 'y' (the labels)"),
        ({"image": rows(4, 5)}, (), {}, "FW144", "needs shape (samples, 4); it has (4, 5)"),
        ({"image": np.float32(3)}, (), {}, "FW144", "it has ()"),
        ({"image": rows(4, 4).astype("uint8")}, (), {}, "FW145", "takes float32; its array is ui"),
        ({"image": np.full((4, 4), "a")}, (), {}, "FW145", "its array is <U1"),
        ({"image": np.full((4, 4), 1e300)}, (), {}, "FW145", "too large"),
        ({"x": np.full((4, 1), 2**40)}, (("x", "int32", (1, 1)),), {}, "FW145", "values from"),
        ({"x": np.full((4, 1), 2)}, (("x", "bool", (1, 1)),), {}, "FW145", "takes bool"),
        ({"x": np.full((4, 1), 0.5)}, (("x", "int64", (1, 1)),), {}, "FW145", "takes int64"),
        ({"x": rows(4, 1)}, (("x", "string", (1, 1)),), {}, "FW145", "takes string"),
        ({"image": np.full((4, 4), np.nan)}, (), {}, "FW146", "nan at index (0, 0) (16 value(s)"),
        ({"image": np.full((4, 4), np.inf)}, (), {}, "FW146", "inf at index"),
        ({"image": rows(4, 4), "labels": np.arange(3)}, (), {}, "FW140", "3 labels for 4 samples"),
        ({"image": rows(4, 4), "labels": np.int64(3)}, (), {}, "FW140", "0 labels for 4 samples"),
        ({"image": rows(4, 4), "labels": np.full(4, 10)}, (), {}, "FW140", "classes 0 to 9"),
        ({"image": rows(4, 4), "labels": np.full(4, -1)}, (), {}, "FW140", "from -1 to -1"),
        ({"image": rows(4, 4), "labels": np.full(4, "a")}, (), {}, "FW145", "must be numbers"),
        ({"image": rows(4, 4), "labels": np.full(4, np.nan)}, (), {}, "FW146", "'labels' holds"),
        ({"image": rows(1, 4)}, (), {}, "FW149", "at least 2 are needed"),
        ({"image": rows(0, 4)}, (), {}, "FW149", "0 sample(s)"),
        ({"image": rows(3, 4)}, (("image", "float32", (2, 4)),), {}, "FW149", "1 querie(s) of 2"),
        (
            {"a": rows(4, 4), "b": rows(5, 4)},
            (("a", "float32", (1, 4)), ("b", "float32", (1, 4))),
            {},
            "FW144",
            "differ in length (a: 4, b: 5)",
        ),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_is_refused(load, arrays, inputs, options, code, expected) -> None:
    with pytest.raises(DataError) as caught:
        load(arrays, *inputs, **options)
    assert caught.value.code == code
    assert expected in caught.value.rule
    assert caught.value.remedy


def test_labels_in_a_column_count_as_one_per_sample(load) -> None:
    split = load({"image": rows(4, 4), "labels": np.zeros((4, 1), int)})
    assert split.evaluation.labels is not None
    assert split.evaluation.labels.shape == (3,)


def test_labels_of_a_regression_may_have_any_value(load) -> None:
    split = load({"image": rows(4, 4), "labels": np.full((4, 3), 99)}, metric="mse")
    assert split.evaluation.labels is not None
    assert split.evaluation.labels.shape == (3, 3)


# --- files ------------------------------------------------------------------------------


def npz_bytes(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content.getvalue()


def npy_bytes(shape: tuple[int, ...], descr: str = "<f4", body: bytes = b"") -> bytes:
    content = io.BytesIO()
    header = {"shape": shape, "fortran_order": False, "descr": descr}
    np.lib.format.write_array_header_1_0(content, header)
    return content.getvalue() + body


def whole(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "FW131"),
        (b"<html>", "FW131"),
        (whole(np.zeros(3)), "FW131"),
        (npz_bytes(), "FW131"),
        (npz_bytes(image=b""), "FW131"),
        (npz_bytes(image=b"\x93NUMPY\x01\x00"), "FW131"),
        (npz_bytes(image=npy_bytes((2, 4), body=b"short")), "FW131"),
        (npz_bytes(image=npy_bytes((10**9, 10**9, 10**9))), "FW131"),
        (npz_bytes(image=npy_bytes((-1, 4))), "FW131"),
        (npz_bytes(image=whole(rows(4, 4)))[:-30], "FW131"),
        (npz_bytes(image=whole(np.array([{}, []], dtype=object))), "FW132"),
        (npz_bytes(image=whole(rows(4, 4)), other=whole(np.array([print]))), "FW132"),
    ],
)
def test_a_file_that_is_no_sound_npz_is_refused(
    tmp_path: Path, summary_of, content: bytes, code: str
) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    contract = Contract(model="m", data=Data(source="data.npz"))
    with pytest.raises(DataError) as caught:
        load_samples(contract, tmp_path, summary_of(IMAGE))
    assert caught.value.code == code


def test_a_flipped_byte_is_noticed(tmp_path: Path, summary_of) -> None:
    content = bytearray(npz_bytes(image=whole(RANDOM.normal(size=(400, 4)).astype("float32"))))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "data.npz").write_bytes(content)
    contract = Contract(model="m", data=Data(source="data.npz"))
    with pytest.raises(DataError) as caught:
        load_samples(contract, tmp_path, summary_of(IMAGE))
    assert caught.value.code == "FW131"


def test_a_zip_bomb_is_refused_by_what_it_declares(tmp_path: Path, summary_of, monkeypatch) -> None:
    np.savez_compressed(tmp_path / "data.npz", image=np.zeros((100_000, 4), np.float32))
    monkeypatch.setattr("fitwright.analyze.arrays.os.sysconf", lambda _: 1000)  # 1 MB of memory
    contract = Contract(model="m", data=Data(source="data.npz"))
    with pytest.raises(DataError, match=r"declares 1.53 MiB") as caught:
        load_samples(contract, tmp_path, summary_of(IMAGE))
    assert caught.value.code == "FW141"


@pytest.mark.parametrize("source", ["none.npz", ".", "no/such/folder.npz"])
def test_a_missing_source_is_refused(tmp_path: Path, summary_of, source: str) -> None:
    contract = Contract(model="m", data=Data(source=source))
    with pytest.raises(DataError) as caught:
        load_samples(contract, tmp_path, summary_of(IMAGE))
    assert caught.value.code == "FW130"


# --- the user's functions -----------------------------------------------------------------


@pytest.fixture
def from_function(tmp_path: Path, summary_of, request, monkeypatch):
    def run(body: str, function: str = "load") -> Split:
        module = f"user_{abs(hash((request.node.name, body)))}"
        (tmp_path / f"{module}.py").write_text(body)
        contract = Contract(model="m", data=Data(source=f"{module}:{function}"))
        return load_samples(contract, tmp_path, summary_of(IMAGE))

    return run


def test_a_function_beside_the_contract_gives_the_data(from_function, capsys) -> None:
    split = from_function(
        "import numpy as np\n"
        "def load():\n    print('loading')\n    return {'image': np.ones((5, 4), 'float32')}\n"
    )
    assert split.evaluation.num_queries == 4
    assert capsys.readouterr().out == ""  # stdout belongs to the answer


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        ("def load(): raise ValueError('no\\nluck')", "FW142", "raised ValueError: no luck"),
        ("def load(): raise SystemExit(3)", "FW142", "raised SystemExit: 3"),
        ("def load(x): pass", "FW142", "raised TypeError"),
        ("import no_such_module_here", "FW142", "raised ModuleNotFoundError"),
        ("def load(: pass", "FW142", "raised SyntaxError"),
        ("load = 3", "FW142", "has no function 'load'"),
        ("def load(): return 3", "FW142", "returned int"),
        ("def load(): return {}", "FW142", "must return a mapping"),
        ("def load(): return {'image': [[1], [1, 2]]}", "FW132", "not an array"),
        ("def load(): return {'image': [object()]}", "FW132", "Python objects"),
    ],
)
def test_a_function_that_fails_is_told_in_one_line(from_function, body, code, expected) -> None:
    with pytest.raises(DataError) as caught:
        from_function(body)
    assert caught.value.code == code
    assert expected in caught.value.rule
    assert "\n" not in caught.value.rule


# --- synthetic ----------------------------------------------------------------------------


def synthetic(summary: Any, *, bounds: dict[str, int] | None = None, **contract: Any) -> Split:
    return load_samples(
        Contract(model="m", **contract), Path(), summary, index_bounds=bounds, seed=0
    )


def test_without_data_queries_are_drawn_and_their_ranges_said(summary_of) -> None:
    split = synthetic(summary_of(IMAGE))
    assert split.evaluation.origin == "synthetic"
    assert (split.calibration.num_queries, split.evaluation.num_queries) == (16, 32)
    assert split.evaluation.labels is None
    assert "image: normal(0, 1)" in split.notes[0]


def test_stated_ranges_are_kept(summary_of) -> None:
    ranges = {"image": InputRange(low=-2, high=-1), "ids": InputRange(low=3, high=5)}
    split = synthetic(summary_of(IMAGE, ("ids", "int64", (1, 50))), inputs=ranges)
    image, ids = (split.evaluation.inputs[n] for n in ("image", "ids"))
    assert image.min() >= -2
    assert image.max() <= -1
    assert set(np.unique(ids)) == {3, 4, 5}
    assert "image: uniform in [-2, -1)" in split.notes[0]


def test_transformer_inputs_get_values_they_can_take(summary_of) -> None:
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    summary = summary_of(*((name, "int64", (1, 16)) for name in names))
    split = synthetic(summary, bounds={"input_ids": 7})
    ids, mask, kinds, places = (split.evaluation.inputs[n] for n in names)
    assert set(np.unique(ids)) == set(range(7))
    assert (mask == 1).all()
    assert (kinds == 0).all()
    assert places[0, 0].tolist() == list(range(16))


def test_integers_without_a_known_table_stay_at_0_and_1(summary_of) -> None:
    split = synthetic(summary_of(("x", "int32", (1, 16))))
    assert set(np.unique(split.evaluation.inputs["x"])) == {0, 1}


def test_huge_inputs_get_fewer_queries(summary_of) -> None:
    split = synthetic(summary_of(("x", "bool", (1, 2**23))))
    total = split.calibration.num_queries + split.evaluation.num_queries
    assert total == 4  # 64 MiB each, counted at 8 bytes an element, in 256 MiB
    assert split.calibration.num_queries >= 1


def test_synthetic_values_repeat_with_the_seed(summary_of) -> None:
    first, again = (synthetic(summary_of(IMAGE)).evaluation.inputs["image"] for _ in range(2))
    assert (first == again).all()


def test_a_range_for_an_unknown_input_is_refused_with_a_guess(summary_of) -> None:
    with pytest.raises(ContractError, match="did you mean 'image'") as caught:
        synthetic(summary_of(IMAGE), inputs={"imege": InputRange()})
    assert caught.value.code == "FW116"


def test_an_integer_range_without_an_integer_is_refused(summary_of) -> None:
    with pytest.raises(ContractError, match="no int64 lies between"):
        synthetic(summary_of(("x", "int64", (1,))), inputs={"x": InputRange(low=0.2, high=0.8)})


def test_text_inputs_cannot_be_drawn(summary_of) -> None:
    with pytest.raises(DataError, match="takes string"):
        synthetic(summary_of(("x", "string", (1,))))

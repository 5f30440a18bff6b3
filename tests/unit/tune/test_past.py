"""Earlier runs on this machine order what comes first; they decide nothing."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.records.agenda import Agenda, Body
from fitwright.records.contract import Traffic
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, OperatorCost
from fitwright.records.past import Hint, ModelPrint, PastRun, PastTrial
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, Bf16, FixShapes, Int8Static, Int8Weights, Variant
from fitwright.records.trial import Candidate, Comparison, Failure, Trial
from fitwright.tune.past import (
    MOST_RUNS,
    OTHER_MODEL,
    expected_speed,
    history,
    keep,
    machine_print,
    model_print,
    ordered,
    recall,
    remember,
    similarity,
)
from needs import SIZE, need

VERSIONS = {"a": "1.0", "b": "2.0"}


def device(name: str = "cpu", **changed: object) -> Device:
    unknown = Figure.unavailable("not probed")
    values: dict[str, object] = {
        "id": "local", "kind": "cpu", "name": name, "architecture": "x86_64",
        "instruction_sets": ("avx2",), "num_cores": 2, "num_threads": 2, "caches": (),
        "memory_bytes": 1 << 30, "peaks": {}, "bandwidth": unknown, "idle_power": unknown,
        "loaded_power": unknown, "software": {}, "backends": ("a", "b"),
    }  # fmt: skip
    return Device.model_validate(values | changed)


def summary(
    sha256: str = "aa", *, sizes: dict[str, int] | None = None, **work: int
) -> ModelSummary:
    operators = tuple(
        OperatorCost(
            name=kind, kind=kind, flops=flops, elementwise_flops=0, bytes_read=0, bytes_written=0,
            weight_bytes=0, num_parameters=0, activation_bytes=0,
        )
        for kind, flops in (work or {"Conv": 1000}).items()
    )  # fmt: skip
    return ModelSummary(
        path="secret/place/model.onnx", sha256=sha256, size_bytes=1, ir_version=10, opsets={},
        inputs=(), outputs=(), bindings=sizes or {}, operators=operators, uncounted=(),
        lifetimes=(), num_parameters=7, weight_bytes=0, peak_activation_bytes=0,
    )  # fmt: skip


def past_trial(
    speed: float | None, *chain: str, backend: str = "a", version: str = "1.0", threads: int = 1
) -> PastTrial:
    return PastTrial(
        chain=chain,
        backend=backend,
        version=version,
        settings=Settings(threads=threads),
        speed=Figure.measured(speed) if speed else None,
        outcome="rejected" if speed else "failed",
    )


def past_run(
    *trials: PastTrial,
    model: ModelSummary | None = None,
    machine: Device | None = None,
    id_: str = "0" * 8,
) -> PastRun:
    return PastRun(
        id=id_,
        machine=machine_print(machine or device()),
        model=model_print(model or summary()),
        traffic=Traffic(),
        trials=trials,
    )


def recalled(*past: PastRun, model: ModelSummary | None = None) -> tuple[Hint, ...]:
    return recall(past, model or summary(), device(), VERSIONS, traffic=Traffic())


# --- similarity -----------------------------------------------------------------------

MIXES = st.dictionaries(
    st.sampled_from(["Conv", "MatMul", "Add"]), st.integers(1, 1000), min_size=1
)


@given(MIXES, MIXES, st.integers(1, 10**12), st.integers(1, 10**12))
def test_similarity_is_symmetric_and_only_the_same_model_reaches_one(
    one: dict[str, int], other: dict[str, int], flops_one: int, flops_other: int
) -> None:
    def printed(sha256: str, counts: dict[str, int], flops: int) -> ModelPrint:
        mix = {kind: n / sum(counts.values()) for kind, n in counts.items()}
        return ModelPrint(sha256=sha256, sizes={}, mix=mix, flops=flops, num_parameters=1)

    a, b = printed("a", one, flops_one), printed("b", other, flops_other)
    assert similarity(a, b) == similarity(b, a)
    assert 0 <= similarity(a, b) <= OTHER_MODEL
    assert similarity(a, a) == 1.0


def test_another_mix_of_operators_is_less_similar_than_the_same_mix() -> None:
    conv = model_print(summary("a", Conv=900, Add=100))
    like = model_print(summary("b", Conv=900, Add=100))
    half = model_print(summary("c", Conv=450, MatMul=450, Add=100))
    other = model_print(summary("d", MatMul=1000))
    assert similarity(conv, like) == pytest.approx(OTHER_MODEL)  # one sum of two shares
    assert similarity(conv, half) == pytest.approx(OTHER_MODEL * 0.55)
    assert similarity(conv, other) == 0.0


def test_a_model_eight_times_as_large_is_half_as_similar() -> None:
    small, large = model_print(summary("a", Conv=1000)), model_print(summary("b", Conv=8000))
    assert similarity(small, large) == pytest.approx(OTHER_MODEL / 2)


def test_the_same_file_at_other_sizes_is_another_model() -> None:
    short = model_print(summary(sizes={"sequence": 16}))
    assert similarity(short, model_print(summary(sizes={"sequence": 512}))) == OTHER_MODEL


def test_a_model_without_counted_work_is_known_by_its_operators() -> None:
    assert model_print(summary(Gather=0, Conv=0)).mix == {"Conv": 0.5, "Gather": 0.5}


# --- recall ---------------------------------------------------------------------------


def test_what_was_fastest_for_the_same_model_comes_first() -> None:
    hints = recalled(past_run(past_trial(1.2, "bf16"), past_trial(3.0, "int8")))
    assert [h.chain for h in hints] == [("int8",), ("bf16",)]
    # one trial of weight 1 against a doubt of 0.5: two thirds of the logarithm
    assert hints[0].speed == pytest.approx(3.0 ** (2 / 3))


def test_several_runs_that_agree_are_trusted_more_than_one() -> None:
    once = recalled(past_run(past_trial(2.0, "int8")))
    often = recalled(*[past_run(past_trial(2.0, "int8"))] * 5)
    assert once[0].speed < often[0].speed < 2.0


def test_the_same_model_outweighs_similar_ones() -> None:
    same = past_run(past_trial(1.5, "bf16"), model=summary("aa"))
    like = past_run(past_trial(0.7, "bf16"), model=summary("bb"))
    assert recalled(same, like)[0].speed > 1.0


def test_another_machine_tells_nothing() -> None:
    assert recalled(past_run(past_trial(3.0, "int8"), machine=device("other"))) == ()
    fewer = device(num_cores=1)
    assert recalled(past_run(past_trial(3.0, "int8"), machine=fewer)) == ()


def test_a_model_of_other_operators_tells_nothing() -> None:
    assert recalled(past_run(past_trial(3.0, "int8"), model=summary("bb", LSTM=1000))) == ()


def test_another_version_of_the_backend_counts_half() -> None:
    (same,) = recalled(past_run(past_trial(2.0, "int8", version="1.0")))
    (older,) = recalled(past_run(past_trial(2.0, "int8", version="0.9")))
    assert older.weight == same.weight / 2
    assert 1.0 < older.speed < same.speed


def test_other_traffic_counts_half() -> None:
    run = past_run(past_trial(2.0, "int8"))
    batched = Traffic(scenario="offline", batch=8)
    (hint,) = recall([run], summary(), device(), VERSIONS, traffic=batched)
    assert hint.weight == 0.5


def test_a_failure_is_remembered_and_comes_last() -> None:
    hints = recalled(past_run(past_trial(None, "int4"), past_trial(1.0, "bf16")))
    assert [h.chain for h in hints] == [("bf16",), ("int4",)]
    assert hints[-1].num_failed == 1
    assert hints[-1].evidence == "1 earlier: failed 1 time"


def test_what_the_past_is_silent_about_is_expected_as_fast_as_the_baseline() -> None:
    hints = recalled(past_run(past_trial(2.0, "fix_shapes", "int8"), past_trial(0.5, "bf16")))
    assert expected_speed(hints, chain=("other",)) == 1.0
    assert expected_speed(hints, chain=("fix_shapes", "int8")) > 1.0
    assert expected_speed(hints, chain=("fix_shapes", "int8"), backend="b") == 1.0
    assert expected_speed(hints, chain=("bf16",), settings="threads=1") < 1.0
    assert expected_speed(hints, chain=("bf16",), settings="threads=2") == 1.0


def test_a_chain_inherits_from_the_same_recipes_on_another_rewriting() -> None:
    hints = recalled(past_run(past_trial(2.0, "fix_shapes", "fuse", "int8")))
    assert expected_speed(hints, chain=("int8",)) > 1.0
    assert expected_speed(hints, chain=("fuse",)) == 1.0


# --- remember -------------------------------------------------------------------------


def variant(id_: str, *recipes: FixShapes | Int8Static) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0" * 64,
        size_bytes=10, backends=("a",),
    )  # fmt: skip


def trial(number: int, v: Variant, *, ratio: float | None = None, failed: bool = False) -> Trial:
    candidate = Candidate(variant_id=v.id, title=v.title, backend="a", settings=Settings())
    against = Candidate(variant_id="orig", title="", backend="a", settings=Settings()).key
    return Trial(
        number=number,
        round=1 if number == 1 else 2,
        candidate=candidate,
        decision="failed" if failed else "accepted" if number == 1 else "rejected",
        reason="",
        figures={} if failed or (number > 1 and ratio is None) else {"size": Figure.measured(2000)},
        failure=Failure(cause="crashed", detail="signal 11") if failed else None,
        comparison=Comparison(
            incumbent=against, ratio=ratio, low=ratio / 2, high=ratio * 2, num_rounds=9,
            outcome="undecided",
        )
        if ratio
        else None,
    )  # fmt: skip


ORIGINAL, INT8 = variant("orig"), variant("int8", FixShapes(), Int8Static())


def remembered(*trials: Trial) -> PastRun | None:
    return remember(
        trials,
        run_id="ab" * 8,
        summary=summary(),
        device=device(),
        need=need(SIZE),
        adapted=Adapted(variants=(ORIGINAL, INT8)),
        versions=VERSIONS,
    )


def test_a_run_leaves_its_ratios_its_failures_and_the_limits_that_broke() -> None:
    found = remembered(trial(1, ORIGINAL), trial(2, INT8, ratio=2.0), trial(3, INT8, failed=True))
    assert found is not None
    fast, start, broken = found.trials  # the failure of the same candidate stays one
    assert fast.chain == ("fix_shapes", "int8_static/onnxruntime")
    assert fast.speed is not None and fast.speed.value == pytest.approx(2.0)
    # the race's own interval, 1 to 4, through a logarithm and back
    assert (fast.speed.low, fast.speed.high) == pytest.approx((1.0, 4.0))
    assert start.chain == () and start.breaks == ("size",) and start.version == "1.0"
    assert broken.outcome == "failed" and broken.speed is None


def test_a_candidate_that_was_never_tried_leaves_nothing() -> None:
    passed_over = trial(2, INT8)
    found = remembered(trial(1, ORIGINAL), passed_over)
    assert found is not None and len(found.trials) == 1


def test_a_run_without_a_baseline_leaves_nothing() -> None:
    assert remembered(trial(2, INT8, failed=True)) is None


def test_what_is_kept_names_no_file_and_no_place() -> None:
    found = remembered(trial(1, ORIGINAL))
    assert found is not None
    assert "secret" not in found.to_json() and "model.onnx" not in found.to_json()


# --- on disk --------------------------------------------------------------------------


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    run = past_run(past_trial(2.0, "int8"), past_trial(None, "int4"))
    assert keep(run, cache=tmp_path) == ""
    assert history(tmp_path) == (run,)


def test_an_empty_cache_has_no_history(tmp_path: Path) -> None:
    assert history(tmp_path / "nowhere") == ()


def test_a_run_that_goes_on_replaces_what_it_kept_before(tmp_path: Path) -> None:
    keep(past_run(past_trial(2.0, "int8")), cache=tmp_path)
    longer = past_run(past_trial(2.0, "int8"), past_trial(2.5, "bf16"))
    keep(longer, cache=tmp_path)
    assert history(tmp_path) == (longer,)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_torn_file_is_left_out_and_repaired_by_the_next_keep(
    tmp_path: Path, share: float
) -> None:
    whole = past_run(past_trial(2.0, "int8"), id_="1" * 8)
    torn = past_run(past_trial(3.0, "int8"), id_="2" * 8)
    keep(whole, cache=tmp_path)
    keep(torn, cache=tmp_path)
    file = tmp_path / "history" / f"{torn.id}.json"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert history(tmp_path) == (whole,)
    keep(torn, cache=tmp_path)
    assert sorted(run.id for run in history(tmp_path)) == [whole.id, torn.id]


def test_the_oldest_runs_go_when_there_are_too_many(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    for number in range(MOST_RUNS + 5):
        run = past_run(past_trial(1.0, "x"), id_=f"{number:08x}")
        assert keep(run, cache=tmp_path) == ""
        os.utime(folder / f"{run.id}.json", (number, number))
    newest = past_run(past_trial(1.0, "x"), id_="f" * 8)
    keep(newest, cache=tmp_path)
    kept = {run.id for run in history(tmp_path)}
    assert len(kept) == MOST_RUNS
    assert newest.id in kept and f"{0:08x}" not in kept and f"{MOST_RUNS + 4:08x}" in kept


def test_a_cache_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a file where the folder should be")
    assert "not remembered" in keep(past_run(), cache=tmp_path)
    assert history(tmp_path) == ()


def test_expectations_are_numbers_whatever_was_remembered() -> None:
    odd = PastTrial(
        chain=("x",), backend="a", version="1.0", settings=Settings(), outcome="rejected",
        speed=Figure.measured(math.inf),
    )  # fmt: skip
    assert math.isfinite(recalled(past_run(odd))[0].speed)


def test_the_past_orders_the_agenda_and_leaves_nothing_out() -> None:
    bodies = (
        Body(recipes=(Bf16(),), backends=frozenset("a")),
        Body(recipes=(Int8Static(),), backends=frozenset("a")),
        Body(recipes=(Int8Weights(),), backends=frozenset("a"), seldom_faster=True),
    )
    hints = (
        Hint(
            chain=("int8_weights/onnxruntime",), backend="a", settings=Settings(), speed=2.0,
            weight=1.0, num_failed=0, evidence="",
        ),
        Hint(
            chain=("bf16",), backend="a", settings=Settings(), speed=0.5, weight=1.0,
            num_failed=0, evidence="",
        ),
    )  # fmt: skip
    found = ordered(Agenda(bodies=bodies), hints)
    kinds = [body.recipes[0].kind for body in found.bodies]
    assert kinds == ["int8_weights", "int8_static", "bf16"]
    assert not any(body.seldom_faster for body in found.bodies), "it paid before"
    assert ordered(Agenda(bodies=bodies), ()) == Agenda(bodies=bodies)

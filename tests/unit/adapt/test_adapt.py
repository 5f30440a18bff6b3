"""Chains of recipes: what is stored, what is skipped and why, and what is never left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.adapt.adapt import Workshop, adapt, adapt_all
from fitwright.adapt.variants import digest, original_variant, variant_path
from fitwright.errors import FitwrightError, RunStopped, StorageError, TrialFailed
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Bf16,
    FixShapes,
    Fp16Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Recipe,
    Simplify,
    Skipped,
    Variant,
)


def run(original: Variant, workshop: Workshop, *chain: Recipe) -> Variant | Skipped:
    return adapt(original, chain, **vars(workshop))


def made(original: Variant, workshop: Workshop, *chain: Recipe) -> Variant:
    outcome = run(original, workshop, *chain)
    assert isinstance(outcome, Variant), outcome
    return outcome


def skipped(original: Variant, workshop: Workshop, *chain: Recipe) -> str:
    outcome = run(original, workshop, *chain)
    assert isinstance(outcome, Skipped), outcome
    assert outcome.recipes == chain
    return outcome.reason


def with_pass(workshop: Workshop, kind: type, **changes: Any) -> Workshop:
    key = (kind, "")
    table = {**workshop.transforms, key: replace(cast("Any", workshop.transforms[key]), **changes)}
    return replace(workshop, transforms=table)


def failing(workshop: Workshop, error: FitwrightError) -> Workshop:
    cast("Any", workshop.executor).fails = error
    return workshop


def visible(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.glob("*") if not f.name.startswith(".done"))


def test_recipes_are_applied_in_order_each_on_the_output_of_the_last(
    original: Variant, workshop: Workshop
) -> None:
    variant = made(original, workshop, FixShapes(), Fp16Weights())
    assert variant_path(variant, workshop.folder.parent).read_text() == "model fixed half"
    assert variant.recipes == (FixShapes(), Fp16Weights())
    assert variant.notes == ("added  fixed", "added  half")


def test_a_variant_names_its_files_from_the_run_folder(
    original: Variant, workshop: Workshop
) -> None:
    variant = made(original, workshop, FixShapes())
    assert variant.file == f"variants/{variant.id}/model.onnx"
    assert variant.files == (variant.file,)
    assert variant.size_bytes == len("model fixed")
    assert variant.sha256 == digest([variant_path(variant, workshop.folder.parent)])


def test_the_same_content_has_the_same_name(original: Variant, workshop: Workshop) -> None:
    first = made(original, workshop, FixShapes())
    other_run = replace(workshop, folder=workshop.folder.parent.parent / "other" / "variants")
    assert made(original, other_run, FixShapes()).id == first.id


def test_a_setting_shares_the_file_but_not_the_name(original: Variant, workshop: Workshop) -> None:
    fixed = made(original, workshop, FixShapes())
    bf16 = made(original, workshop, FixShapes(), Bf16())
    assert (bf16.file, bf16.sha256) == (fixed.file, fixed.sha256)
    assert bf16.id != fixed.id
    assert bf16.settings == Settings(precision="bfloat16")
    assert bf16.backends == ("openvino",)


def test_a_recipe_that_finds_nothing_is_left_out_of_the_chain(
    original: Variant, workshop: Workshop
) -> None:
    workshop = with_pass(workshop, FixShapes, word="")
    variant = made(original, workshop, FixShapes(), Fp16Weights())
    assert variant.recipes == (Fp16Weights(),)
    assert variant.notes[0] == "fix_shapes: nothing found"


def test_a_chain_that_ends_without_a_change_is_skipped(
    original: Variant, workshop: Workshop
) -> None:
    workshop = with_pass(workshop, Fp16Weights, word="")
    reason = skipped(original, workshop, FixShapes(), Fp16Weights())
    assert reason == "fp16_weights: nothing found"


def test_a_refusal_is_a_reason(original: Variant, workshop: Workshop) -> None:
    workshop = with_pass(workshop, FixShapes, why_not="this CPU lacks shapes")
    assert skipped(original, workshop, FixShapes()) == "fix_shapes: this CPU lacks shapes"
    assert cast("Any", workshop.executor).calls == []


def test_an_illegal_order_is_a_reason(original: Variant, workshop: Workshop) -> None:
    assert "fix_shapes comes first" in skipped(original, workshop, Fp16Weights(), FixShapes())


def test_a_recipe_nobody_applies_is_a_reason(original: Variant, workshop: Workshop) -> None:
    assert "no backend" in skipped(original, workshop, Int8Weights(toolkit="nncf"))


def test_activation_ranges_need_calibration_data(original: Variant, workshop: Workshop) -> None:
    without = replace(workshop, calibration=None)
    assert "calibration data" in skipped(original, without, Int8Static())


def test_the_origin_of_the_calibration_data_is_noted_where_it_was_used(
    original: Variant, workshop: Workshop
) -> None:
    assert made(original, workshop, Int8Static()).notes[-1] == "calibrated on toys"
    assert "calibrated on toys" not in made(original, workshop, Fp16Weights()).notes


def test_a_setting_of_another_backend_is_refused(original: Variant, workshop: Workshop) -> None:
    start = made(original, workshop, FixShapes()).model_copy(update={"backends": ("onnxruntime",)})
    assert "it needs openvino" in skipped(start, workshop, Bf16())
    assert "ONNX Runtime only" in skipped(original, workshop, Int8Dynamic(), Bf16())


def test_a_failed_pass_is_a_reason_in_one_sentence(original: Variant, workshop: Workshop) -> None:
    error = TrialFailed("the pass was killed. A second sentence.\nAnd a second line", code="FW402")
    reason = skipped(original, failing(workshop, error), FixShapes())
    assert reason == "fix_shapes: the pass was killed"


def test_a_failed_pass_leaves_nothing_behind(original: Variant, workshop: Workshop) -> None:
    skipped(original, failing(workshop, TrialFailed("gone", code="FW402")), FixShapes())
    assert visible(workshop.folder) == []


def test_a_full_disk_stops_the_run_instead_of_skipping(
    original: Variant, workshop: Workshop
) -> None:
    with pytest.raises(RunStopped):
        run(original, failing(workshop, StorageError("full", code="FW520")), FixShapes())
    assert visible(workshop.folder) == []


def test_an_interrupt_leaves_nothing_behind(
    original: Variant, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workshop.executor, "call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(original, workshop, FixShapes())
    assert visible(workshop.folder) == []


def test_what_a_killed_process_left_is_cleared_and_a_living_one_is_not_disturbed(
    original: Variant, workshop: Workshop
) -> None:
    dead = workshop.folder / ".making-999999999-abc"  # beyond the largest process id of Linux
    alive = workshop.folder / ".making-1-abc"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
    variant = made(original, workshop, FixShapes())
    assert visible(workshop.folder) == [alive.name, variant.id]


def test_a_step_is_made_once_per_run(original: Variant, workshop: Workshop) -> None:
    made(original, workshop, FixShapes())
    made(original, workshop, FixShapes(), Fp16Weights())
    made(original, workshop, FixShapes(), Int8Static())
    assert cast("Any", workshop.executor).calls == ["fix_shapes", "fp16_weights", "int8_static"]


def test_a_step_is_made_again_when_its_file_is_damaged(
    original: Variant, workshop: Workshop
) -> None:
    variant = made(original, workshop, FixShapes())
    path = variant_path(variant, workshop.folder.parent)
    path.unlink()
    path.parent.rmdir()
    assert made(original, workshop, FixShapes()).id == variant.id
    assert path.read_text() == "model fixed"


def test_a_chain_may_start_from_a_variant(original: Variant, workshop: Workshop) -> None:
    fixed = made(original, workshop, FixShapes())
    assert made(fixed, workshop, Fp16Weights()).recipes == (FixShapes(), Fp16Weights())
    assert "applied once" in skipped(fixed, workshop, FixShapes())


def test_all_chains_report_a_file_made_before(original: Variant, workshop: Workshop) -> None:
    same = with_pass(workshop, Int8Dynamic, word=" half")
    chains: tuple[tuple[Recipe, ...], ...] = ((FixShapes(),), (Fp16Weights(),), (Int8Dynamic(),))
    first, second, third = adapt_all(original, chains, workshop=same)
    assert isinstance(first, Variant) and isinstance(second, Variant)
    assert third == Skipped(recipes=chains[2], reason="same file as fp16_weights")


def test_the_original_is_a_variant_without_recipes(original: Variant, workshop: Workshop) -> None:
    assert original.title == "original"
    assert variant_path(original, workshop.folder).read_text() == "model"
    assert original.size_bytes == 5


def test_the_original_names_the_data_files_it_reads(summary: ModelSummary, tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [64]) for n in "xy")
    weight = numpy_helper.from_array(np.ones(64, np.float32), "w")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "split.onnx"
    onnx.save(model, path, save_as_external_data=True, location="split.data", size_threshold=0)
    size = sum(f.stat().st_size for f in tmp_path.glob("split.*"))
    split = summary.model_copy(update={"path": str(path), "size_bytes": size})
    variant = original_variant(split)
    assert variant.files == (str(path), str(tmp_path / "split.data"))


def test_what_may_follow_is_judged_by_what_was_asked_for(
    original: Variant, workshop: Workshop
) -> None:
    """Fixed shapes that changed nothing open the chain all the same."""
    rest = (Simplify(), Fp16Weights())
    unasked = adapt(original, rest, **vars(workshop))
    assert isinstance(unasked, Skipped)
    assert "fix_shapes opens the chain" in unasked.reason
    found = adapt(original, rest, asked=(FixShapes(),), **vars(workshop))
    assert not (isinstance(found, Skipped) and "opens the chain" in found.reason)

"""Apply chains of recipes, each in a child process; the result is a variant or a reason."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitwright.adapt.calibration import (
    calibration_in_runs,
    calibration_note,
    cut_calibration,
    input_shapes,
)
from fitwright.adapt.legality import legal
from fitwright.adapt.variants import (
    remember,
    remembered,
    scratch,
    step_key,
    stored,
    variant_id,
    variant_path,
)
from fitwright.errors import FitwrightError, RunStopped
from fitwright.ports import ChildLimits, Executor, Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import (
    Buckets,
    FixShapes,
    Int8Static,
    Recipe,
    Skipped,
    Trim,
    Variant,
    at_length,
    title,
)
from fitwright.records.record import Record

RecipeKey = tuple[type[Record], str]
Transforms = Mapping[RecipeKey, Transform]

NEEDS_CALIBRATION = (Int8Static,)


def recipe_key(recipe: Recipe) -> RecipeKey:
    """How the table of passes is keyed: the recipe's type and its toolkit, or ``""``."""
    return type(recipe), getattr(recipe, "toolkit", "")


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What every step of a chain needs besides the recipe.

    Attributes:
        source: the model as the user gave it, from which other lengths are made; absent: the
            variant that a chain starts from.
        folder: the run's ``variants/``.
        limits: for each pass on its own.
    """

    summary: ModelSummary
    device: Device
    transforms: Transforms
    executor: Executor
    limits: ChildLimits
    calibration: Path | None
    folder: Path
    source: Variant | None = None

    def calibration_of(self, recipe: Recipe, variant: Variant) -> Path | None:
        """In runs as the variant takes them, where the recipe needs any."""
        if self.calibration is None or not isinstance(recipe, NEEDS_CALIBRATION):
            return None
        in_runs = calibration_in_runs(self.calibration, variant.settings)
        if not any(isinstance(r, FixShapes) and r.sizes for r in variant.recipes):
            return in_runs
        shapes = input_shapes(variant_path(variant, self.folder.parent))
        return cut_calibration(in_runs, shapes=shapes)


def adapt(
    original: Variant,
    chain: tuple[Recipe, ...],
    *,
    summary: ModelSummary,
    device: Device,
    transforms: Transforms,
    executor: Executor,
    limits: ChildLimits,
    calibration: Path | None,
    folder: Path,
    asked: tuple[Recipe, ...] | None = None,
    source: Variant | None = None,
) -> Variant | Skipped:
    """The model after every recipe of the chain, or why there is none.

    Each recipe runs in a fresh child on the output of the one before. One that finds nothing
    to change is left out of the result's chain, with a note; as the last it skips the chain.
    Nothing half-written stays behind, whatever happens.

    Args:
        original: where to start; the recipes it already carries are kept in front.
        summary: of the original model.
        device: where the result is meant to run.
        transforms: the table of passes, by `recipe_key`.
        limits: clock and memory of each child.
        calibration: ``.npz`` of `write_calibration`, for recipes that need activation ranges.
        folder: the run's ``variants/``; paths in a variant are relative to its parent.
        asked: the recipes that led to `original`, those that found nothing to do included; the
            ones it carries by default. Whether `chain` may follow is judged by these.
        source: the model as the user gave it; `original` by default.

    Raises:
        RunStopped: the disk is full or may not be written.
    """
    workshop = Workshop(
        source=source,
        summary=summary,
        device=device,
        transforms=transforms,
        executor=executor,
        limits=limits,
        calibration=calibration,
        folder=folder,
    )
    before = original.recipes if asked is None else asked
    if why := legal((*before, *chain)):
        return Skipped(recipes=chain, reason=why)
    return _followed(original, chain, workshop, made={})


def adapt_all(
    original: Variant, chains: Sequence[tuple[Recipe, ...]], *, workshop: Workshop
) -> Iterator[Variant | Skipped]:
    """Each chain in turn; what chains begin with in common is made once.

    A chain whose result is byte for byte an earlier variant comes back as `Skipped`.
    """
    made: dict[tuple[Recipe, ...], Variant | Skipped] = {}
    seen = {original.id: original.title}
    for chain in chains:
        why = legal((*original.recipes, *chain))
        outcome = (
            Skipped(recipes=chain, reason=why)
            if why
            else _followed(original, chain, workshop, made=made)
        )
        if isinstance(outcome, Variant) and outcome.id in seen:
            reason = f"same file as {seen[outcome.id]}"
            outcome = Skipped(recipes=chain, reason=reason)
        elif isinstance(outcome, Variant):
            seen[outcome.id] = outcome.title
        yield outcome


def _followed(
    original: Variant,
    chain: tuple[Recipe, ...],
    workshop: Workshop,
    *,
    made: dict[tuple[Recipe, ...], Variant | Skipped],
) -> Variant | Skipped:
    current = original
    for length, recipe in enumerate(chain, start=1):
        prefix = chain[:length]
        if prefix not in made:
            made[prefix] = _step(current, recipe, workshop, source=workshop.source or original)
        outcome = made[prefix]
        if isinstance(outcome, Skipped):
            return outcome.model_copy(update={"recipes": chain})
        if outcome.recipes == current.recipes and length == len(chain):
            return Skipped(recipes=chain, reason=outcome.notes[-1])
        current = outcome
    return current


def _step(
    variant: Variant, recipe: Recipe, workshop: Workshop, *, source: Variant
) -> Variant | Skipped:
    """One recipe on one variant; the same variant with a note when nothing changes."""
    if why := _refusal(recipe, workshop):
        return Skipped(recipes=(recipe,), reason=f"{title(recipe)}: {why}")
    parts = _parts(variant, recipe, workshop, source=source)
    if isinstance(parts, Skipped):
        return parts
    with scratch(workshop.folder) as making:
        request = TransformRequest(
            recipe=recipe,
            model=variant_path(variant, workshop.folder.parent).resolve(),
            summary=workshop.summary,
            calibration=workshop.calibration_of(recipe, variant),
            folder=making,
            device=workshop.device,
            calibrated=_calibrated(variant, recipe, workshop),
            parts=parts,
        )
        key = step_key(variant, request)
        outcome = remembered(workshop.folder, key) or _made(variant, request, workshop)
    if isinstance(outcome, Variant):
        remember(workshop.folder, key, outcome)
    return outcome


def _parts(
    variant: Variant, recipe: Recipe, workshop: Workshop, *, source: Variant
) -> dict[int, Path] | Skipped:
    """The variant and what the same recipes make of the source at the other lengths."""
    if not isinstance(recipe, Buckets | Trim):
        return {}
    *shorter, longest = recipe.lengths
    found = {longest: variant_path(variant, workshop.folder.parent).resolve()}
    for length in shorter:
        chain = at_length(variant.recipes, recipe.symbol, length)
        part = _followed(source, chain, workshop, made={})
        if isinstance(part, Skipped):
            reason = f"{title(recipe)}: at {length} tokens {part.reason}"
            return Skipped(recipes=(recipe,), reason=reason)
        found[length] = variant_path(part, workshop.folder.parent).resolve()
    return found


def _calibrated(variant: Variant, recipe: Recipe, workshop: Workshop) -> Path | None:
    """What this run made of the variant by the same recipe with nothing kept in float."""
    if not isinstance(recipe, Int8Static) or not recipe.keep:
        return None
    request = TransformRequest(
        recipe=recipe.model_copy(update={"keep": ()}),
        model=variant_path(variant, workshop.folder.parent).resolve(),
        summary=workshop.summary,
        calibration=workshop.calibration_of(recipe, variant),
        folder=workshop.folder,
        device=workshop.device,
    )
    made = remembered(workshop.folder, step_key(variant, request))
    return variant_path(made, workshop.folder.parent).resolve() if made else None


def _made(variant: Variant, request: TransformRequest, workshop: Workshop) -> Variant | Skipped:
    """Apply the pass in a child and store what it made."""
    recipe, started = request.recipe, time.monotonic()
    transform = workshop.transforms[recipe_key(recipe)]
    try:
        result = workshop.executor.call(transform, workshop.limits, request)
    except RunStopped:
        raise
    except FitwrightError as error:
        return Skipped(recipes=(recipe,), reason=f"{title(recipe)}: {_cause(error)}")
    return _outcome(variant, request, result, workshop, seconds=time.monotonic() - started)


def _refusal(recipe: Recipe, workshop: Workshop) -> str | None:
    transform = workshop.transforms.get(recipe_key(recipe))
    if transform is None:
        return "no backend of this installation applies it"
    if isinstance(recipe, NEEDS_CALIBRATION) and workshop.calibration is None:
        return "it needs calibration data and there is none"
    return transform.refuses(recipe, workshop.summary, workshop.device)


def _cause(error: FitwrightError) -> str:
    """First sentence of what went wrong, short enough for a table."""
    first = error.rule.strip().split("\n")[0].split(". ")[0].rstrip(".")
    return first if len(first) <= 300 else first[:299] + "…"


def _outcome(
    variant: Variant,
    request: TransformRequest,
    result: TransformResult,
    workshop: Workshop,
    *,
    seconds: float,
) -> Variant | Skipped:
    recipe = request.recipe
    if not result.modified:
        why = "; ".join(result.notes) or "nothing to change"
        notes = (*variant.notes, f"{title(recipe)}: {why}")
        return variant.model_copy(update={"notes": notes})
    backends = tuple(name for name in variant.backends if name in result.backends)
    if not backends:
        return Skipped(
            recipes=(recipe,),
            reason=f"{title(recipe)}: it needs {' or '.join(result.backends)}, but "
            f"{variant.title} runs on {' or '.join(variant.backends)} only",
        )
    like = variant.model_copy(
        update={
            "format": result.format,
            "backends": backends,
            "settings": variant.settings.merged(result.settings),
            "seconds": variant.seconds + seconds,
            "notes": (*variant.notes, *_notes(request, result)),
        }
    )
    recipes = (*variant.recipes, recipe)
    if result.file.resolve() == request.model:
        name = variant_id(like.sha256, like.settings)
        return like.model_copy(update={"id": name, "recipes": recipes, "format": variant.format})
    return stored(request.folder, result.file, folder=workshop.folder, recipes=recipes, like=like)


def _notes(request: TransformRequest, result: TransformResult) -> tuple[str, ...]:
    origin = calibration_note(request.calibration) if request.calibration else None
    return (*result.notes, *((origin,) if origin else ()))

"""Recipes (one adaptation each) and the variants they make: step 4's answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fitwright.records.plan import Settings
from fitwright.records.record import Record


class FixShapes(Record):
    """Bind symbolic dimensions, fold constants, drop what no output needs.

    Attributes:
        batch: queries that one run takes, stacked along the first axis.
        parts: that a query is cut into along the first axis; a run takes one.
        sizes: symbol and size of dimensions that are bound otherwise than in the summary.
    """

    kind: Literal["fix_shapes"] = "fix_shapes"
    batch: int = Field(default=1, ge=1)
    parts: int = Field(default=1, ge=1)
    sizes: tuple[tuple[str, Annotated[int, Field(ge=1)]], ...] = ()


class Simplify(Record):
    """Fold constants, cut branches never taken, merge transposes, scales and normalisations."""

    kind: Literal["simplify"] = "simplify"


class FuseNormalization(Record):
    """Layer and root-mean-square normalisation written out become one operator each."""

    kind: Literal["fuse_normalization"] = "fuse_normalization"


class FuseActivation(Record):
    """GELU and hard-swish written out become one operator each."""

    kind: Literal["fuse_activation"] = "fuse_activation"


class DropMasks(Record):
    """Take inputs as the contract promises them; drop masks and NaN guards that are dead then.

    Attributes:
        constant_inputs: name and value of each promised input, sorted by name.
    """

    kind: Literal["drop_masks"] = "drop_masks"
    constant_inputs: tuple[tuple[str, float], ...] = ()


class FuseAttention(Record):
    """Attention written out becomes the one operator that the backends fuse."""

    kind: Literal["fuse_attention"] = "fuse_attention"


class PlainAttention(Record):
    """Attention written with detours becomes product, scale, mask, softmax, product."""

    kind: Literal["plain_attention"] = "plain_attention"


class Buckets(Record):
    """One file for several lengths of a query; each query takes the shortest that holds it.

    Attributes:
        mask: the input whose zeros at the end of a query are padding, (batch, tokens).
        symbol: the free size that counts the tokens.
        lengths: in growing order; the last is the length that queries are padded to.
    """

    kind: Literal["buckets"] = "buckets"
    mask: str
    symbol: str
    lengths: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2)


class Trim(Record):
    """Queries are cut to their own tokens inside the model, which computes any number of them.

    Attributes:
        mask, symbol: as in `Buckets`.
        lengths: at which the model is made, in growing order, to see what changes with the
            length; the last is the length that queries are padded to.
    """

    kind: Literal["trim"] = "trim"
    mask: str
    symbol: str
    lengths: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=3)


class Bf16(Record):
    """bfloat16 arithmetic by the backend's own hint; the file stays as it is."""

    kind: Literal["bf16"] = "bf16"


class Fp16Weights(Record):
    """Weights stored as float16 and widened when loaded; halves the file."""

    kind: Literal["fp16_weights"] = "fp16_weights"


class Int8Static(Record):
    """Weights and activations in int8, activation ranges from calibration data.

    Attributes:
        toolkit: who quantises: ONNX Runtime's QDQ or NNCF.
        method: how ranges are chosen from the calibration data.
        keep: operators left in floating point, by their name in the graph that is quantised.
        symmetric: NNCF's activations without zero points; faster, a little coarser.
        smooth: NNCF's scales before the matrices of a transformer, which even out the ranges
            of activations at the price of a multiplication.
    """

    kind: Literal["int8_static"] = "int8_static"
    toolkit: Literal["onnxruntime", "nncf"] = "onnxruntime"
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    keep: tuple[str, ...] = ()
    symmetric: bool = False
    smooth: bool = True


class Int8Dynamic(Record):
    """int8 weights; activation ranges computed at run time.

    Attributes:
        per_channel: one scale for each output channel of the weights, else one for all; a
            recurrent cell applies its scales at every step.
    """

    kind: Literal["int8_dynamic"] = "int8_dynamic"
    per_channel: bool = True


class Int8Weights(Record):
    """int8 weights only; arithmetic stays in floating point."""

    kind: Literal["int8_weights"] = "int8_weights"
    toolkit: Literal["onnxruntime", "nncf"] = "onnxruntime"


class Int4Weights(Record):
    """int4 weights only, one scale per block of `block_size` weights."""

    kind: Literal["int4_weights"] = "int4_weights"
    toolkit: Literal["onnxruntime", "nncf"] = "onnxruntime"
    block_size: int = Field(default=32, ge=16)


Recipe = Annotated[
    FixShapes
    | Simplify
    | FuseNormalization
    | FuseActivation
    | DropMasks
    | FuseAttention
    | PlainAttention
    | Buckets
    | Trim
    | Bf16
    | Fp16Weights
    | Int8Static
    | Int8Dynamic
    | Int8Weights
    | Int4Weights,
    Field(discriminator="kind"),
]

REWRITING = (
    Simplify, FuseNormalization, FuseActivation, DropMasks, FuseAttention, PlainAttention,
)  # fmt: skip
"""Recipes that compute the same by other operators."""


def batch_of(chain: tuple[Recipe, ...]) -> int:
    """How many queries a run of what the chain makes takes."""
    return next((r.batch for r in chain if isinstance(r, FixShapes)), 1)


def at_batch(chain: tuple[Recipe, ...], batch: int) -> tuple[Recipe, ...]:
    """The same chain for so many queries in a run; chains that fix no shapes stay."""
    return _refixed(chain, {"batch": batch})


def parts_of(chain: tuple[Recipe, ...]) -> int:
    """Into how many parts a query is cut for what the chain makes."""
    return next((r.parts for r in chain if isinstance(r, FixShapes)), 1)


def in_parts(chain: tuple[Recipe, ...], parts: int) -> tuple[Recipe, ...]:
    """The same chain for queries cut into so many parts; chains that fix no shapes stay."""
    return _refixed(chain, {"parts": parts})


def at_length(chain: tuple[Recipe, ...], symbol: str, size: int) -> tuple[Recipe, ...]:
    """The same chain with another size for a symbol; chains that fix no shapes stay."""
    return _refixed(chain, {"sizes": ((symbol, size),)})


def _refixed(chain: tuple[Recipe, ...], update: dict[str, object]) -> tuple[Recipe, ...]:
    return tuple(r.model_copy(update=update) if isinstance(r, FixShapes) else r for r in chain)


def bucketed(chain: tuple[Recipe, ...], buckets: Buckets | None) -> tuple[Recipe, ...]:
    """The same chain for several lengths: after all that changes the file, before `Bf16`.

    Unchanged without `buckets`, and where NNCF writes OpenVINO's own format: only ONNX files
    are joined.
    """
    if buckets is None or any(getattr(recipe, "toolkit", "") == "nncf" for recipe in chain):
        return chain
    if chain and isinstance(chain[-1], Bf16):
        return (*chain[:-1], buckets, chain[-1])
    return (*chain, buckets)


def unbucketed(chain: tuple[Recipe, ...]) -> tuple[tuple[Recipe, ...], Buckets | None]:
    """The chain for one length, and the lengths it was made for, if it was for several."""
    found = next((recipe for recipe in chain if isinstance(recipe, Buckets)), None)
    return tuple(recipe for recipe in chain if recipe != found), found


def continued(chain: tuple[Recipe, ...], body: tuple[Recipe, ...]) -> tuple[Recipe, ...]:
    """The body put on the chain; lengths are joined behind it."""
    start, buckets = unbucketed(chain)
    return bucketed((*start, *body), buckets)


def title(recipe: Recipe) -> str:
    """``int8_static/nncf/entropy/12 in float``: kind, toolkit, what differs from the usual."""
    toolkit, method = getattr(recipe, "toolkit", ""), getattr(recipe, "method", "minmax")
    kept, batch = len(getattr(recipe, "keep", ())), getattr(recipe, "batch", 1)
    parts = getattr(recipe, "parts", 1)
    sizes = (*(f"{n} {size}" for n, size in getattr(recipe, "sizes", ())),)
    words = (
        recipe.kind,
        toolkit,
        "" if method == "minmax" else method,
        "symmetric" if getattr(recipe, "symmetric", False) else "",
        "" if getattr(recipe, "smooth", True) else "unsmoothed",
        "" if getattr(recipe, "per_channel", True) else "per_tensor",
        f"{kept} in float" if kept else "",
        f"batch {batch}" if batch > 1 else "",
        f"{parts} parts" if parts > 1 else "",
        *sizes,
        *(str(n) for n in (recipe.lengths if isinstance(recipe, Buckets) else ())),
    )
    return "/".join(filter(None, words))


class Variant(Record):
    """An adapted model file, content-addressed.

    Attributes:
        id: first 12 hex digits of the digest of files and required settings.
        recipes: the chain applied to the original; empty for the original itself.
        file: main file, relative to the run's folder (the original: absolute).
        files: every file it needs, `file` included, relative to the same folder.
        format: ``onnx`` or ``openvino_ir``.
        backends: which backends may run it.
        settings: what every candidate of this variant must set (e.g. precision).
        notes: what the pass reported: layers left out and why, calibration origin.
    """

    id: str
    recipes: tuple[Recipe, ...]
    file: str
    files: tuple[str, ...]
    format: Literal["onnx", "openvino_ir"]
    sha256: str
    size_bytes: int
    backends: tuple[str, ...]
    settings: Settings = Settings()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The recipe chain as people read it; ``original`` when empty."""
        return " + ".join(title(r) for r in self.recipes) or "original"


class Skipped(Record):
    """A recipe that was not applied, and why."""

    recipes: tuple[Recipe, ...]
    reason: str


class Adapted(Record):
    """`4-adapted.json`: every variant made and every recipe skipped.

    Attributes:
        variants: the original first.
        chains: every chain of recipes asked for so far, made or skipped, in order. A
            variant's own chain can be shorter: recipes that found nothing to do are left out.
        made: for each of `chains`, the id of the variant it came to (perhaps one that another
            chain had made before), or empty when it was skipped.
    """

    variants: tuple[Variant, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    chains: tuple[tuple[Recipe, ...], ...] = ()
    made: tuple[str, ...] = ()

    def variant(self, id_: str) -> Variant:
        """The variant of that id; it must exist."""
        return next(v for v in self.variants if v.id == id_)

    def without(self, chains: tuple[tuple[Recipe, ...], ...]) -> Adapted:
        """The same as if these further chains had been asked for and skipped."""
        if not chains:
            return self
        made = (*self.made, *("" for _ in chains))
        return self.model_copy(update={"chains": (*self.chains, *chains), "made": made})

    def made_by(self, chain: tuple[Recipe, ...]) -> Variant | None:
        """What a chain came to; None when it was skipped or not asked for yet."""
        ids = dict(zip(self.chains, self.made, strict=False))
        id_ = ids.get(chain)
        return self.variant(id_) if id_ else None

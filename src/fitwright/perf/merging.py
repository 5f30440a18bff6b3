"""The operators of a graph, grouped into the kernels that a runtime makes of them.

What is merged moves nothing between its operators. A merge only ever joins an operator to the
one kernel that reads all of its results, so nothing has to be computed twice and no cycle
arises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fitwright.perf.fusion import (
    ALL_CONVOLUTIONS,
    ATTENTION,
    NARROWING,
    SHAPES,
    WHOLE_NORMS,
    Fusion,
    Role,
    role,
)
from fitwright.records.model import CONVOLUTIONS, OperatorCost


@dataclass(frozen=True, kw_only=True, slots=True)
class Wiring:
    """Who reads whose bytes, views and what folds away left out.

    Attributes:
        sources: per operator, the operators whose results it really reads.
        transparent: operators that cost nothing: views, constants, quantisation at the edge
            of a product where the runtime absorbs it.
        integer: operators that read what was quantised.
    """

    sources: tuple[tuple[int, ...], ...]
    transparent: frozenset[int]
    integer: frozenset[int]


def wiring(operators: Sequence[OperatorCost], fusion: Fusion) -> Wiring:
    """The edges that carry bytes."""
    constant, transparent, behind = set[int](), set[int](), dict[int, tuple[int, ...]]()
    sources, integer = list[tuple[int, ...]](), set[int]()
    widened = _widened(operators, fusion)
    for i, o in enumerate(operators):
        absorbed = _is_dequantised(o, fusion) and i not in widened
        absorbed |= _is_rounded_again(operators, i, fusion)
        made = tuple(dict.fromkeys(s for r in o.reads_from for s in behind.get(r, (r,))))
        made = tuple(s for s in made if s not in constant)
        sources.append(made)
        if _folds(o, constant):
            constant.add(i)
        if o.is_view or absorbed or i in constant:
            transparent.add(i)
            behind[i] = made
        through = (*o.reads_from, *(b for r in o.reads_from for b in _views(operators, r)))
        narrow = any(_is_dequantised(operators[r], fusion) for r in through)
        if narrow and o.kind not in fusion.float_kinds:
            integer.add(i)
    return Wiring(
        sources=tuple(sources), transparent=frozenset(transparent), integer=frozenset(integer)
    )


def _widened(operators: Sequence[OperatorCost], fusion: Fusion) -> frozenset[int]:
    """What was quantised and is read by an operator that has no integer kernel."""
    if fusion.integer_kinds is None:
        return frozenset()
    found = set[int]()
    for o in operators:
        if o.product is None and o.kind not in fusion.integer_kinds:
            found.update(b for r in o.reads_from for b in (r, *_views(operators, r)))
    return frozenset(i for i in found if _is_dequantised(operators[i], fusion))


def _is_rounded_again(operators: Sequence[OperatorCost], at: int, fusion: Fusion) -> bool:
    """A view of what was quantised, quantised: the integers go through."""
    if fusion.integer_kinds is None or operators[at].kind != "QuantizeLinear":
        return False
    viewed = [b for r in operators[at].reads_from for b in _views(operators, r)]
    return bool(viewed) and all(_is_dequantised(operators[b], fusion) for b in viewed)


def _views(operators: Sequence[OperatorCost], at: int) -> tuple[int, ...]:
    """What a view is a view of, one step back."""
    return operators[at].reads_from if operators[at].is_view else ()


def _is_dequantised(operator: OperatorCost, fusion: Fusion) -> bool:
    return fusion.quantisation and operator.kind == "DequantizeLinear"


def _folds(operator: OperatorCost, constant: set[int]) -> bool:
    """Whether it depends on nothing that a query brings: shapes and constants only."""
    if operator.kind in SHAPES:
        return True
    return not operator.reads_inputs and all(r in constant for r in operator.reads_from)


class _Groups:
    """Kernels while they merge; a kernel is named by its last operator."""

    def __init__(self, operators: Sequence[OperatorCost], wires: Wiring) -> None:
        real = [i for i in range(len(operators)) if i not in wires.transparent]
        self.operators = operators
        self.members: dict[int, list[int]] = {i: [i] for i in real}
        self.of = {i: i for i in real}
        self.readers: dict[int, set[int]] = {i: set() for i in real}
        for i in real:
            for s in wires.sources[i]:
                self.readers[s].add(i)

    def sole_reader(self, group: int) -> int | None:
        """The one other kernel that reads all results of this one."""
        found = {self.of[r] for m in self.members[group] for r in self.readers[m]} - {group}
        return found.pop() if len(found) == 1 else None

    def merge(self, group: int, reader: int) -> None:
        for member in self.members[group]:
            self.of[member] = reader
        self.members[reader] = sorted((*self.members.pop(group), *self.members[reader]))

    def merge_where(self, fits: Callable[[int, int], bool]) -> None:
        """Join kernels to their sole readers until nothing fits any more."""
        changed = True
        while changed:
            changed = False
            for group in sorted(self.members, reverse=True):
                reader = self.sole_reader(group)
                if reader is not None and fits(group, reader):
                    self.merge(group, reader)
                    changed = True

    def kinds(self, group: int) -> frozenset[str]:
        return frozenset(self.operators[m].kind for m in self.members[group])

    def roles(self, group: int) -> frozenset[Role]:
        return frozenset(role(self.operators[m]) for m in self.members[group])


_LIGHT = frozenset[Role]({"elementwise", "norm"})


def fused(operators: Sequence[OperatorCost], wires: Wiring, fusion: Fusion) -> list[list[int]]:
    """The operators of each kernel, in execution order of the kernels' last operators."""
    groups = _Groups(operators, wires)
    groups.merge_where(lambda g, r: _is_bias(groups, g, r))
    groups.merge_where(lambda g, r: _is_pattern(groups, g, r, fusion))
    if fusion.attention:
        _merge_attention(groups)
    if fusion.transposes:
        groups.merge_where(lambda g, r: _is_turn(groups, g, r))
    groups.merge_where(lambda g, r: _is_behind(groups, g, r, fusion))
    groups.merge_where(lambda g, r: _is_narrowed(groups, g, r, fusion, wires))
    return [groups.members[last] for last in sorted(groups.members)]


def _is_bias(groups: _Groups, group: int, reader: int) -> bool:
    """A product and the constant added to its result: one operator in every runtime."""
    added = groups.members[reader]
    first = groups.operators[added[0]]
    alone = len(added) == 1 and first.kind == "Add" and len(first.reads_from) == 1
    return alone and groups.roles(group) == {"product"}


def _is_pattern(groups: _Groups, group: int, reader: int, fusion: Fusion) -> bool:
    if not groups.roles(group) | groups.roles(reader) <= _LIGHT:
        return False
    if groups.kinds(group) & WHOLE_NORMS and groups.kinds(reader) & WHOLE_NORMS:
        return False
    return bool((groups.kinds(group) | groups.kinds(reader)) & fusion.patterns)


def _is_plain_product(groups: _Groups, group: int) -> bool:
    """Of activations with activations."""
    products = [p for m in groups.members[group] if (p := groups.operators[m].product)]
    kinds = groups.kinds(group)
    return len(products) == 1 and not products[0].has_weights and not kinds & CONVOLUTIONS


def _merge_attention(groups: _Groups) -> None:
    """Scores, softmax, weighted values: from the softmax in both directions."""
    for middle in [g for g in sorted(groups.members) if "Softmax" in groups.kinds(g)]:
        values = groups.sole_reader(middle)
        before = _back_to_scores(groups, middle)
        guarded = "IsNaN" in groups.kinds(middle)
        if guarded or not before or values is None or not _is_plain_product(groups, values):
            continue
        for group in before:
            groups.merge(group, middle)
        groups.merge(middle, values)


def _back_to_scores(groups: _Groups, middle: int) -> list[int]:
    """The product of the scores and what scales and masks it, up to the softmax; or nothing."""
    path, at = list[int](), middle
    while True:
        feeding = [g for g in groups.members if groups.sole_reader(g) == at]
        if scores := [g for g in feeding if _is_plain_product(groups, g)]:
            return [*path, scores[0]]
        plain = [g for g in feeding if groups.roles(g) == {"elementwise"}]
        if len(plain) != 1:
            return []
        at = plain[0]
        path.append(at)


def is_attention(operators: Sequence[OperatorCost]) -> bool:
    """Whether a kernel's operators are attention, written out or not."""
    kinds = {o.kind for o in operators}
    return bool(kinds & ATTENTION) or (
        "Softmax" in kinds and sum(o.product is not None for o in operators) == 2
    )


def _is_turn(groups: _Groups, group: int, reader: int) -> bool:
    """A Transpose before or behind a product of activations or an attention."""
    for turn, other in ((group, reader), (reader, group)):
        inner = [groups.operators[m] for m in groups.members[other]]
        if groups.roles(turn) == {"move"} and (
            is_attention(inner) or _is_plain_product(groups, other)
        ):
            return True
    return False


def _is_behind(groups: _Groups, group: int, reader: int, fusion: Fusion) -> bool:
    """Elementwise work, and quantisation, in the last step of a product."""
    heavy = groups.roles(group) & {"product", "attention"}
    if not heavy or groups.roles(reader) - {"elementwise", "quantise"}:
        return False
    convolution = bool(groups.kinds(group) & ALL_CONVOLUTIONS)
    allowed = fusion.behind_convolutions if convolution else fusion.behind_products
    allowed |= NARROWING if fusion.quantisation else frozenset()
    return groups.kinds(reader) <= allowed


def _is_narrowed(groups: _Groups, group: int, reader: int, fusion: Fusion, wires: Wiring) -> bool:
    """An operator with an integer kernel between what was quantised and what quantises it."""
    own = groups.members[group]
    narrow = fusion.integer_kinds is not None and groups.kinds(group) <= fusion.integer_kinds
    return (
        narrow
        and wires.integer.issuperset(own)
        and "QuantizeLinear" not in groups.kinds(group)
        and groups.kinds(reader) == {"QuantizeLinear"}
    )

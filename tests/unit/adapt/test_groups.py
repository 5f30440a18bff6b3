"""Operators in groups: by kind and place, each in exactly one."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from fitwright.adapt.groups import MOST_GROUPS, group_operators
from fitwright.graph.dependencies import Node


def node(name: str, kind: str, *reads: str, weight: tuple[int, ...] = (), **more: int) -> Node:
    return Node(name=name, kind=kind, reads=reads, writes=(f"{name}.out",), weight=weight, **more)


def layer(number: int, source: str, *, width: int = 8) -> list[Node]:
    """One encoder layer that reads the tensor `source` and writes ``L<number>.sum2.out``."""
    p = f"L{number}."
    o = ".out"
    square = (width, width)
    return [
        *(node(p + n, "MatMul", source, weight=square) for n in "qkv"),
        node(p + "flip", "Transpose", p + "k" + o),
        node(p + "scores", "MatMul", p + "q" + o, p + "flip" + o),
        node(p + "softmax", "Softmax", p + "scores" + o),
        node(p + "mixed", "MatMul", p + "softmax" + o, p + "v" + o),
        node(p + "merge", "Reshape", p + "mixed" + o),
        node(p + "out", "MatMul", p + "merge" + o, weight=square),
        node(p + "sum1", "Add", p + "out" + o, source),
        node(p + "up", "MatMul", p + "sum1" + o, weight=(width, 4 * width)),
        node(p + "gelu", "Gelu", p + "up" + o),
        node(p + "down", "MatMul", p + "gelu" + o, weight=(4 * width, width)),
        node(p + "sum2", "Add", p + "down" + o, p + "sum1" + o),
    ]


def encoder(num_layers: int) -> list[Node]:
    nodes = [node("embed", "Gather", "ids", weight=(100, 8))]
    for number in range(num_layers):
        nodes += layer(number, nodes[-1].writes[0])
    return nodes


def computing(nodes: Sequence[Node]) -> list[str]:
    return [n.name for n in nodes if n.kind in ("MatMul", "Gather", "Conv", "Gemm")]


def groups_of(nodes: Sequence[Node]) -> dict[str, tuple[str, ...]]:
    return {g.name: g.operators for g in group_operators(nodes, computing(nodes))}


def test_an_encoder_falls_into_projections_products_outputs_and_feed_forward_parts() -> None:
    found = groups_of(encoder(4))
    assert found["tables"] == ("embed",)
    assert found["attention projections 1/4"] == ("L0.q", "L0.k", "L0.v")
    assert found["attention products 2/4"] == ("L1.scores", "L1.mixed")
    assert found["attention outputs 3/4"] == ("L2.out",)
    assert found["widening layers 4/4"] == ("L3.up",)
    assert found["narrowing layers 3/4"] == ("L2.down",)
    assert found["last layer"] == ("L3.down",)


def test_a_convolutional_network_falls_into_kinds_of_convolutions() -> None:
    nodes = [
        node("stem", "Conv", "x", weight=(8, 3, 3, 3)),
        node("relu", "Relu", "stem.out"),
        node("deep", "Conv", "relu.out", weight=(8, 1, 3, 3), num_groups=8),
        node("point", "Conv", "deep.out", weight=(16, 8, 1, 1)),
        node("wide", "Conv", "point.out", weight=(16, 16, 3, 3)),
        node("head", "Gemm", "wide.out", weight=(16, 10)),
    ]
    assert groups_of(nodes) == {
        "first layer": ("stem",),
        "depthwise convolutions": ("deep",),
        "pointwise convolutions": ("point",),
        "convolutions": ("wide",),
        "last layer": ("head",),
    }


def test_what_computes_nothing_follows_the_group_that_reads_it() -> None:
    by_name = {g.name: g for g in group_operators(encoder(1), computing(encoder(1)))}
    assert set(by_name["attention products"].followers) == {"L0.flip", "L0.softmax"}
    assert by_name["attention outputs"].followers == ("L0.merge",)
    # nothing reads the last sum, so it stays with what it reads
    assert "L0.sum2" in by_name["last layer"].followers


def test_a_group_without_a_quantised_operator_is_left_out() -> None:
    nodes = encoder(1)
    (group,) = group_operators(nodes, ["L0.up"])
    assert (group.name, group.operators) == ("widening layers", ("L0.up",))


@given(st.integers(1, 30))
def test_every_operator_is_in_one_group_and_groups_stay_few(num_layers: int) -> None:
    nodes = encoder(num_layers)
    groups = group_operators(nodes, computing(nodes))
    members = [name for g in groups for name in (*g.operators, *g.followers)]
    assert sorted(members) == sorted(n.name for n in nodes)
    assert 6 <= len(groups) <= MOST_GROUPS + 3  # tables, first and last layer stand apart


def test_a_graph_without_any_layer_has_one_group() -> None:
    nodes = [node("a", "Relu", "x"), node("b", "Add", "a.out", "x")]
    (group,) = group_operators(nodes, ["b"])
    assert group.operators == ("b",)
    assert group.followers == ("a",)

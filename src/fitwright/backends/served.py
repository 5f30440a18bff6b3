"""Whom the nodes serve that a backend added on its own: reorders, conversions, copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def served(
    name: str,
    *,
    operators: Mapping[str, Sequence[str]],
    readers: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    """The model's operators behind the nearest nodes that read what this one makes.

    Args:
        name: a node of the executed graph.
        operators: those of the model that each node stands for.
        readers: of each node, the nodes that read its outputs.

    Returns:
        Nothing for a node that stands for operators itself.
    """
    if operators.get(name):
        return ()
    met: dict[str, None] = {}
    seen, left = {name}, [name]
    while left:
        for reader in readers.get(left.pop(), ()):
            if reader in seen:
                continue
            seen.add(reader)
            met.update(dict.fromkeys(operators.get(reader, ())))
            if not operators.get(reader):
                left.append(reader)
    return tuple(met)

"""One query in several parts that run at once, each on threads of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from fitwright.errors import DataError
from fitwright.ports import Array, Session, Tensors
from fitwright.records.plan import Settings

Answer = dict[str, Array]


def num_streams(settings: Settings) -> int | None:
    """Those stated, or one for each part; None leaves them to the backend."""
    return settings.streams or (settings.parts if settings.parts > 1 else None)


def cut(inputs: Tensors, *, parts: int) -> list[Tensors]:
    """Equal parts of the first axis of every input, as views.

    Raises:
        DataError: an input makes no such parts.
    """
    found: list[dict[str, Array]] = [{} for _ in range(parts)]
    for name, array in inputs.items():
        if not array.shape or array.shape[0] % parts:
            raise DataError(
                f"input '{name}' of shape {array.shape} makes no {parts} equal parts",
                code="FW152",
                remedy="Give arrays of the shapes that the model was fitted for.",
            )
        size = array.shape[0] // parts
        for i, part in enumerate(found):
            part[name] = array[i * size : (i + 1) * size]
    return list(found)


def joined(answers: Sequence[Answer]) -> Answer:
    """The outputs of the parts one behind the other, as fresh arrays."""
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def in_parts(session: Session, settings: Settings) -> Session:
    """The session itself where queries are run whole."""
    return session if settings.parts == 1 else PartedSession(session, parts=settings.parts)


class PartedSession:
    """A session whose model takes a part of a query, as one that takes the whole.

    The caller runs the last part itself while threads that wait for work run the others.

    Args:
        session: safe to call from at least `parts` threads at once.
        parts: that a query is cut into.
    """

    def __init__(self, session: Session, *, parts: int) -> None:
        self._session, self._parts = session, parts
        self.concurrency = max(1, session.concurrency // parts)
        self._others = ThreadPoolExecutor((parts - 1) * self.concurrency, "part")

    def run(self, inputs: Tensors) -> Answer:
        """One query; outputs by name, each a fresh array.

        Raises:
            DataError: names, element types or shapes that the model does not take.
        """
        *others, last = cut(inputs, parts=self._parts)
        running = [self._others.submit(self._session.run, part) for part in others]
        try:
            own = self._session.run(last)
        finally:
            wait(running)  # whatever happens: nobody reads the inputs after this
        return joined([*(part.result() for part in running), own])

    def facts(self) -> Mapping[str, str]:
        """Those of the session, and into how many parts a query is cut."""
        facts = {"parts": str(self._parts), "concurrency": str(self.concurrency)}
        return {**self._session.facts(), **facts}

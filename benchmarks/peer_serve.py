"""The far end of `peer_external`: one compiled model in its own environment, asked over a pipe.

Requests and answers are lines of JSON on stdin and on what was stdout; arrays travel as
``.npz`` files. Whatever the framework prints goes to stderr. Needs numpy only.

Requests: ``{"verb": "feed", "file"}``, ``{"verb": "outputs", "file"}``, ``{"verb": "time",
"seconds", "min_runs"}``. Answers: ``{"value"}``, or ``{"error"}`` and the end.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import numpy as np

Arrays = dict[str, Any]
Prepare = Callable[[Arrays], Any]
Run = Callable[[Any], Any]
Read = Callable[[Any], Arrays]


class Model:
    """A model as its framework runs it.

    Args:
        prepare: from arrays by input name to what `run` takes; not timed.
        run: one query; this is what is timed.
        read: from what `run` gives to arrays by output name; not timed.
        facts: what really runs.
    """

    def __init__(self, *, prepare: Prepare, run: Run, read: Read, facts: Mapping[str, str]) -> None:
        self.prepare, self.run, self.read, self.facts = prepare, run, read, facts
        self.queries: list[Any] = []
        self._next = 0

    def feed(self, file: str) -> int:
        """Take the queries of an ``.npz``, shape (queries, *input shape); how many."""
        with np.load(file) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        num = len(next(iter(columns.values())))
        self.queries = [
            self.prepare({name: column[i] for name, column in columns.items()}) for i in range(num)
        ]
        return num

    def outputs(self, file: str) -> str:
        """Run every query once and write what came, shape (queries, *output shape)."""
        answers = [self.read(self.run(query)) for query in self.queries]
        stacked: Arrays = {name: np.stack([a[name] for a in answers]) for name in answers[0]}
        np.savez(file, **stacked)
        return file

    def time(self, seconds: float, min_runs: int) -> list[float]:
        """Run queries in turn for so long; latency of each, seconds."""
        latencies_s: list[float] = []
        gc.collect()
        gc.disable()
        end = time.perf_counter() + seconds
        while len(latencies_s) < min_runs or time.perf_counter() < end:
            query = self.queries[self._next % len(self.queries)]
            begin = time.perf_counter()
            self.run(query)
            latencies_s.append(time.perf_counter() - begin)
            self._next += 1
        gc.enable()
        return latencies_s


def pipe() -> TextIO:
    """What was stdout; from now on printing goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


def serve(load: Callable[[], Model], answers: TextIO) -> None:
    """Load, say what was loaded, and answer until stdin ends."""
    try:
        begin = time.monotonic()
        model = load()
        say(answers, {"load_s": time.monotonic() - begin, "facts": dict(model.facts)})
        verbs: Mapping[str, Callable[..., object]]
        verbs = {"feed": model.feed, "outputs": model.outputs, "time": model.time}
        for line in sys.stdin:
            request = json.loads(line)
            say(answers, verbs[request.pop("verb")](**request))
    except Exception as error:
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        raise


def say(answers: TextIO, value: object) -> None:
    """One answer."""
    answers.write(json.dumps({"value": value}) + "\n")

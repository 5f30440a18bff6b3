"""A contestant in another Python environment, driven like a worker of Fitwright's executor.

Its process is `peer_serve` under that environment's Python: one block of queries on request,
so that contestants of several environments take turns in one run.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from fitwright.ports import Array, Tensors

ANSWER_S = 300.0  # for each request; compiling a large model takes a minute or two
END_S = 10.0


class PeerFailed(Exception):
    """The contestant's process ended, fell silent or reported an error."""


class ExternalWorker:
    """One compiled model in a process of another environment."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._log = (self._folder / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | environment,
        )
        try:
            loaded = self._answer()
        except PeerFailed:
            self.close()
            raise
        self.load_s: float = loaded["load_s"]
        self.facts: Mapping[str, str] = loaded["facts"]

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries; shape (queries, *input shape)."""
        file = self._folder / "queries.npz"
        np.savez(file, **inputs)  # type: ignore[arg-type, unused-ignore]
        self._ask("feed", file=str(file))

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order; shape (queries, *output shape)."""
        with np.load(self._ask("outputs", file=str(self._folder / "outputs.npz"))) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Run queries in turn, one at a time; latency of each, seconds."""
        return cast("list[float]", self._ask("time", seconds=seconds, min_runs=min_runs))

    def close(self) -> None:
        """End the process, by force if it does not end by itself; clean up if it ended well."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        if self._process.returncode == 0:
            shutil.rmtree(self._folder)

    def _ask(self, verb: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(f"{verb}: the process has ended; {self._last_words()}") from None
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(ANSWER_S):
                self._process.kill()
                raise PeerFailed(f"no answer within {ANSWER_S:g} s; {self._last_words()}")
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailed(f"the process ended; {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer["value"]

    def _last_words(self) -> str:
        self._log.flush()
        lines = (self._folder / "stderr.txt").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

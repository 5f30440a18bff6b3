"""A disk that fills up at every stage of a run: exit code 5, folder and bytes, nothing lost."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fitwright.deliver.manifest import Manifest
from fitwright.errors import Exit, StorageError
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted
from fitwright.records.run import FILES, RunFolder
from fitwright.records.trial import Candidate, Trial
from fitwright.testing.stub_search import StubSearch

pytestmark = pytest.mark.slow

NUM_POINTS = 20
DISK_BYTES = 4 << 20
PAGE = 4096
MESSAGE = re.compile(r"cannot write (\d+) bytes under (\S+): No space left on device")


@dataclass(frozen=True)
class Disk:
    """A small tmpfs, and a file that fills it."""

    path: Path

    @property
    def filler(self) -> Path:
        return self.path / "filler"

    def leave(self, num_bytes: int) -> None:
        """Fill it up to so many bytes."""
        free = os.statvfs(self.path).f_bavail * PAGE
        with self.filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free - num_bytes, 1))

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)

    def used(self) -> int:
        """By anything but the filler."""
        return sum(f.stat().st_blocks * 512 for f in self.path.rglob("*") if f != self.filler)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here, and a full disk needs one of its own")
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield Disk(place)
    subprocess.run(["umount", str(place)], check=True)


def search(folder: Path) -> StubSearch:
    """The model lies outside the small disk, the run on it."""
    return StubSearch(folder=folder)


def check_whole(run: RunFolder) -> None:
    """Every record, trial, variant and the bundle: whole, or not there."""
    for kind in FILES:
        if run.has(kind):
            run.read(kind)
    trials = run.trials()
    assert [t.number for t in trials] == list(range(1, len(trials) + 1))
    if run.has(Adapted):
        for variant in run.read(Adapted).variants[1:]:
            sizes = [(run.path / name).stat().st_size for name in variant.files]
            assert sum(sizes) == variant.size_bytes
    if run.bundle.exists():
        manifest = Manifest.from_file(run.bundle / "manifest.json")
        for file in manifest.files:
            assert (run.bundle / file.path).stat().st_size == file.bytes
    if run.report.exists():
        assert run.report.read_text().rstrip().endswith("</html>")
    left = [p for p in run.path.rglob("*") if p.name.startswith((".bundle.", ".making-"))]
    temporary = [p for p in run.path.rglob(".*.json*") if p.is_file()]
    assert left + temporary == [], "something half-written was left"


def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(disk: Disk, tmp_path: Path) -> None:
    undisturbed = RunFolder(disk.path / "undisturbed")
    best = search(tmp_path).fit(undisturbed).candidate
    whole = disk.used()
    subprocess.run(["rm", "-r", str(undisturbed.path)], check=True)
    stopped = []
    for point in range(NUM_POINTS):
        run = RunFolder(disk.path / f"run-{point}")
        disk.leave(PAGE * round(whole / PAGE * point / NUM_POINTS))
        try:
            search(tmp_path).fit(run)
        except StorageError as error:
            assert error.exit == Exit.STOPPED == 5
            found = MESSAGE.search(error.rule)
            assert found, error.rule
            assert Path(found[2]).is_relative_to(run.path) or run.path.is_relative_to(found[2])
            stopped.append(found[2])
        before = run.trials() if run.path.exists() else ()
        if run.path.exists():
            check_whole(run)
        disk.free()
        verdict = search(tmp_path).fit(run)
        assert run.trials()[: len(before)] == before, "a trial was lost"
        assert verdict.candidate == best
        check_whole(run)
        subprocess.run(["rm", "-r", str(run.path)], check=True)
    # room for all but the last twentieth never suffices; which files the rest takes may vary
    assert len(stopped) >= NUM_POINTS - 2
    assert len(set(stopped)) >= 3, "several writers met the full disk"


def trial(number: int, *, num_bytes: int) -> Trial:
    candidate = Candidate(variant_id="a", title="a", backend="b", settings=Settings())
    return Trial(
        number=number, round=1, candidate=candidate, decision="rejected", reason="x" * num_bytes
    )


@pytest.mark.parametrize("room", [0, 1, 3, 8])
def test_the_store_alone_keeps_all_it_has_returned(disk: Disk, room: int) -> None:
    run = RunFolder(disk.path / "run")
    kept = [run.record_trial(trial(1, num_bytes=100))]
    disk.leave(room * PAGE)
    with pytest.raises(StorageError, match=r"cannot write \d+ bytes under .*/run: No space") as e:
        for number in range(2, 100):
            kept.append(run.record_trial(trial(number, num_bytes=3000)))
    assert e.value.code == "FW520"
    assert RunFolder(run.path).trials() == tuple(kept)
    disk.free()
    kept.append(run.record_trial(trial(len(kept) + 1, num_bytes=3000)))
    assert RunFolder(run.path).trials() == tuple(kept)


def test_a_store_that_cannot_be_begun_is_told_as_such(disk: Disk) -> None:
    disk.leave(0)
    with pytest.raises(StorageError, match=r"cannot write .* under .*: No space left"):
        RunFolder(disk.path / "run").record_trial(trial(1, num_bytes=100))
    disk.free()
    assert RunFolder(disk.path / "run").trials() == ()
    RunFolder(disk.path / "run").record_trial(trial(1, num_bytes=100))
    assert len(RunFolder(disk.path / "run").trials()) == 1

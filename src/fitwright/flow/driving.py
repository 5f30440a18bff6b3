"""Who works on a run: one process at a time, on one machine or on several."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fitwright.errors import UsageError
from fitwright.ports import Console
from fitwright.records.hold import held
from fitwright.records.recipe import Adapted
from fitwright.records.run import FILES, RunFolder, storage_error
from fitwright.records.trial import Trial
from fitwright.store.driver import driver
from fitwright.store.lease import LEASE_S

WRITTEN = (*FILES.values(), "report.html")


@contextmanager
def driving(run: RunFolder, *, console: Console, lease_s: float = LEASE_S) -> Iterator[None]:
    """This process is the only one at work on the run until the block ends.

    Two at once would disturb each other's timings. The folder is held by the kernel, which
    lets go when the process dies; a database that keeps the run as well gives a lease, since
    the run may have a folder on another machine.

    Args:
        lease_s: silence after which another process may take the run over, seconds.

    Raises:
        UsageError: another process is at work on the run.
        StorageError: its folder cannot be made, or the database does not answer.
        RunStopped: raised when a trial is recorded and another has taken over meanwhile.
    """
    with _folder(run.path), held(run.path) as is_certain:
        if is_certain:
            _remove_half_made(run)
        if not run.is_shared:
            yield
            return
        before = run.store
        with driver(before, say=console.say, lease_s=lease_s) as run.store:
            try:
                yield
            finally:
                run.store = before


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """The folder is there; what stays empty is gone afterwards."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, path.parent, 0) from error
    try:
        yield
    finally:
        with suppress(OSError):  # innermost first; what holds something by now stays
            for folder in made:
                folder.rmdir()


def _remove_half_made(run: RunFolder) -> None:
    """What a killed driver was making or writing: whoever does holds the run, as we do now."""
    for folder in run.variants.glob(".making-*"):  # see `adapt.variants.scratch`
        shutil.rmtree(folder, ignore_errors=True)
    torn = [file for name in WRITTEN for file in run.path.glob(f".{name}.*")]
    for file in (*torn, *run.variants.glob(".done/.*.json.*")):  # see `write_atomically`
        file.unlink(missing_ok=True)


def refuse_trials_of_elsewhere(trials: Sequence[Trial], adapted: Adapted, *, folder: Path) -> None:
    """A run may have gone on in another folder, where its variants are.

    Raises:
        UsageError: trials name variants that this folder lacks.
    """
    missing = {t.candidate.variant_id for t in trials} - {v.id for v in adapted.variants}
    if missing:
        raise UsageError(
            f"{folder} lacks {len(missing)} variant(s) that trials in the database are of: the "
            "run has gone on in another folder",
            code="FW162",
            remedy=f"Go on in that folder, or copy it over {folder} first.",
        )

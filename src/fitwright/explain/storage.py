"""The trial store: what keeps it from being opened or written."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.explain.explanation import Explanation

STORAGE: Mapping[str, Explanation] = {
    "FW160": Explanation(
        title="This is not the URL of a database.",
        why="Workers on several machines share their trials through a database. Its URL is "
        "read as SQLAlchemy reads it.",
        fix="Write scheme, user, host and name of the database.",
        example="postgresql://fitwright@db.example/trials",
    ),
    "FW161": Explanation(
        title="The database that this run shares is not named.",
        why="The run was begun with --store. Its folder holds a copy of every trial and can be "
        "read without the database, but what is tried from now on belongs there too.",
        fix="Name the database; the run knows its own name in it.",
        example="fitwright tune runs/digits-1 --store postgresql://fitwright@db.example/trials",
    ),
    "FW162": Explanation(
        title="The run has gone on in another folder.",
        why="Its trials are in a database, the variants that they are of in a folder, and this "
        "one is an older copy.",
        fix="Go on in the other folder, or copy it over this one.",
        example="rsync -a --delete other:runs/digits-1/ runs/digits-1/",
    ),
    "FW308": Explanation(
        title="A package behind the trial store is not installed.",
        why="A run keeps its trials in a file, which needs nothing. Any other database needs "
        "SQLAlchemy and the driver of that database.",
        fix="Install the extra; drivers other than PostgreSQL's come from their own packages.",
        example="pip install 'fitwright[store]'",
    ),
    "FW500": Explanation(
        title="Another process has gone on with this run.",
        why="This one gave no sign of life for as long as its lease lasts (30 s): it was stopped, "
        "or the database was out of its reach. Only one may work on a run, so it ends without "
        "recording what it was measuring.",
        fix="Leave the run to the other one. Everything that was recorded before is kept.",
    ),
    "FW522": Explanation(
        title="Another process holds the trial store.",
        why="Writers of one run come one after another, each for milliseconds. One that holds "
        "the lock for longer was probably stopped in the middle, or the folder is on a network "
        "file system without working locks.",
        fix="End the other process; nothing it has recorded is lost.",
    ),
    "FW523": Explanation(
        title="The database of the trial store did not answer, or refused.",
        why="It is down, out of reach, full, or does not let this user write. Everything that "
        "was recorded before is kept.",
        fix="See to the database, then go on from the last trial.",
        example="fitwright tune runs/digits-1",
    ),
}

"""What is left below the test's own process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil

GONE_S = 5.0
"""In what time every process must have ended, of a machine that does nothing else."""
LOOK_S = 0.02
PATIENCE_S = 60.0
"""With a machine that stands still now and then, where no more than an end is waited for."""
TEMPLATE = "from fitwright.executors.template import serve"


def trial_processes() -> set[int]:
    """Everything below this process except the templates, which wait to be copied."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            parent, words = process.ppid(), " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if parent != os.getpid() or TEMPLATE not in words:
            found.add(process.pid)
    return found


def gone(alive: Callable[[], object]) -> bool:
    """Whether it becomes empty within the time allowed.

    Looks are counted, not seconds: where the machine stands still or is busy with something
    else, the looks take longer just as the ending does.
    """
    for _ in range(round(GONE_S / LOOK_S)):
        if not alive():
            return True
        time.sleep(LOOK_S)
    return not alive()


def children_of_templates(top: psutil.Process) -> set[int]:
    """Wardens and workers beneath a process, wherever their templates are."""
    found = set()
    for process in top.children(recursive=True):
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            parent = process.parent()
            copied = TEMPLATE in " ".join(process.cmdline())
            if copied and parent is not None and TEMPLATE in " ".join(parent.cmdline()):
                found.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found

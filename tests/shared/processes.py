"""What is left below the test's own process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil

GONE_S = 60.0
"""Ending takes milliseconds; the rest is for a machine that stands still now and then."""
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
    """Whether it becomes empty within the time allowed."""
    end = time.monotonic() + GONE_S
    while alive() and time.monotonic() < end:
        time.sleep(0.02)
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

"""Where trials run: slots of this machine, and nodes of a cluster. Exit codes 2 and 4."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.explain.explanation import Explanation

PLACING: Mapping[str, Explanation] = {
    "FW153": Explanation(
        title="There are fewer cores than measuring slots.",
        why="What is measured at the same time must not share a core, and cores set aside for "
        "other work measure nothing.",
        fix="Ask for fewer slots. With one slot, which is the default, other work stands still "
        "during a measurement.",
    ),
}

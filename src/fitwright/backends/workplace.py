"""Where the temporary files of a toolkit go."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """A temporary folder in `parent`, which the toolkit's own temporary files share.

    So whatever a pass that was killed leaves behind is cleared with the folder of the pass.
    """
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before

"""Ctrl-C and SIGTERM end the command, wherever they strike."""

from __future__ import annotations

import signal
import sys
import threading
import time

AGAIN_S = 0.01  # later, so that it does not strike in the same finaliser


def end_when_interrupted() -> None:
    """SIGTERM ends as Ctrl-C does, and neither is lost in a finaliser.

    Python drops what is raised inside a finaliser, a weak reference's callback or the garbage
    collector's: an interrupt that happens to strike there would be shown as ignored, and the
    command would go on. Such an interrupt is sent once more.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _again


def _again(dropped: sys.UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        threading.Thread(target=_strike, daemon=True).start()
        return
    sys.__unraisablehook__(dropped)


def _strike() -> None:
    """To the main thread itself, so that what it waits for is interrupted too."""
    main = threading.main_thread().ident
    time.sleep(AGAIN_S)
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)  # SIGINT may be ignored: in a script, say

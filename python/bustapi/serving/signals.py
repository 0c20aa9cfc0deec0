"""The signals that stop a server, while it serves on other threads than the main one.

Theory of operation: the native server hears of a signal from Python's handler in C, which is
there only for signals that have a handler in Python. So SIGINT and SIGTERM get one that does
nothing, unless the program has set its own; that one is called, too, on the main thread, which
runs no view. Forked children of views are no servers: they get back what was there before.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import typing as t

if t.TYPE_CHECKING:
    from types import FrameType

#: What ends a server in good order, and at once when it comes a second time.
STOPPING = (signal.SIGTERM, signal.SIGINT)

#: What was there, by the signals whose handlers are replaced now; ``None`` while no server hears.
_replaced: dict[int, t.Any] | None = None


@contextlib.contextmanager
def heard() -> t.Generator[None, None, None]:
    """Have Python note the stopping signals, and do no more about them than the program asks."""
    global _replaced
    _replaced = {}

    for number in STOPPING:
        handler = signal.getsignal(number)

        if handler is signal.default_int_handler or not callable(handler):
            _replaced[number] = handler
            signal.signal(number, _note)

    try:
        yield
    finally:
        _give_back()


def _note(number: int, frame: FrameType | None) -> None:
    """Handle a signal that the server has heard of."""


def _give_back() -> None:
    global _replaced
    replaced, _replaced = _replaced or {}, None

    for number, handler in replaced.items():
        # Else the program has set its own meanwhile. What was not set from Python cannot be told.
        if signal.getsignal(number) is _note:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class _Forking(threading.local):
    """A fork that is under way on this thread."""

    #: The signals that were blocked before; ``None`` if nothing is to be done about it.
    mask: t.Iterable[int] | None = None

    def begin(self) -> None:
        """Hold signals back: a child would tell them to its parent's server."""
        if _replaced is not None:
            self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def end(self) -> None:
        """Go on as before, in the parent and in the child."""
        if self.mask is not None:
            mask, self.mask = self.mask, None
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def end_in_child(self) -> None:
        """Let go of what the server has set."""
        if self.mask is not None:
            signal.set_wakeup_fd(-1)
            _give_back()

        self.end()


_forking = _Forking()
os.register_at_fork(
    before=_forking.begin,
    after_in_parent=_forking.end,
    after_in_child=_forking.end_in_child,
)

"""A worker process, as its parent knows it, and the parent, as the worker does."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    import socket

# What a worker says: it serves, it takes no new connections, it could not start.
SERVES, LEAVES, FAILS = b"r", b"l", b"f"
# What it is told: to drain, to end at once, to tell the user why it could not start.
STOP, END, TELL = b"s", b"q", b"t"


class ParentLine:
    """A worker's end of the line to its parent."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def fileno(self) -> int:
        """The file descriptor, for the server to go on with."""
        return self._line.fileno()

    def say_serves(self) -> None:
        """Say that this process serves."""
        # A parent that is gone is noticed where it is listened to.
        with contextlib.suppress(OSError):
            self._line.send(SERVES)

    def may_tell(self) -> bool:
        """Say that this process cannot start; whether it is the one to tell the user why.

        Of several that fail alike, it is one. The others wait here for the end.
        """
        try:
            self._line.send(FAILS)
            return self._line.recv(1) == TELL
        except OSError:
            return False

    def hear(self) -> bytes:
        """What the parent says; nothing when it is gone."""
        try:
            return self._line.recv(64)
        except OSError:
            return b""

    def close(self) -> None:
        """Close this end."""
        self._line.close()


@dataclass(eq=False)
class Worker:
    """A worker process."""

    process_id: int
    slot: int
    line: socket.socket
    #: Whom it replaces once it serves.
    predecessor: Worker | None
    started: float = field(default_factory=time.monotonic)
    serves: bool = False
    #: Whether it was told to end or does so by itself, and another has its slot.
    leaves: bool = False
    #: When it is killed, and since when it stands still.
    kill_at: float | None = None
    still_since: float | None = None

    def tell(self, what: bytes) -> None:
        """Say something on its line."""
        # It may be gone, or hear nothing any more: then its time runs out.
        with contextlib.suppress(OSError):
            self.line.send(what)

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal."""
        # It may have ended a moment ago.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process_id, number)


def describe_end(status: int | None) -> str:
    """How a process ended, in words, from what `os.waitpid` says of it."""
    if status is None:
        return "ended"

    code = os.waitstatus_to_exitcode(status)

    if code >= 0:
        return f"exited with status {code}"

    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        # A real-time signal without a name.
        return f"was killed by signal {-code}"

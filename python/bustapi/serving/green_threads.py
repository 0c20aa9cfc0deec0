"""Whether a library has put green threads in the place of the interpreter's.

gevent's ``monkey.patch_all()`` and eventlet's ``monkey_patch()`` replace locks, queues and threads
by ones that belong to one event loop each, and know nothing of each other. The native server calls
views on threads of its own, so a lock would never be passed on from one to another: requests hang,
or are lost. Sockets, clocks and the rest may be patched; they work within one thread.
"""

from __future__ import annotations

import sys
import typing as t

#: How to serve with each of the libraries.
_WAYS = {
    "gevent": "'gunicorn -k gevent MODULE:APP'",
    "eventlet": "'eventlet.wsgi.server(eventlet.listen(ADDRESS), APP)'",
}


class GreenThreadsError(RuntimeError):
    """The native server cannot work with the threads that there are; says what does."""


def check_threads() -> None:
    """Refuse threads that are not the interpreter's.

    :raises GreenThreadsError: a library has replaced them.
    """
    library = _find_library()

    if library is not None:
        raise GreenThreadsError(
            f"{library} has replaced Python's threads (monkey patching), which BustAPI's own server"
            f" needs: serve the application as WSGI with {_WAYS[library]}, or do not patch"
            " threads and queues"
        )


def _find_library() -> str | None:
    # Where nothing has imported them, they have patched nothing.
    gevent: t.Any = sys.modules.get("gevent.monkey")

    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "queue"))):
        return "gevent"

    eventlet: t.Any = sys.modules.get("eventlet.patcher")

    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"

    return None

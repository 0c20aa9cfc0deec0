"""The event loop that coroutine views run on: one per process, on a thread of its own.

uvloop's where it is installed, else asyncio's.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import typing as t

from ._native import set_event_loop

if t.TYPE_CHECKING:
    from ._native import LoopDriver

#: Whether a task can run its first step while it is made.
HAS_EAGER_TASKS = sys.version_info >= (3, 12)
#: Whether a task can be given the context that it runs in; without, views are run elsewhere.
HAS_TASK_CONTEXTS = sys.version_info >= (3, 11)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the loop."""
    try:
        # Optional: faster where it is installed.
        import uvloop  # pyright: ignore[reportMissingImports]
    except ImportError:
        return asyncio.new_event_loop()

    make_loop: t.Any = uvloop.new_event_loop  # pyright: ignore[reportUnknownMemberType]
    return t.cast("asyncio.AbstractEventLoop", make_loop())


def run_in_thread(
    event_loop: asyncio.AbstractEventLoop, file_descriptor: int, driver: LoopDriver
) -> None:
    """Run the loop for as long as the process lives, or until somebody closes it.

    It is run again when a task of the application has stopped it, or has raised what asyncio
    lets through: ``SystemExit`` and ``KeyboardInterrupt``.

    :param file_descriptor: readable when the driver has something to do.
    """

    def run() -> None:
        asyncio.set_event_loop(event_loop)
        event_loop.add_reader(file_descriptor, driver.drain)

        while not event_loop.is_closed():
            try:
                event_loop.run_forever()
            except BaseException as error:  # noqa: BLE001 other requests need the loop
                driver.report(error)

    threading.Thread(target=run, name="bustapi-loop", daemon=True).start()


set_event_loop(new_event_loop, run_in_thread, HAS_EAGER_TASKS)

"""Several processes: started, watched, replaced and ended by a parent that outlives them.

Theory of operation: the parent has the sockets. Each worker is forked with those of its slot,
which stay open here, so that what connects while a worker is replaced waits for the next one.
When all are to stop the parent closes its own first: what connects then is refused, as soon as
the workers have taken what waits.

Parent and worker have a pair of sockets between them (see `bustapi_core::lifeline`). The worker
says when it serves, when it takes no new connections any more, and when it cannot start. The
parent tells it to stop there and not by a signal: a terminal or a service manager sends its
own to all processes, and a second signal ends a worker at once. The end of the line, and
where there is one the parent-death signal, end a worker whose parent is gone.

Nothing here knows the application, and this process need not have imported it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import time
import typing as t
import warnings

import click

from .._native import end_with_parent
from .server import end_process, flush_streams
from .worker import END, FAILS, LEAVES, SERVES, STOP, TELL, ParentLine, Worker, describe_end

if t.TYPE_CHECKING:
    from types import FrameType

    from .._native import Listener

_logger = logging.getLogger("bustapi.server")

#: What a worker ends with whose server fails; hardly what else ends a process with
#: (`EX_SOFTWARE`).
FAILED = 70
#: A worker that ended so soon (in seconds) is one that may end as soon the next time.
_STARTUP_TIME = 1.0
#: Seconds before such a worker is replaced, so that one that a request killed is missed for no
#: longer. From then on twice as many each time, up to the most.
_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
#: Seconds that a worker may stand still (SIGSTOP) before it is replaced.
_STANDSTILL = 10.0
#: Seconds that a worker may take to end after the drain time, and when told to end at once.
_ENDING_TIME = 3.0
_QUICK_ENDING_TIME = 1.0
#: Seconds that workers have when the parent of this process is gone, as those that it has itself.
_GONE_TIME = 1.5

_GRACEFUL = frozenset({signal.SIGTERM, signal.SIGINT})
_UNSUPPORTED = frozenset({signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU})
_ALWAYS_HANDLED = frozenset({*_GRACEFUL, signal.SIGCHLD})
_HANDLED = frozenset(
    {*_ALWAYS_HANDLED, *_UNSUPPORTED, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1}
)

_Handler: t.TypeAlias = "t.Callable[[int, FrameType | None], t.Any] | int | None"


class Supervisor:
    """Keeps a process running for each slot.

    :param work: what a process does with the sockets of its slot, to its end.
    :param slots: the sockets of each.
    :param drain_timeout: seconds for open requests after a stop was asked for.
    :param when_serving: called when the first process serves.
    :param parent: the line to the parent of this process, if it is a worker itself.
    """

    def __init__(
        self,
        work: t.Callable[[list[Listener], ParentLine], None],
        slots: list[list[Listener]],
        *,
        drain_timeout: float,
        when_serving: t.Callable[[], None] = lambda: None,
        parent: ParentLine | None = None,
    ) -> None:
        self.work = work
        self.slots = slots
        self.when_serving = when_serving
        self.parent = parent
        # A parent gives more time than its child gives its own children.
        generations = 1 if parent is not None else 2
        self._ending_time = _ENDING_TIME + (generations - 1) * _QUICK_ENDING_TIME
        self._quick_ending_time = generations * _QUICK_ENDING_TIME
        self._drain_timeout = drain_timeout
        self._workers: list[Worker] = []
        #: When a slot gets its next process, and how many have ended at once before it.
        self._due: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._has_served = False
        self._is_stopping = False
        self._is_asked = False
        #: The process that tells the user why none can start.
        self._teller: Worker | None = None
        self._status = 0
        self._selector = selectors.DefaultSelector()
        self._previous: dict[int, _Handler] = {}
        self._wakeup: tuple[socket.socket, socket.socket] | None = None

    def run(self) -> None:
        """Serve until told to stop. In a worker, it raises what kept it from starting.

        :raises SystemExit: a process ended before any one served, or all were ended at once.
        """
        self._take_signals()

        try:
            for slot in range(len(self.slots)):
                self._start(slot)

            while self._workers or self._due:
                self._turn()
        finally:
            self._give_signals_back()

        if self._status:
            sys.exit(self._status)

    # --- signals

    def _take_signals(self) -> None:
        reading, writing = self._wakeup = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ)

        if self.parent is not None:
            self._selector.register(self.parent, selectors.EVENT_READ)

        for number in _HANDLED:
            # A program's own handler stays, and so does that a signal is ignored.
            if number in _ALWAYS_HANDLED or signal.getsignal(number) == signal.SIG_DFL:
                self._previous[number] = signal.signal(number, _note)

    def _give_signals_back(self) -> None:
        if self._wakeup is None:
            return

        signal.set_wakeup_fd(-1)

        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

        self._selector.close()

        for end in self._wakeup:
            end.close()

        self._wakeup = None

    def _react(self, number: int) -> None:
        if number in _GRACEFUL and self._is_asked:
            self._status = 128 + number
            self._end()
        elif number in _GRACEFUL:
            self._is_asked = True
            self._stop()
        elif number == signal.SIGQUIT:
            self._end()
        elif number == signal.SIGHUP:
            self._renew()
        elif number in _UNSUPPORTED:
            _logger.warning("%s has no effect on this server.", signal.Signals(number).name)

    # --- one turn

    def _turn(self) -> None:
        """Wait for what comes next, and do what has to be done."""
        times = [*self._due.values()]
        times += [worker.kill_at for worker in self._workers if worker.kill_at is not None]
        times += [
            worker.still_since + _STANDSTILL
            for worker in self._workers
            if worker.still_since is not None
        ]
        timeout = max(min(times) - time.monotonic(), 0) if times else None

        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, Worker):
                self._hear(key.data)
            elif key.fileobj is self.parent:
                self._obey()
            elif self._wakeup is not None:
                for number in self._wakeup[0].recv(256):
                    self._react(number)

        self._reap()
        self._keep_time()

    def _hear(self, worker: Worker) -> None:
        """Listen to a worker."""
        try:
            said = worker.line.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""

        if not said:
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.line)

        for number in said:
            what = bytes([number])

            if what == SERVES:
                self._note_serving(worker)
            elif what == LEAVES and not worker.leaves:
                self._note_leaving(worker)
            elif what == FAILS and (self._teller is None or self._has_served):
                self._teller = worker
                worker.tell(TELL)

    def _note_serving(self, worker: Worker) -> None:
        worker.serves = True

        if not self._has_served:
            self._has_served = True
            self.when_serving()

            if self.parent is not None:
                self.parent.say_serves()

        if worker.predecessor is not None:
            self._dismiss(worker.predecessor)
            worker.predecessor = None

    def _note_leaving(self, worker: Worker) -> None:
        """Replace a worker that somebody else told to end: nobody else takes its connections."""
        worker.leaves = True
        worker.kill_at = self._end_of_drain()
        _logger.warning("Worker %d was told to end; starting another.", worker.process_id)
        self._start(worker.slot)

    def _obey(self) -> None:
        """Do what the parent says."""
        assert self.parent is not None
        said = self.parent.hear()

        if END in said:
            self._end()
            return

        self._stop()

        if not said:
            self._selector.unregister(self.parent)

            for worker in self._workers:
                worker.kill_at = time.monotonic() + _GONE_TIME

    def _reap(self) -> None:
        """Take note of processes that ended, stopped or went on."""
        for worker in [*self._workers]:
            try:
                process_id, status = os.waitpid(
                    worker.process_id, os.WNOHANG | os.WUNTRACED | os.WCONTINUED
                )
            except ChildProcessError:
                # Another part of the program has waited for it.
                self._bury(worker, None)
                continue

            if not process_id:
                continue

            if os.WIFSTOPPED(status):
                worker.still_since = time.monotonic()
            elif os.WIFCONTINUED(status):
                worker.still_since = None
            else:
                self._bury(worker, status)

        if os.getpid() == 1:
            # The first process of a system or a container inherits those that others left.
            known = {worker.process_id for worker in self._workers}

            with contextlib.suppress(ChildProcessError):
                while (
                    ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                ) and ended.si_pid not in known:
                    os.waitpid(ended.si_pid, os.WNOHANG)

    def _bury(self, worker: Worker, status: int | None) -> None:
        """Take note of a process's end, and see to its successor."""
        # Read what the worker wrote before it ended.
        self._hear(worker)
        self._workers.remove(worker)

        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.line)

        worker.line.close()

        if self._teller is worker:
            self._teller = None

        if self._is_stopping or worker.leaves:
            return

        has_exited = status is not None and os.WIFEXITED(status)

        if has_exited and not self._has_served:
            self._give_up(os.waitstatus_to_exitcode(t.cast("int", status)))
            return

        how = describe_end(status)

        if worker.predecessor is not None and worker.predecessor in self._workers:
            _logger.error(
                "Worker %d %s before it served; the one before it goes on.", worker.process_id, how
            )
            return

        if worker.serves and time.monotonic() - worker.started > _STARTUP_TIME:
            self._failures[worker.slot] = 0
            _logger.error("Worker %d %s; starting another.", worker.process_id, how)
            self._start(worker.slot)
            return

        pause = self._postpone(worker.slot)
        _logger.error("Worker %d %s; starting another in %.1f s.", worker.process_id, how, pause)

    def _postpone(self, slot: int) -> float:
        """Start a slot's next process later, the later the more have failed; in how long."""
        failures = self._failures.get(slot, 0)
        self._failures[slot] = failures + 1
        pause = min(_PAUSE * 2.0 ** min(failures, 30), _LONGEST_PAUSE)
        self._due[slot] = time.monotonic() + pause
        return pause

    def _keep_time(self) -> None:
        """Do what is due."""
        now = time.monotonic()

        for worker in self._workers:
            if worker.kill_at is not None and worker.kill_at <= now:
                worker.kill_at = worker.still_since = None
                _logger.error("Worker %d does not end in time and is killed.", worker.process_id)
                worker.kill(signal.SIGKILL)
            elif worker.still_since is not None and worker.still_since + _STANDSTILL <= now:
                worker.still_since = None
                _logger.error("Worker %d stands still and is killed.", worker.process_id)
                worker.kill(signal.SIGKILL)

        for slot in [slot for slot, when in self._due.items() if when <= now]:
            del self._due[slot]
            self._start(slot)

    # --- ending

    def _end_of_drain(self) -> float:
        return time.monotonic() + self._drain_timeout + self._ending_time

    def _dismiss(self, worker: Worker) -> None:
        """Have a worker finish what it has, and end."""
        worker.leaves = True
        worker.kill_at = self._end_of_drain()
        worker.tell(STOP)

        if not worker.serves:
            # It does not listen yet.
            worker.kill(signal.SIGTERM)

    def _stop(self) -> None:
        """Have all workers finish what they have, and end."""
        if self._is_stopping:
            return

        self._is_stopping = True
        self._due.clear()

        for listener in (listener for slot in self.slots for listener in slot):
            listener.close()

        for worker in self._workers:
            self._dismiss(worker)

    def _end(self) -> None:
        """End all workers at once."""
        self._stop()

        for worker in self._workers:
            worker.kill_at = time.monotonic() + self._quick_ending_time
            worker.tell(END)

            if not worker.serves:
                worker.kill(signal.SIGKILL)

    def _give_up(self, status: int) -> None:
        """End, as a process has ended before any one served; it has told why."""
        if status == FAILED:
            click.secho("Error: a worker failed to start.", fg="red", err=True)
            status = 1

        self._status = status
        self._end()

    def _renew(self) -> None:
        """Start a new process for each slot; the old one leaves when the new one serves."""
        if self._is_stopping:
            return

        for worker in [*self._workers]:
            is_replaced = any(other.predecessor is worker for other in self._workers)

            if worker.serves and not worker.leaves and not is_replaced:
                self._start(worker.slot, worker)

    # --- starting

    def _start(self, slot: int, predecessor: Worker | None = None) -> None:
        """Start a process, unless all are to stop."""
        if self._is_stopping:
            return

        flush_streams()
        parent_id = os.getpid()
        # A signal that came in between would be handled by the worker as by its parent, or
        # the parent would not tell this worker.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)

        try:
            ours, theirs = socket.socketpair()

            try:
                process_id = _fork()
            except OSError:
                ours.close()
                theirs.close()
                raise
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            pause = self._postpone(slot)
            _logger.error("No worker can be started (%s); trying again in %.1f s.", error, pause)
            return

        if process_id == 0:
            ours.close()
            self._be_worker(slot, theirs, parent_id, mask)

        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        ours.setblocking(False)
        worker = Worker(process_id, slot, ours, predecessor)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _be_worker(
        self, slot: int, line: socket.socket, parent_id: int, mask: t.Iterable[int]
    ) -> t.NoReturn:
        """Be a worker, to the end of this process or of its start."""
        self._give_signals_back()

        # Until the server has its own handlers, a signal simply ends the worker.
        for number in _GRACEFUL:
            signal.signal(number, signal.SIG_DFL)

        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        end_with_parent()

        if os.getppid() != parent_id:
            # It was gone before the system was asked.
            os._exit(FAILED)

        for worker in self._workers:
            worker.line.close()

        if self.parent is not None:
            self.parent.close()

        for other, listeners in enumerate(self.slots):
            for listener in listeners:
                listener.leave_file()

                if other != slot:
                    listener.close()

        parent = ParentLine(line)

        self.work(self.slots[slot], parent)
        end_process(0)


def _note(number: int, frame: FrameType | None) -> None:
    """A handler for signals that are read from the wake-up socket."""


def _fork() -> int:
    with warnings.catch_warnings():
        # What Python says of threads from 3.12 on is said by name where it matters.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()

"""What is said of an application: requirements, ways to start it, script, normalisations."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import programs
from .client import Client

#: The frameworks that an application is put on.
FLASK = "flask"
BUSTAPI = "bustapi"


@dataclass(frozen=True)
class Normalisation:
    """Something that differs from run to run on one framework already.

    :param pattern: what is replaced, in header values and bodies; with a group named ``keep``
        before it, that much stays.
    :param why: what makes it random.
    """

    pattern: str
    why: str
    replacement: str = "*"

    def apply(self, text: str) -> str:
        """Replaces each occurrence."""

        def replace(match: re.Match[str]) -> str:
            return match.groupdict().get("keep", "") + self.replacement

        return re.sub(self.pattern, replace, text)


#: When a cookie ends that lives on; a deleted one ends in 1970, and must.
COOKIE_EXPIRES = Normalisation(
    r"(?P<keep>Expires=)\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT", "counted from now"
)


@dataclass(frozen=True)
class Way:
    """One way to serve an application.

    In the words of `command` these stand for themselves: ``{port}``, ``{folder}`` (where it runs),
    ``{flask}`` (the framework's command line, with Flask's compatibility where it is bustapi's),
    ``{program}`` (runs a script of the environment, or ``-m module``, on the framework).
    """

    label: str
    framework: str
    command: tuple[str, ...]
    #: Ended by this status when it is told to end; `None` if any is as good.
    status: int | None = None


def served_by_bustapi(app: str, *options: str) -> tuple[Way, ...]:
    """The command line with one worker and with two."""
    return tuple(
        Way(
            f"{workers} worker" + "s" * (workers > 1),
            BUSTAPI,
            (
                *("{flask}", "--app", app, "run", "--port", "{port}"),
                *("--workers", str(workers), *options),
            ),
            status=0,
        )
        for workers in (1, 2)
    )


@dataclass(frozen=True)
class Application:
    """An application, and all that is needed to compare it."""

    name: str
    #: With versions. What they need in turn is as of `environment.AS_OF`.
    requirements: tuple[str, ...]
    #: The first one is on Flask; the others are compared with it.
    ways: tuple[Way, ...]
    script: Callable[[Client], None]
    #: Written into the folder it runs in, before `setup`.
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    #: Commands, as those of a `Way`, that run to their end before the server starts.
    setup: tuple[tuple[str, ...], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    normalisations: tuple[Normalisation, ...] = ()
    #: Requests per connection. An application that keeps its state in the memory of one process
    #: needs all of a script's requests on one.
    per_connection: int = 3
    #: Answers to this, with any status, when it is ready.
    ready: str = "/"
    #: Seconds until it is ready.
    patience: float = 90.0
    #: Whether exchanges come in no certain order, as a browser's do.
    unordered: bool = False
    #: Why the number of tracebacks in the log says nothing, if so.
    log_is_different: str = ""
    #: Programs that must be on the path, with the Debian package that has them.
    programs: Mapping[str, str] = field(default_factory=dict)


def load_applications() -> list[Application]:
    """All applications, by name."""
    found = [
        importlib.import_module(f"{programs.__name__}.{module.name}").APPLICATION
        for module in pkgutil.iter_modules(programs.__path__)
    ]
    return sorted(found, key=lambda application: application.name)

"""What can be set of the server: one table, and how a value is read.

Every way to set something is made from this table: the options of ``bustapi run``, environment
variables, keyword arguments of ``app.run()`` and `bustapi.serving.serve`, and the table in
``docs/deployment.md``. A setting's name is the keyword (``max_head_size``); option and variable
follow from it (``--max-head-size``, ``BUSTAPI_MAX_HEAD_SIZE``).

Limits and time-outs are the native server's own: what they are by default, and what they may be,
is asked of `ServerConfig` and written nowhere else. The rest is for those who start servers.
Settings of Flask's ``run`` that concern development (``--reload``, ``--cert`` and so on) have
Flask's names and are not here.
"""

from __future__ import annotations

import difflib
import os
import typing as t
from dataclasses import dataclass
from enum import Enum

from .._native import ServerConfig

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The value of a setting.
Value = str | int | float | bool | None

#: Limits and time-outs with what they are by default.
SERVER_DEFAULTS: t.Final = ServerConfig().values()
#: Words for "on" and "off"; click has the same.
_WORDS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}
#: The word for "no limit" where only text can be given.
UNLIMITED = "none"
#: Permissions of the owner, the group and everybody.
_MOST_MODE = 0o777
#: Units of sizes, as nginx has them.
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Kind(Enum):
    """What a setting holds; the value is what documentation calls it."""

    TEXT = "text"
    PATH = "path"
    COUNT = "count"
    #: Bytes. Text may end in a unit: ``64k``, ``10M``.
    SIZE = "size"
    #: Seconds, with a fraction if need be.
    TIME = "seconds"
    FLAG = "flag"
    #: Permissions of a file; as text, in octal digits.
    MODE = "octal"


@dataclass(frozen=True)
class Setting:
    """One line of the table."""

    #: The keyword; see the module's description.
    name: str
    kind: Kind
    #: What it is, as a part of a sentence.
    means: str
    #: What happens beyond a limit.
    beyond: str = ""
    #: What it is by default where that is not for the native server to say.
    default: Value = None
    #: The default in words, where the value does not tell.
    otherwise: str = ""
    #: The least number, where that is not for the native server to say.
    least: int | None = None
    #: A further option.
    short: str | None = None
    #: Whether it tells where the server listens. `app.run` follows Flask's rules there, and no
    #: variables.
    is_address: bool = False

    @property
    def is_native(self) -> bool:
        """Whether it is one of the native server's limits and time-outs."""
        return self.name in SERVER_DEFAULTS

    @property
    def option(self) -> str:
        """The option of a command."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"BUSTAPI_{self.name.upper()}"

    @property
    def default_text(self) -> str:
        """The default for people to read."""
        if self.otherwise:
            return self.otherwise

        value = SERVER_DEFAULTS.get(self.name, self.default)

        if value is None:
            return UNLIMITED

        if self.kind is Kind.SIZE:
            return _size_text(int(value))

        if self.kind is Kind.FLAG:
            return "on" if value else "off"

        return f"{value:g} s" if self.kind is Kind.TIME else f"{value}"

    def read(self, value: object) -> Value:
        """A value as the server takes it, from one of that kind or from text.

        :raises TypeError: `value` is of another kind.
        :raises ValueError: text that cannot be read, or a number out of range.
        """
        if isinstance(value, os.PathLike) and self.kind is Kind.PATH:
            value = os.fspath(t.cast("os.PathLike[str]", value))

        if isinstance(value, str):
            value = self._read_text(value)
        elif self.kind in {Kind.TEXT, Kind.PATH}:
            raise TypeError(f"`{self.name}` must be text, not {value!r}")

        if self.is_native:
            # The native server checks the range and names it in its error.
            ServerConfig(**{self.name: t.cast("float | None", value)})
        elif self.kind in {Kind.COUNT, Kind.MODE} and (
            isinstance(value, bool) or not isinstance(value, int)
        ):
            raise TypeError(f"`{self.name}` must be a whole number, not {value!r}")

        if self.kind is Kind.MODE and not 0 <= t.cast("int", value) <= _MOST_MODE:
            raise ValueError(f"`{self.name}` must be {_EXPECTED[self.kind]}, not {value:o}")

        if self.least is not None and t.cast("int", value) < self.least:
            raise ValueError(f"`{self.name}` must be {self.least} or more, not {value}")

        return t.cast("Value", value)

    def _read_text(self, text: str) -> Value:
        if self.kind in {Kind.TEXT, Kind.PATH}:
            return text

        word = text.strip().lower()

        if word == UNLIMITED and self.is_native and SERVER_DEFAULTS[self.name] is None:
            return None

        try:
            if self.kind is Kind.FLAG:
                return _WORDS[word]

            if self.kind is Kind.TIME:
                return float(word)

            if self.kind is Kind.MODE:
                return int(word, 8)

            unit = _UNITS.get(word[-1:], 1) if self.kind is Kind.SIZE else 1
            return int(word[:-1] if unit > 1 else word) * unit
        except (ValueError, KeyError):
            raise ValueError(
                f"`{self.name}` must be {_EXPECTED[self.kind]}, not {text!r}"
            ) from None


_EXPECTED = {
    Kind.COUNT: "a whole number",
    Kind.SIZE: "a number of bytes such as 65536, 64k or 10M",
    Kind.TIME: "a number of seconds",
    Kind.FLAG: "on or off",
    Kind.MODE: "octal digits up to 777",
}


def _size_text(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"

    return f"{size} bytes"


#: Every setting, under the heading that documentation gives it.
SECTIONS: t.Final[dict[str, tuple[Setting, ...]]] = {
    "Address": (
        Setting(
            "host",
            Kind.TEXT,
            "address to listen on; by default one that only this machine reaches",
            default="127.0.0.1",
            short="-h",
            is_address=True,
        ),
        Setting(
            "port",
            Kind.COUNT,
            "port; 0 lets the system choose, and the address is printed",
            default=5000,
            least=0,
            short="-p",
            is_address=True,
        ),
        Setting(
            "unix_socket",
            Kind.PATH,
            "path of a socket to listen on in place of host and port",
            is_address=True,
        ),
        Setting(
            "unix_socket_mode",
            Kind.MODE,
            "permissions of that socket's file: who may connect",
            otherwise="777",
        ),
        Setting(
            "backlog",
            Kind.COUNT,
            "most connections that the system keeps until the server takes them",
        ),
    ),
    "Processes and threads": (
        Setting("workers", Kind.COUNT, "processes that serve", default=1, least=1),
        Setting(
            "preload",
            Kind.FLAG,
            "load the application once, and fork the workers from there",
            default=False,
        ),
        Setting(
            "threads",
            Kind.COUNT,
            "most threads of a process for views that take long",
            "further calls wait for one",
        ),
        Setting(
            "stream_threads",
            Kind.COUNT,
            "most threads of a process that wait for pieces of streamed answers",
            "further streams wait for one",
        ),
        Setting(
            "drain_timeout",
            Kind.TIME,
            "how long open requests may go on after a stop was asked for; 0 breaks them off",
            "they are broken off",
        ),
    ),
    "Log": (
        Setting(
            "access_log",
            Kind.FLAG,
            "a line per request on standard error, in the combined log format",
            otherwise="in debug mode",
        ),
        Setting(
            "log_lines",
            Kind.COUNT,
            "most lines of the server's logs that wait for standard error to take them",
            "further ones are dropped and counted",
        ),
    ),
    "Limits": (
        Setting(
            "max_head_size",
            Kind.SIZE,
            "most bytes of a request's line and header fields",
            "431",
        ),
        Setting("max_target_size", Kind.SIZE, "most bytes of path and query", "414"),
        Setting("max_headers", Kind.COUNT, "most header fields of a request", "431"),
        Setting(
            "max_body_size",
            Kind.SIZE,
            "most bytes of a body; the application has `MAX_CONTENT_LENGTH`",
            "413",
        ),
        Setting(
            "buffered_body_size",
            Kind.SIZE,
            "most bytes of a body that is received whole before its view is called",
            "it is read as it comes",
        ),
        Setting(
            "gathered_body_memory",
            Kind.SIZE,
            "most bytes kept in memory of a body that is received before an async view is called",
            "the rest goes to a temporary file",
        ),
        Setting(
            "gathered_body_size",
            Kind.SIZE,
            "longest body that is received before an async view is called",
            "reading the rest waits for the client",
        ),
        Setting(
            "unread_body_size",
            Kind.SIZE,
            "most bytes received of a body that nobody has read, to use the connection again",
            "the connection is closed",
        ),
        Setting(
            "max_connections",
            Kind.COUNT,
            "most open connections of a process",
            "the connection that is idle longest is closed",
        ),
        Setting(
            "reserved_descriptors",
            Kind.COUNT,
            "file descriptors left to the application, at most a quarter of all",
            "the connection that is idle longest is closed",
        ),
    ),
    "Time-outs": (
        Setting(
            "head_timeout",
            Kind.TIME,
            "time for a request's head to arrive, from its first byte",
            "408",
        ),
        Setting(
            "body_timeout",
            Kind.TIME,
            "longest pause within a request's body",
            "408, or the connection is closed",
        ),
        Setting(
            "unread_body_timeout",
            Kind.TIME,
            "longest pause within a body that nobody has read, before its request is answered",
            "the connection is closed behind the answer if the length is not known",
        ),
        Setting(
            "write_timeout",
            Kind.TIME,
            "longest time in which a client reads nothing of its answer",
            "the connection is closed",
        ),
        Setting(
            "keep_alive_timeout",
            Kind.TIME,
            "longest time that a connection stays open between two requests",
            "the connection is closed",
        ),
    ),
}

#: Every setting by its name.
SETTINGS: t.Final = {setting.name: setting for each in SECTIONS.values() for setting in each}


def read_settings(given: Mapping[str, object]) -> dict[str, Value]:
    """Keyword arguments as the server takes them; those that are ``None`` are left out.

    :raises TypeError: there is no such setting, or it holds another kind of value.
    :raises ValueError: a value is out of range.
    """
    check_names(given, SETTINGS, "serve")
    return {name: SETTINGS[name].read(value) for name, value in given.items() if value is not None}


def read_variables(environ: Mapping[str, str] = os.environ) -> dict[str, Value]:
    """What environment variables set, besides the address.

    :raises ValueError: a variable's text cannot be read; names the variable.
    """
    values: dict[str, Value] = {}

    for setting in SETTINGS.values():
        text = environ.get(setting.variable)

        if text and not setting.is_address:
            try:
                values[setting.name] = setting.read(text)
            except ValueError as error:
                raise ValueError(f"{setting.variable}: {error}") from None

    return values


def check_names(given: Iterable[str], known: Iterable[str], function: str) -> None:
    """Refuse keyword arguments that `function` does not have, as Python does.

    :raises TypeError: for the first of them; tells a name that is near.
    """
    known = list(known)

    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f". Did you mean '{near[0]}'?" if near else ""
            raise TypeError(f"{function}() got an unexpected keyword argument '{name}'{hint}")

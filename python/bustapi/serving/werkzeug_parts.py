"""Whether Werkzeug's development server is the one that Werkzeug has, part by part.

Tools replace parts of it to learn a port, to end a server, or to serve in a process of their own:
`make_server`, the server classes, the request handler and their methods, or what these inherit
from `socketserver` and `http.server`. They wait for ever where a server runs that has none of it,
so `app.run` must know.

A part is compared with what it was when this module was imported; functions also with the module
that they should be from, as it may have been replaced before.
"""

from __future__ import annotations

import http.server
import socketserver
import sys
import types
import typing as t

import werkzeug.serving

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTIONS = ("run_simple", "make_server", "select_address_family", "get_sockaddr")
_CLASS_NAMES = ("BaseWSGIServer", "ThreadedWSGIServer", "ForkingWSGIServer", "WSGIRequestHandler")
#: What the interpreter writes into a class by itself.
_NOT_PARTS = frozenset(
    {"__annotations__", "__annotate__", "__annotations_cache__", "__dict__", "__weakref__"}
)
_CLASSES: t.Final[tuple[type, ...]] = tuple(
    dict.fromkeys(
        t.cast("type", cls)
        for name in _CLASS_NAMES
        for cls in getattr(werkzeug.serving, name).__mro__
        if cls is not object
    )
)
_ORIGINAL_FUNCTIONS: t.Final = {name: getattr(werkzeug.serving, name) for name in _FUNCTIONS}
_ORIGINAL_ATTRIBUTES: t.Final[dict[type, dict[str, t.Any]]] = {
    cls: dict(vars(cls)) for cls in _CLASSES
}
#: Where the names of classes are looked up.
_MODULES = (werkzeug.serving, http.server, socketserver)


def is_own_function(value: t.Any, name: str) -> bool:
    """Whether `value` is the function of `werkzeug.serving` with this name, and no other."""
    return value is _ORIGINAL_FUNCTIONS[name] and _is_from(value, werkzeug.serving)


def replaced_parts() -> list[str]:
    """The full names of the parts that are not Werkzeug's own, `run_simple` aside."""
    return list(dict.fromkeys(_find_replaced()))


def _find_replaced() -> Iterator[str]:
    for name in _FUNCTIONS[1:]:
        if not is_own_function(getattr(werkzeug.serving, name, None), name):
            yield f"werkzeug.serving.{name}"

    for module in _MODULES:
        for cls in _CLASSES:
            if cls.__module__ == module.__name__ and vars(module).get(cls.__name__) is not cls:
                yield f"{module.__name__}.{cls.__name__}"

    for name in _CLASS_NAMES:
        current = getattr(werkzeug.serving, name, None)

        if current is None or current.__module__ != "werkzeug.serving":
            yield f"werkzeug.serving.{name}"

    for cls, original in _ORIGINAL_ATTRIBUTES.items():
        present: dict[str, t.Any] = dict(vars(cls))

        for name in {*original, *present} - _NOT_PARTS:
            value = present.get(name)

            # Werkzeug writes this one itself; and so does the native server speak.
            if name == "protocol_version" and value == "HTTP/1.1":
                continue

            if value is not original.get(name) or not _is_from(value, sys.modules[cls.__module__]):
                yield f"{cls.__module__}.{cls.__qualname__}.{name}"


def _is_from(value: t.Any, module: types.ModuleType) -> bool:
    """Whether a function was defined in a module; wrapping copies its names, but not this."""
    if isinstance(value, (classmethod, staticmethod)):
        value = t.cast("t.Any", value).__func__

    return not isinstance(value, types.FunctionType) or value.__globals__ is vars(module)

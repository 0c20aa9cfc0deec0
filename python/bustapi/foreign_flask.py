"""Notices Flask itself beside an application of BustAPI, which neither of the two would say.

An extension that imports `flask` gets the real one where no alias was put in its place, and finds
no application there: "Working outside of application context." That is one import too many, and
hard to see from its message.
"""

from __future__ import annotations

import sys
import types
import typing as t
import warnings
from pathlib import Path

from werkzeug.local import LocalProxy

_PACKAGE = str(Path(__file__).parent)
_OWN = "bustapi"
_warned = False


def warn_of_flask() -> None:
    """Warn once if Flask itself is loaded, and name the module that has imported it."""
    global _warned
    flask = sys.modules.get("flask")

    if flask is None or _warned or flask is sys.modules[_OWN]:
        return

    _warned = True
    warnings.warn(
        f"{_find_importer(flask)} has imported Flask itself, which does not know applications of"
        " BustAPI: what is called there works outside of an application context. Give it BustAPI"
        " in place of Flask: start with 'bustapi --flask-compat' (or BUSTAPI_FLASK_COMPAT=1), or"
        " call 'bustapi.flask_compat.install()' before anything imports 'flask'.",
        RuntimeWarning,
        stacklevel=_depth_of_caller(),
    )


def _depth_of_caller() -> int:
    """The level of the nearest caller outside of this package, as `warnings.warn` counts."""
    frame: types.FrameType | None = sys._getframe(1)
    depth = 1

    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        depth += 1

    return depth


def _find_importer(flask: types.ModuleType) -> str:
    """The module that imported `flask`, as well as it can be told afterwards.

    A module is entered before those that it imports, so it is the last one entered before `flask`
    that has something of it.
    """
    names = list(sys.modules)
    first = names.index("flask")

    for name in (*reversed(names[:first]), *names[first:]):
        if name.partition(".")[0] not in {"flask", _OWN} and _has_part_of(flask, name):
            return f"The module '{name}'"

    return "A module"


def _has_part_of(flask: types.ModuleType, name: str) -> bool:
    values = vars(sys.modules[name]).values() if hasattr(sys.modules[name], "__dict__") else ()
    return any(_is_part_of(flask, value) for value in list(values))


def _is_part_of(flask: types.ModuleType, value: t.Any) -> bool:
    # Nothing is asked of other objects, which may do anything when they are asked.
    if isinstance(value, types.ModuleType):
        return value is flask or vars(value).get("__package__") == "flask"

    if type(value) is LocalProxy:
        return any(value is own for own in vars(flask).values())

    if isinstance(value, (type, types.FunctionType)):
        return str(value.__module__).partition(".")[0] == "flask"

    return False

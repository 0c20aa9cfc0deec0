"""Finding the application that a command line means.

An import path names a module or a file, and after a colon an attribute or a call of a
factory; without one, the module is searched. Everything that can go wrong is a
`NoAppException`, which click prints as a usage error.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import traceback
import typing as t

import click

if t.TYPE_CHECKING:  # pragma: no cover
    from types import FunctionType, ModuleType, TracebackType

    from ..app import Flask

# What runs between the command line and the first line of an application.
_LOADING_CODE = (
    "<frozen importlib",
    os.path.join(os.path.dirname(click.__file__), ""),
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ""),
)
#: Attributes that are looked at first.
APP_NAMES = ("app", "application")
FACTORY_NAMES = ("create_app", "make_app")
#: Files tried without an import path.
DEFAULT_FILES = ("wsgi.py", "app.py")

_application_class: type[Flask]


class NoAppException(click.UsageError):
    """No application was found, or it could not be loaded."""


def set_application_class(cls: type[Flask]) -> None:
    """Say which class applications have; the module that defines it does, as it is above."""
    global _application_class
    _application_class = cls


def get_application_class() -> type[Flask]:
    """The class given to `set_application_class`."""
    return _application_class


def _is_application(value: object) -> t.TypeGuard[Flask]:
    return isinstance(value, _application_class)


def check_application(value: object, where: str) -> None:
    """Refuse an application of Flask's own class, with the ways to have one of BustAPI's.

    :param where: what it was obtained from.
    :raises NoAppException: it is one.
    """
    for cls in type(value).__mro__:
        if (cls.__module__, cls.__qualname__) == ("flask.app", "Flask"):
            raise NoAppException(
                f"{where} is an application of Flask itself, not of BustAPI: use"
                " '--flask-compat', or import 'Flask' from 'bustapi'."
            )


def application_traceback(error: BaseException) -> str:
    """The traceback of an error in an application's code, without the frames that loaded it."""
    tb = error.__traceback__

    while tb is not None and _is_loading_frame(tb):
        tb = tb.tb_next

    return "".join(traceback.format_exception(type(error), error, tb))


def _is_loading_frame(tb: TracebackType) -> bool:
    return tb.tb_frame.f_code.co_filename.startswith(_LOADING_CODE)


def find_best_app(module: ModuleType) -> Flask:
    """The application of a module: by name, the only one, or from a factory.

    :raises NoAppException: if there is none, more than one, or a factory wants arguments.
    """
    for name in APP_NAMES:
        app = getattr(module, name, None)

        if _is_application(app):
            return app

    apps = [value for value in vars(module).values() if _is_application(value)]

    if len(apps) == 1:
        return apps[0]

    if apps:
        raise NoAppException(
            "Detected multiple Flask applications in module"
            f" '{module.__name__}'. Use '{module.__name__}:name'"
            " to specify the correct one."
        )

    for name in FACTORY_NAMES:
        factory = getattr(module, name, None)

        if not inspect.isfunction(factory):
            continue

        try:
            app = factory()
        except TypeError as e:
            if not _called_with_wrong_args(factory):
                raise

            raise NoAppException(
                f"Detected factory '{name}' in module '{module.__name__}',"
                " but could not call it without arguments. Use"
                f" '{module.__name__}:{name}(args)'"
                " to specify arguments."
            ) from e

        if _is_application(app):
            return app

        check_application(app, f"What '{module.__name__}:{name}' returns")

    for name, value in vars(module).items():
        check_application(value, f"'{module.__name__}:{name}'")

    raise NoAppException(
        "Failed to find Flask application or factory in module"
        f" '{module.__name__}'. Use '{module.__name__}:name'"
        " to specify one."
    )


def _called_with_wrong_args(f: FunctionType) -> bool:
    """Whether the TypeError being handled is of the call of `f` and not from inside it."""
    tb = sys.exc_info()[2]

    try:
        while tb is not None:
            if tb.tb_frame.f_code is f.__code__:
                return False

            tb = tb.tb_next

        return True
    finally:
        # The traceback holds this frame, which would hold the traceback.
        del tb


def _parse_reference(reference: str) -> tuple[str, list[t.Any], dict[str, t.Any]]:
    """Name and arguments of an attribute or of a call with literal arguments.

    :raises NoAppException: for any other expression.
    """
    try:
        expression = ast.parse(reference.strip(), mode="eval").body
    except SyntaxError:
        expression = None

    if isinstance(expression, ast.Name):
        return expression.id, [], {}

    if not isinstance(expression, ast.Call):
        raise NoAppException(
            f"Failed to parse {reference!r} as an attribute name or function call."
        )

    if not isinstance(expression.func, ast.Name):
        raise NoAppException(f"Function reference must be a simple name: {reference!r}.")

    try:
        args = [ast.literal_eval(arg) for arg in expression.args]
        kwargs = {
            keyword.arg: ast.literal_eval(keyword.value)
            for keyword in expression.keywords
            if keyword.arg is not None
        }
    except ValueError:
        # The message of `literal_eval` is too long for a command line.
        raise NoAppException(
            f"Failed to parse arguments as literal values: {reference!r}."
        ) from None

    return expression.func.id, args, kwargs


def find_app_by_string(module: ModuleType, app_name: str) -> Flask:
    """The application that `app_name` refers to in a module: a name, or a call of a factory.

    :raises NoAppException: if it is none, or cannot be called so.
    """
    name, args, kwargs = _parse_reference(app_name)

    try:
        value = getattr(module, name)
    except AttributeError as e:
        raise NoAppException(f"Failed to find attribute {name!r} in {module.__name__!r}.") from e

    # A factory may be named without calling it.
    if inspect.isfunction(value):
        try:
            app = value(*args, **kwargs)
        except TypeError as e:
            if not _called_with_wrong_args(value):
                raise

            raise NoAppException(
                f"The factory {app_name!r} in module"
                f" {module.__name__!r} could not be called with the"
                " specified arguments."
            ) from e
    else:
        app = value

    if _is_application(app):
        return app

    check_application(app, f"'{module.__name__}:{app_name}'")
    raise NoAppException(
        f"A valid Flask application was not obtained from '{module.__name__}:{app_name}'."
    )


def prepare_import(path: str) -> str:
    """Make the module of a file importable, and return its name.

    `path` may lack the ``.py``. The folder above the outermost package is put first on
    ``sys.path``.
    """
    folder = os.path.realpath(path)
    stem, extension = os.path.splitext(folder)

    if extension == ".py":
        folder = stem

    if os.path.basename(folder) == "__init__":
        folder = os.path.dirname(folder)

    names: list[str] = []

    while not names or os.path.exists(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)

    if sys.path[0] != folder:
        sys.path.insert(0, folder)

    return ".".join(names)


@t.overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: t.Literal[True] = True
) -> Flask: ...


@t.overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: t.Literal[False] = ...
) -> Flask | None: ...


def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> Flask | None:
    """Import a module and find its application.

    :param app_name: see `find_app_by_string`; ``None`` searches with `find_best_app`.
    :param raise_if_not_found: whether a missing module is an error, or gives ``None``.
    :raises NoAppException: if the module cannot be imported, or has no application.
    """
    try:
        # A name in the list makes it return the module itself, not the outermost package.
        module = __import__(module_name, fromlist=["__name__"])
    except ImportError as e:
        # Frames of the application's mean that the module is there and its import failed.
        if _raised_inside_application(e):
            raise NoAppException(
                f"While importing {module_name!r}, an ImportError was"
                f" raised:\n\n{application_traceback(e)}{_missing_flask_hint(e)}"
            ) from None

        if raise_if_not_found:
            raise NoAppException(f"Could not import {module_name!r}.") from None

        return None

    return find_best_app(module) if app_name is None else find_app_by_string(module, app_name)


def _raised_inside_application(error: ImportError) -> bool:
    tb = error.__traceback__

    while tb is not None:
        if not _is_loading_frame(tb):
            return True

        tb = tb.tb_next

    return False


def _missing_flask_hint(error: ImportError) -> str:
    """What to try if the application, or an extension of its, imports Flask and there is none."""
    if error.name != "flask" or not isinstance(error, ModuleNotFoundError):
        return ""

    return "\n\nFlask is not installed: use '--flask-compat', or import from 'bustapi'."


def split_import_path(import_path: str) -> tuple[str, str | None]:
    """The two sides of the colon; one in a Windows path (``C:\\``) is part of the path."""
    path, *name = re.split(r":(?![\\/])", import_path, maxsplit=1)
    return path, name[0] if name else None


def load_app(import_path: str | None) -> Flask:
    """The application of an import path; without one, of the files `DEFAULT_FILES`.

    :raises NoAppException: if there is none.
    """
    if import_path:
        path, name = split_import_path(import_path)
        return locate_app(prepare_import(path), name)

    for path in DEFAULT_FILES:
        app = locate_app(prepare_import(path), None, raise_if_not_found=False)

        if app is not None:
            return app

    raise NoAppException(
        "Could not locate a Flask application. Use the"
        " 'bustapi --app' option, 'FLASK_APP' environment"
        " variable, or a 'wsgi.py' or 'app.py' file in the"
        " current directory."
    )

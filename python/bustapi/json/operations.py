"""The functions of :mod:`bustapi.json`: ask the current app, or the standard library."""

from __future__ import annotations

import json
import typing as t

from bustapi.globals import current_app

from .provider import _default

if t.TYPE_CHECKING:
    from bustapi.response import Response


def dumps(obj: t.Any, **kwargs: t.Any) -> str:
    """Write a value as JSON text.

    :param kwargs: for the app's ``json.dumps``, or the standard one.
    :raises TypeError: the value, or one within it, has no JSON form.
    """
    if current_app:
        return current_app.json.dumps(obj, **kwargs)

    kwargs.setdefault("default", _default)
    return json.dumps(obj, **kwargs)


def dump(obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
    """Write a value as JSON into a text file, which should be UTF-8.

    :param kwargs: for the app's ``json.dump``, or the standard one.
    :raises TypeError: the value, or one within it, has no JSON form.
    """
    if current_app:
        current_app.json.dump(obj, fp, **kwargs)
        return

    kwargs.setdefault("default", _default)
    json.dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: t.Any) -> t.Any:
    """Read a value from JSON text or UTF-8 bytes.

    :param kwargs: for the app's ``json.loads``, or the standard one.
    :raises ValueError: the text is not JSON.
    """
    if current_app:
        return current_app.json.loads(s, **kwargs)

    return json.loads(s, **kwargs)


def load(fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
    """Read a value from a JSON file, text or UTF-8 bytes.

    :param kwargs: for the app's ``json.load``, or the standard one.
    :raises ValueError: the file is not JSON.
    """
    if current_app:
        return current_app.json.load(fp, **kwargs)

    return json.load(fp, **kwargs)


def jsonify(*args: t.Any, **kwargs: t.Any) -> Response:
    """Make a JSON response of the arguments.

    One argument is the value, several are a list, keyword arguments are a dict,
    none are ``null``. A view may return a dict or a list as it is; this is for
    other values, and for responses that are changed before they are returned.

    :raises TypeError: both kinds of arguments, or a value without JSON form.
    :raises RuntimeError: there is no current app.
    """
    return current_app.json.response(*args, **kwargs)  # type: ignore[return-value] # a response_class may be another Response

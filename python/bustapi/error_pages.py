"""The answers of Werkzeug's HTTP exceptions, made without a WSGI environment."""

from __future__ import annotations

import typing as t

import werkzeug.exceptions
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import RequestRedirect

from ._native import Defaults

if t.TYPE_CHECKING:
    from werkzeug.wrappers import Response as ResponseBase


#: Werkzeug's exceptions, and what each makes its answer with: an exception that answers by these
#: alone looks at nothing of the request.
_STOCK = {
    cls: Defaults(
        cls,
        {
            "answer": (
                "__call__",
                "__getattribute__",
                "get_body",
                "get_description",
                "get_headers",
                "get_response",
                "name",
            )
        },
    )
    for cls in (*vars(werkzeug.exceptions).values(), RequestRedirect)
    if isinstance(cls, type) and issubclass(cls, HTTPException)
}


def response_of(error: HTTPException, method: str) -> ResponseBase | None:
    """Make the response that `error`, called as a WSGI application, would give.

    Like that it has the header fields that are sent, and an iterator as its body, which is empty
    where none is sent. The exception is not called: an environ would be made for it.

    :param method: the request's.
    :return: ``None`` for an exception that answers in a way of its own.
    """
    stock = next(cls for cls in type(error).__mro__ if cls in _STOCK)

    if error.response is not None or _STOCK[stock].replaced_in(error):
        return None

    response = error.get_response()

    if response.autocorrect_location_header:
        return None

    code = response.status_code
    sends_body = method != "HEAD" and code >= 200 and code not in {204, 304}
    response.headers = response.get_wsgi_headers({})
    response.response = iter([*response.iter_encoded()] if sends_body else [])
    return response


def page_of(
    cls: type[BaseException],
) -> tuple[dict[str, t.Any], str | None, int, bytes, list[tuple[str, str]]] | None:
    """Tell what exceptions of a class answer that were given nothing.

    :return: the attributes of such an exception; name and code of the status; body and header
        fields. ``None`` for classes that are not Werkzeug's, or were changed.
    """
    if not issubclass(cls, HTTPException) or cls is RequestRedirect:
        return None

    if cls not in _STOCK or _STOCK[cls].replaced_by(cls):
        return None

    error = cls()
    response = None if error.code is None else response_of(error, "GET")

    if response is None:
        return None

    code = response.status_code
    name = HTTP_STATUS_CODES.get(code)
    return vars(error), name, code, response.get_data(), [*response.headers]

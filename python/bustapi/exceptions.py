"""Errors that explain a mistake to a developer.

They are raised in debug mode only, in place of a silent redirect or a bare
``KeyError``. The errors that make HTTP answers are Werkzeug's own
(``werkzeug.exceptions``) and are not repeated here.
"""

from __future__ import annotations

import typing as t

from werkzeug.routing import RequestRedirect

if t.TYPE_CHECKING:
    from .request import Request


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text was found where bytes belong, or the reverse."""


class DebugFilesKeyError(KeyError, AssertionError):
    """A form was read for a file, but it was not sent as multipart.

    :param request: the request whose ``files`` was read.
    :param key: the name of the missing file.
    """

    def __init__(self, request: Request, key: str) -> None:
        self.msg = (
            f"You tried to access the file {key!r} in the request.files"
            " dictionary but it does not exist. The mimetype for the"
            f" request is {request.mimetype!r} instead of"
            " 'multipart/form-data' which means that no file contents"
            " were transmitted. To fix this error you should provide"
            ' enctype="multipart/form-data" in your form.'
        )
        sent = request.form.getlist(key)

        if sent:
            names = ", ".join(map(repr, sent))
            self.msg += (
                f"\n\nThe browser instead transmitted some file names. This was submitted: {names}"
            )

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """Routing would redirect a request with a body, which browsers then drop.

    Raised unless the method is GET, HEAD or OPTIONS, or the status is 307 or 308.

    :param request: the request; its ``routing_exception`` is the redirect.
    """

    def __init__(self, request: Request) -> None:
        redirect = request.routing_exception
        assert isinstance(redirect, RequestRedirect)
        message = (
            f"A request was sent to '{request.url}', but routing issued"
            f" a redirect to the canonical URL '{redirect.new_url}'."
        )

        if redirect.new_url.partition("?")[0] == f"{request.base_url}/":
            message += (
                " The URL was defined with a trailing slash. Flask"
                " will redirect to the URL with a trailing slash if it"
                " was accessed without one."
            )

        super().__init__(
            f"{message} Send requests to the canonical URL, or use 307 or 308 for"
            " routing redirects. Otherwise, browsers will drop form"
            " data.\n\n"
            "This exception is only raised in debug mode."
        )

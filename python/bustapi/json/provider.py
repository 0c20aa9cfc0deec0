"""How an app writes and reads JSON.

An app has one provider, ``app.json``. Replace it (or the class that makes it,
``app.json_provider_class``) to use another JSON library or to write more types.
"""

from __future__ import annotations

import dataclasses
import decimal
import json
import typing as t
import uuid
import weakref
from datetime import date

from werkzeug.http import http_date

from bustapi._native import (
    Defaults,
    dump_json,
    is_default_provider,
    json_response,
    load_json,
    set_json_provider,
)

if t.TYPE_CHECKING:
    from werkzeug.sansio.response import Response

    from bustapi.sansio.app import App


class JSONProvider:
    """JSON operations for one app. Subclasses give at least `dumps` and `loads`.

    :param app: kept as a weak proxy, so that app and provider form no cycle.
    """

    def __init__(self, app: App) -> None:
        self._app: App = weakref.proxy(app)

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Write a value as JSON text.

        :param kwargs: for the library underneath.
        """
        raise NotImplementedError

    def dump(self, obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
        """Write a value as JSON into a text file, which should be UTF-8.

        :param kwargs: for :meth:`dumps`.
        """
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Read a value from JSON text or UTF-8 bytes.

        :param kwargs: for the library underneath.
        """
        raise NotImplementedError

    def load(self, fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
        """Read a value from a JSON file, text or UTF-8 bytes.

        :param kwargs: for :meth:`loads`.
        """
        return self.loads(fp.read(), **kwargs)

    def _prepare_response_obj(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> t.Any:
        """Turn the arguments of :meth:`response` into the one value to write."""
        if args and kwargs:
            raise TypeError("app.json.response() takes either args or kwargs, not both")

        if kwargs:
            return kwargs

        if len(args) > 1:
            return args

        return args[0] if args else None

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """Make an ``application/json`` response of the arguments.

        One argument is the value, several are a list, keyword arguments are a
        dict, none are ``null``.

        :raises TypeError: both kinds of arguments, or a value without JSON form.
        """
        value = self._prepare_response_obj(args, kwargs)
        return self._app.response_class(self.dumps(value), mimetype="application/json")


def _default(o: t.Any) -> t.Any:
    """Give the JSON form of a value that the standard library does not know."""
    if isinstance(o, date):
        return http_date(o)

    if isinstance(o, (decimal.Decimal, uuid.UUID)):
        return str(o)

    # A dataclass itself, and not only its instances, is asked for here; `asdict`
    # answers that with its own TypeError.
    if dataclasses.is_dataclass(o):
        return dataclasses.asdict(o)  # type: ignore[arg-type] # see above

    if hasattr(o, "__html__"):
        return str(o.__html__())

    raise TypeError(f"Object of type {type(o).__name__} is not JSON serializable")


def _encode(obj: t.Any, kwargs: dict[str, t.Any]) -> str:
    """Write a value with every option decided, natively where the options allow it.

    :param kwargs: arguments of :func:`json.dumps`, of which `default`, `ensure_ascii` and
        `sort_keys` are among.
    """
    default = kwargs["default"]

    # Without a `default`, the encoder's own is asked.
    if default is not None and kwargs["ensure_ascii"] is True and kwargs["sort_keys"] is True:
        separators = kwargs.get("separators")

        # No option but those four.
        if separators is None:
            native = len(kwargs) == 3
        else:
            native = len(kwargs) == 4 and separators == (",", ":")

        if native:
            text = dump_json(obj, default, separators is None)

            if text is not None:
                return text

    return json.dumps(obj, **kwargs)


class DefaultJSONProvider(JSONProvider):
    """JSON by the standard library, and some types more.

    Dates and datetimes become HTTP dates (RFC 9110, 5.6.7), ``Decimal`` and
    ``UUID`` become strings, dataclass instances become dicts, and an object with
    an ``__html__`` method (such as ``Markup``) becomes the string that it gives.
    """

    #: Called for a value that the standard library cannot write; returns one that
    #: it can, or raises ``TypeError``.
    default: t.Callable[[t.Any], t.Any] = staticmethod(_default)

    #: Write characters beyond ASCII as escapes.
    ensure_ascii = True

    #: Sort the keys of dicts, which then must all be of one type.
    sort_keys = True

    #: Write responses without spaces (``True``), or indented and with line ends
    #: (``False``). ``None`` indents in debug mode.
    compact: bool | None = None

    #: The media type of responses.
    mimetype = "application/json"

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Write a value as JSON text.

        :param kwargs: for :func:`json.dumps`; they go before the class's
            :attr:`default`, :attr:`ensure_ascii` and :attr:`sort_keys`.
        :raises TypeError: the value, or one within it, has no JSON form.
        """
        kwargs.setdefault("default", self.default)
        kwargs.setdefault("ensure_ascii", self.ensure_ascii)
        kwargs.setdefault("sort_keys", self.sort_keys)
        return _encode(obj, kwargs)

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Read a value from JSON text or UTF-8 bytes.

        :param kwargs: for :func:`json.loads`.
        :raises ValueError: the text is not JSON.
        """
        return json.loads(s, **kwargs) if kwargs else load_json(s)

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """Make a JSON response of the arguments, ended by a line feed.

        One argument is the value, several are a list, keyword arguments are a
        dict, none are ``null``. See :attr:`compact` and :attr:`mimetype`.

        :raises TypeError: both kinds of arguments, or a value without JSON form.
        """
        response = json_response(self, args, kwargs)

        if response is not None:
            return response

        value = self._prepare_response_obj(args, kwargs)
        compact = self.compact

        if compact is None:
            compact = not self._app.debug

        layout: dict[str, t.Any] = {"indent": 2} if compact is False else {"separators": (",", ":")}
        text = self.dumps(value, **layout)
        return self._app.response_class(f"{text}\n", mimetype=self.mimetype)


#: What decides how the class writes a response, and what reads.
_defaults = Defaults(
    DefaultJSONProvider,
    {
        "writes": (
            "response",
            "dumps",
            "_prepare_response_obj",
            "default",
            "compact",
            "ensure_ascii",
            "mimetype",
            "sort_keys",
        ),
        "reads": ("loads",),
    },
)
set_json_provider(_defaults)


def _has_default_format(provider: JSONProvider) -> bool:
    """Tell whether a provider reads and writes as the default one does."""
    return is_default_provider(provider) and not _defaults.replaced_in(provider, "reads")

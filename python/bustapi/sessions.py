"""Sessions: what a view reads and writes, and how it travels between requests.

The default keeps a session in a signed cookie, in the very form that Flask gives
it, so that cookies made by either are read by the other. Signed is not encrypted:
clients can read what is in it. To keep sessions elsewhere, write a
:class:`SessionInterface` and assign it to ``app.session_interface``.
"""

from __future__ import annotations

import collections.abc as c
import hashlib
import time
import typing as t
from datetime import datetime, timezone

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import CallbackDict

from ._native import Defaults, SessionSigner
from .json import provider
from .json.tag import TaggedJSONSerializer

if t.TYPE_CHECKING:
    from .app import Flask
    from .request import Request
    from .response import Response


class SessionMixin(c.MutableMapping[str, t.Any]):
    """What a session has beyond a dict's methods.

    The attributes are what saving decides by. A class that cannot tell leaves
    them as they are here: never new, always modified.
    """

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser; kept in the session itself."""
        return t.cast("bool", self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)

    #: Whether the session began with this request, where an implementation knows.
    new = False

    #: Whether there is something to save.
    modified = True

    #: Whether this request looked at the session, so that its answer varies by
    #: cookie. Set by the request context when the session is asked for.
    accessed = False


def _mark_modified(session: SessionMixin) -> None:
    session.modified = True


class SecureCookieSession(  # pyright: ignore[reportIncompatibleMethodOverride] dict goes first
    CallbackDict[str, t.Any], SessionMixin
):
    """A session for signed cookies. It notices changes to itself.

    :param initial: the first contents, which count as no change.
    """

    #: Set when an item is set or removed. A change *within* a value is not noticed:
    #: set it by hand then.
    modified = False

    def __init__(self, initial: c.Mapping[str, t.Any] | None = None) -> None:
        super().__init__(initial, _mark_modified)


class NullSession(SecureCookieSession):
    """Stands in where no session could be opened: empty, and refuses changes."""

    def _refuse(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret "
            "key was set.  Set the secret_key on the "
            "application to something unique and secret."
        )

    __setitem__ = __delitem__ = _refuse
    clear = pop = popitem = update = setdefault = _refuse


class SessionInterface:
    """How sessions are opened and saved. Subclasses give those two methods.

    A session is any object with a dict's methods and :class:`SessionMixin`'s
    attributes. Requests with the same session may run at the same time, and end in
    any order: a store that needs locks brings its own.
    """

    #: Class of the session when :meth:`open_session` returns ``None``.
    null_session_class = NullSession

    #: Whether sessions are pickled, for extensions that want to know.
    pickle_based = False

    def make_null_session(self, app: Flask) -> NullSession:
        """Make the session that stands in when none could be opened."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Tell whether a session is such a stand-in, which is not saved."""
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: Flask) -> str:
        """Return the cookie's name: ``SESSION_COOKIE_NAME``."""
        return t.cast("str", app.config["SESSION_COOKIE_NAME"])

    def get_cookie_domain(self, app: Flask) -> str | None:
        """Return the cookie's domain: ``SESSION_COOKIE_DOMAIN``.

        ``None`` has browsers send it to the very host that set it, and to no other.
        """
        return t.cast("str | None", app.config["SESSION_COOKIE_DOMAIN"])

    def get_cookie_path(self, app: Flask) -> str:
        """Return the cookie's path: ``SESSION_COOKIE_PATH``, or else
        ``APPLICATION_ROOT``.
        """
        config = app.config
        return t.cast("str", config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"])

    def get_cookie_httponly(self, app: Flask) -> bool:
        """Tell whether scripts may not read it: ``SESSION_COOKIE_HTTPONLY``."""
        return t.cast("bool", app.config["SESSION_COOKIE_HTTPONLY"])

    def get_cookie_secure(self, app: Flask) -> bool:
        """Tell whether it is sent by HTTPS only: ``SESSION_COOKIE_SECURE``."""
        return t.cast("bool", app.config["SESSION_COOKIE_SECURE"])

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """Return its ``SameSite`` attribute: ``SESSION_COOKIE_SAMESITE``."""
        return t.cast("str | None", app.config["SESSION_COOKIE_SAMESITE"])

    def get_cookie_partitioned(self, app: Flask) -> bool:
        """Tell whether it is kept per top-level site: ``SESSION_COOKIE_PARTITIONED``."""
        return t.cast("bool", app.config["SESSION_COOKIE_PARTITIONED"])

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        """Return when the cookie ends; ``None`` is with the browser's session."""
        if not session.permanent:
            return None

        return datetime.now(timezone.utc) + app.permanent_session_lifetime

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Tell whether this answer sets the cookie.

        It does for a modified session, and to move a permanent one's end along if
        ``SESSION_REFRESH_EACH_REQUEST`` says so.
        """
        return session.modified or (
            session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"]
        )

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """Return the request's session; called once its context is pushed.

        :return: ``None`` if there can be no sessions, which is no error until one
            is changed: :meth:`make_null_session` takes its place.
        """
        raise NotImplementedError()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session with the response; called before the context is popped.

        Null sessions do not come here.
        """
        raise NotImplementedError()


session_json_serializer = TaggedJSONSerializer()
_default_tag_count = len(session_json_serializer.order)


def _lazy_sha1(string: bytes = b"") -> t.Any:
    """Make a SHA-1. Looked up late: FIPS builds of Python have none, and an app there
    names another digest.
    """
    return hashlib.sha1(string)


class SecureCookieSessionInterface(SessionInterface):
    """Keeps sessions in cookies, signed with the app's secret key by itsdangerous."""

    #: Sets these signatures apart from others made with the same key.
    salt = "cookie-session"
    #: The signature's hash. Forging an HMAC is hard even with SHA-1.
    digest_method = staticmethod(_lazy_sha1)
    #: How itsdangerous makes the signing key of secret key and salt.
    key_derivation = "hmac"
    #: Writes and reads the contents.
    serializer = session_json_serializer
    #: Class of the sessions.
    session_class = SecureCookieSession

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Make the signing serializer; ``None`` if the app has no secret key."""
        if not app.secret_key:
            return None

        # itsdangerous signs with the last key, and reads with any of them.
        fallbacks: list[str | bytes] = app.config["SECRET_KEY_FALLBACKS"] or []
        return URLSafeTimedSerializer(
            [*fallbacks, app.secret_key],  # type: ignore[arg-type] # str and bytes may mix
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={
                "key_derivation": self.key_derivation,
                "digest_method": self.digest_method,
            },
        )

    def _native_signer(self, app: Flask) -> SessionSigner | None:
        """Make the native signer, which does the same for sessions of plain JSON values.

        ``None`` if there is no secret key, or anything about the format is not the
        default: then :meth:`get_signing_serializer` decides.
        """
        secret_key = app.secret_key

        if not secret_key or not _has_default_format(self, app):
            return None

        fallbacks: list[str | bytes] = app.config["SECRET_KEY_FALLBACKS"] or []
        keys = (secret_key, *reversed(fallbacks))
        known = self.__dict__.get("_signer")

        if known is None or known[0] != keys:
            key, *older = (k.encode() if isinstance(k, str) else k for k in keys)
            known = (keys, SessionSigner(key, older, self.salt.encode()))
            self.__dict__["_signer"] = known

        return t.cast("SessionSigner", known[1])

    def _sign(self, app: Flask, contents: dict[str, t.Any]) -> str:
        native = self._native_signer(app)
        value = None if native is None else native.dumps(contents, int(time.time()))

        if value is not None:
            return value

        signer = self.get_signing_serializer(app)
        assert signer is not None, "A session was opened without a secret key."
        return signer.dumps(contents)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie. A missing, old or forged one gives an empty session."""
        if self._native_signer(app) is None and self.get_signing_serializer(app) is None:
            return None

        cookie = request.cookies.get(self.get_cookie_name(app))

        if not cookie:
            return self.session_class()

        max_age = int(app.permanent_session_lifetime.total_seconds())
        native = self._native_signer(app)

        if native is not None and max_age >= 0:
            plain = native.loads(cookie, max_age, int(time.time()))

            if plain is not None:
                return self.session_class(plain)

        signer = self.get_signing_serializer(app)
        assert signer is not None, "The app has a secret key."

        try:
            return self.session_class(signer.loads(cookie, max_age=max_age))
        except BadSignature:
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie if need be; delete that of a session that was emptied."""
        if session.accessed:
            response.vary.add("Cookie")

        name = self.get_cookie_name(app)
        attributes: dict[str, t.Any] = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "partitioned": self.get_cookie_partitioned(app),
            "samesite": self.get_cookie_samesite(app),
            "httponly": self.get_cookie_httponly(app),
        }

        if not session:
            if session.modified:
                response.delete_cookie(name, **attributes)
                response.vary.add("Cookie")

            return

        if not self.should_set_cookie(app, session):
            return

        expires = self.get_expiration_time(app, session)
        value = self._sign(app, dict(session))
        response.set_cookie(name, value, expires=expires, **attributes)
        response.vary.add("Cookie")


#: What the server does in place of the interface's methods, and what the cookie's format is.
_interface_defaults = Defaults(
    SecureCookieSessionInterface,
    {
        "steps": (
            "open_session",
            "save_session",
            "is_null_session",
            "session_class",
            "get_cookie_name",
            "get_cookie_domain",
            "get_cookie_path",
            "get_cookie_httponly",
            "get_cookie_secure",
            "get_cookie_samesite",
            "get_cookie_partitioned",
            "get_expiration_time",
            "should_set_cookie",
            "_native_signer",
            "_sign",
        ),
        "format": (
            "salt",
            "digest_method",
            "key_derivation",
            "serializer",
            "get_signing_serializer",
        ),
    },
)
_session_defaults = Defaults(
    SecureCookieSession,
    {
        "steps": (
            "__init__",
            "__new__",
            "__iter__",
            "__len__",
            "__bool__",
            "get",
            "permanent",
            "modified",
            "accessed",
        )
    },
)


def _has_default_format(interface: SecureCookieSessionInterface, app: Flask) -> bool:
    """Tell whether cookies are made and read as by default, all the way down to JSON."""
    return (
        not _interface_defaults.replaced_in(interface, "format")
        and len(session_json_serializer.order) == _default_tag_count
        and provider._has_default_format(app.json)
    )

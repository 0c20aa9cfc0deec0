"""Clients, requests and command runners for tests: Werkzeug's and click's, knowing the app."""

from __future__ import annotations

import importlib.metadata
import typing as t
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import cache
from urllib.parse import urlsplit

import werkzeug.test
from click.testing import CliRunner, Result
from werkzeug.test import Client
from werkzeug.wrappers import Request as BaseRequest

from .cli import ScriptInfo
from .sessions import SessionMixin  # noqa: TC001 Flask's module has it at run time

if t.TYPE_CHECKING:  # pragma: no cover
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from .app import Flask


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """Builds the environ of a made-up request, with the app's settings as defaults.

    :param app: the application; its ``SERVER_NAME``, ``APPLICATION_ROOT`` and
        ``PREFERRED_URL_SCHEME`` make the base URL.
    :param path: path, or whole URL, of the request; a query in it is used as such.
    :param base_url: host and root, instead of those of the settings.
    :param subdomain: put before ``SERVER_NAME``.
    :param url_scheme: instead of ``PREFERRED_URL_SCHEME``.
    :param args: further arguments of `werkzeug.test.EnvironBuilder`.
    :param kwargs: further arguments of `werkzeug.test.EnvironBuilder`.
    :raises AssertionError: for a `base_url` together with a subdomain or a scheme.
    """

    def __init__(
        self,
        app: Flask,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: t.Any,
        **kwargs: t.Any,
    ) -> None:
        assert base_url is None or not (subdomain or url_scheme), (
            'Cannot pass "subdomain" or "url_scheme" with "base_url".'
        )

        if base_url is None:
            url = urlsplit(path)
            host = app.config.get("SERVER_NAME") or "localhost"

            if subdomain:
                host = f"{subdomain}.{host}"

            scheme = url_scheme or app.config["PREFERRED_URL_SCHEME"]
            root = app.config["APPLICATION_ROOT"].lstrip("/")
            base_url = f"{url.scheme or scheme}://{url.netloc or host}/{root}"
            path = f"{url.path}?{url.query}" if url.query else url.path

        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Serialize the ``json`` argument as the application does."""
        return self.app.json.dumps(obj, **kwargs)


@cache
def _user_agent() -> str:
    return f"Werkzeug/{importlib.metadata.version('werkzeug')}"


class FlaskClient(Client):
    """Makes requests to an application, without a server.

    Used as a context manager, it keeps the contexts of the last request until the block ends
    or the next request begins, so that `request` and `session` can still be looked at.
    """

    application: Flask

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.preserve_context = False
        self._new_contexts: list[t.ContextManager[t.Any]] = []
        self._context_stack = ExitStack()
        #: Variables of the environ of every request.
        self.environ_base = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": _user_agent(),
        }

    @contextmanager
    def session_transaction(
        self, *args: t.Any, **kwargs: t.Any
    ) -> t.Generator[SessionMixin, None, None]:
        """Open the session that the next request will have, and save it at the end.

        :param args: the request that the session is opened for; see `EnvironBuilder`.
        :param kwargs: the request that the session is opened for; see `EnvironBuilder`.
        :raises TypeError: if the client has no cookies.
        :raises RuntimeError: if the application opens no session.
        """
        if self._cookies is None:
            raise TypeError("Cookies are disabled. Create a client with 'use_cookies=True'.")

        app = self.application
        ctx = app.test_request_context(*args, **kwargs)
        self._add_cookies_to_wsgi(ctx.request.environ)

        with ctx:
            session = app.session_interface.open_session(app, ctx.request)

        if session is None:
            raise RuntimeError("Session backend did not open a session.")

        yield session
        response = app.response_class()

        if app.session_interface.is_null_session(session):
            return

        with ctx:
            app.session_interface.save_session(app, session, response)

        self._update_cookies_from_response(
            ctx.request.host.partition(":")[0],
            ctx.request.path,
            response.headers.getlist("Set-Cookie"),
        )

    def _copy_environ(self, other: WSGIEnvironment) -> WSGIEnvironment:
        environ = {**self.environ_base, **other}

        if self.preserve_context:
            # `wsgi_app` calls it with the contexts before they pop.
            environ["werkzeug.debug.preserve_context"] = self._new_contexts.append

        return environ

    def _request_from_builder_args(
        self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]
    ) -> BaseRequest:
        environ_base = self._copy_environ(kwargs.get("environ_base", {}))
        builder = EnvironBuilder(
            self.application, *args, **{**kwargs, "environ_base": environ_base}
        )

        try:
            return builder.get_request()
        finally:
            builder.close()

    def _make_request(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> BaseRequest:
        """The request that the arguments of `open` mean: one given, or one to build."""
        given = args[0] if args else None

        if isinstance(given, werkzeug.test.EnvironBuilder):
            builder = copy(given)
            builder.environ_base = self._copy_environ(builder.environ_base or {})  # type: ignore[arg-type]
            return builder.get_request()

        if isinstance(given, dict):
            return EnvironBuilder.from_environ(
                given, app=self.application, environ_base=self._copy_environ({})
            ).get_request()

        if isinstance(given, BaseRequest):
            request = copy(given)
            request.environ = self._copy_environ(request.environ)
            return request

        return self._request_from_builder_args(args, kwargs)

    def open(
        self,
        *args: t.Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: t.Any,
    ) -> TestResponse:
        """Make a request.

        :param args: a builder, an environ or a request; or arguments of `EnvironBuilder`.
        :param buffered: read the whole response and close it.
        :param follow_redirects: go on to where redirects lead; see `TestResponse.history`.
        :param kwargs: arguments of `EnvironBuilder`.
        """
        request = self._make_request(args, kwargs)
        # Contexts kept from the request before.
        self._context_stack.close()

        response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        response.json_module = self.application.json  # type: ignore[assignment]

        # All that were kept, for redirects too: they are pushed again in their order.
        for context in self._new_contexts:
            self._context_stack.enter_context(context)

        self._new_contexts.clear()
        return response

    def __enter__(self) -> FlaskClient:
        if self.preserve_context:
            raise RuntimeError("Cannot nest client invocations")

        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._context_stack.close()


class FlaskCliRunner(CliRunner):
    """Runs CLI commands in this process, with the application in place of one to find."""

    def __init__(self, app: Flask, **kwargs: t.Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(  # type: ignore[override]
        self, cli: t.Any = None, args: t.Any = None, **kwargs: t.Any
    ) -> Result:
        """Run a command.

        :param cli: the command or group; the application's own group if ``None``.
        :param args: the arguments, as a list or a shell-quoted string.
        :param kwargs: those of `click.testing.CliRunner.invoke`; ``obj`` replaces the
            `ScriptInfo` that gives the application.
        """
        if "obj" not in kwargs:
            kwargs["obj"] = ScriptInfo(create_app=lambda: self.app)

        return super().invoke(self.app.cli if cli is None else cli, args, **kwargs)

"""Objects before their `__init__`, which subclasses may use as they may Flask's."""

from __future__ import annotations

import pytest

import bustapi
from bustapi.blueprints import Blueprint
from bustapi.cli import AppGroup, FlaskGroup, ScriptInfo
from bustapi.ctx import AppContext, RequestContext
from bustapi.json.provider import DefaultJSONProvider
from bustapi.json.tag import TaggedJSONSerializer
from bustapi.routing import Map, MapAdapter, Rule
from bustapi.sansio.blueprints import BlueprintSetupState
from bustapi.sessions import SecureCookieSession, SecureCookieSessionInterface
from bustapi.templating import DispatchingJinjaLoader, Environment
from bustapi.testing import EnvironBuilder, FlaskClient, FlaskCliRunner

ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"}
ENVIRON |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}

#: Every class that an application may subclass, what it is made with, and what it keeps.
CLASSES = {
    bustapi.Flask: (lambda app: ("shop",), ["import_name", "config", "url_map", "json"]),
    Blueprint: (lambda app: ("shop", "shop"), ["name", "url_prefix"]),
    bustapi.Request: (lambda app: (ENVIRON,), ["environ", "method", "path"]),
    bustapi.Response: (lambda app: ("text",), ["headers", "response"]),
    AppContext: (lambda app: (app,), ["app", "g", "url_adapter", "_cv_tokens"]),
    RequestContext: (
        lambda app: (app, ENVIRON),
        ["app", "request", "url_adapter", "flashes", "_session", "_cv_tokens"],
    ),
    bustapi.Config: (lambda app: (".",), ["root_path"]),
    Map: (lambda app: (), ["converters", "host_matching", "default_subdomain"]),
    Rule: (lambda app: ("/",), ["rule", "endpoint", "methods"]),
    MapAdapter: (
        lambda app: (app.url_map, "localhost", "/", None, "http", "/", "GET"),
        ["map", "server_name", "script_name", "subdomain", "url_scheme", "default_method"],
    ),
    SecureCookieSession: (lambda app: (), []),
    SecureCookieSessionInterface: (lambda app: (), []),
    FlaskClient: (lambda app: (app, bustapi.Response), ["application", "preserve_context"]),
    FlaskCliRunner: (lambda app: (app,), ["app"]),
    EnvironBuilder: (lambda app: (app,), ["app", "path", "method"]),
    ScriptInfo: (lambda app: (), ["create_app", "data"]),
    AppGroup: (lambda app: ("name",), ["name", "commands"]),
    FlaskGroup: (lambda app: (), ["create_app", "params"]),
    DefaultJSONProvider: (lambda app: (app,), ["_app"]),
    TaggedJSONSerializer: (lambda app: (), ["tags", "order"]),
    Environment: (lambda app: (app,), ["app", "filters"]),
    DispatchingJinjaLoader: (lambda app: (app,), ["app"]),
    BlueprintSetupState: (lambda app: (Blueprint("a", "a"), app, {}, True), ["app", "options"]),
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_attributes_before_init(app, cls):
    arguments, kept = CLASSES[cls]
    expected = cls(*arguments(app))

    class Early(cls):
        def __init__(self, *args):
            self.hooks = []
            self.hooks.append("early")
            self.gone = 1
            del self.gone

            with pytest.raises(AttributeError):
                del self.gone

            with pytest.raises(AttributeError):
                self.gone  # noqa: B018 it is the reading that is tried

            for name in kept:
                setattr(self, name, [])
                delattr(self, name)
                setattr(self, name, [])

            super().__init__(*args)

    made = Early(*arguments(app))
    assert made.hooks == ["early"]

    for name in kept:
        assert type(getattr(made, name)) is type(getattr(expected, name))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_attributes_of_an_object_that_is_never_made(cls):
    class Bare(cls):
        pass

    bare = Bare.__new__(Bare)
    bare.hooks = [1]
    assert bare.hooks == [1]
    del bare.hooks
    assert not hasattr(bare, "hooks")


def test_a_second_init_is_noticed(app):
    """The server's plan of an application is told of every assignment, also after that."""
    counter = app._generation
    app.__init__("other")
    assert app._generation is counter
    assert bustapi.Flask("other")._generation is not counter

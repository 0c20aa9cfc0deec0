"""Fixtures that most tests use: an application, its client, and a check for leaked contexts."""

from __future__ import annotations

import os
import sys

import pytest

import bustapi
from bustapi.globals import _cv_app, _cv_request
from live import LiveServer, bustapi_command

# Variables of the developer's shell that would change what tests see.
_VARIABLES = ("FLASK_APP", "FLASK_DEBUG", "FLASK_RUN_FROM_CLI", "FLASK_SKIP_DOTENV")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)

    yield

    # The command line sets it for the whole process.
    os.environ.pop("FLASK_RUN_FROM_CLI", None)


@pytest.fixture(autouse=True)
def _no_leaked_context():
    """Fail the test that leaves a context pushed, not the one after it."""
    yield
    leaked = [cv.get(None) for cv in (_cv_request, _cv_app)]

    for ctx in leaked:
        if ctx is not None:
            ctx.pop()

    assert leaked == [None, None]


@pytest.fixture
def app():
    app = bustapi.Flask("bustapi_test", root_path=os.path.dirname(__file__))
    app.config.update(TESTING=True, SECRET_KEY="test key")
    return app


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """Writes modules that the test can import, and forgets them after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)

    def write(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)

        return tmp_path

    yield write

    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


@pytest.fixture
def live_server(tmp_path):
    """Starts servers, by default ``bustapi run`` for an app whose source is given.

    Called with the source of the module ``served`` and further arguments of the command; or
    with the whole command. It returns when the server listens, unless it is not to `wait`.
    """
    servers = []

    def start(source, *arguments, command=None, wait=True, variables=None, **options):
        (tmp_path / "served.py").write_text(source)
        command = command or bustapi_command(*arguments, **options)
        server = LiveServer(command, tmp_path, variables)
        servers.append(server)
        return server.wait_until_running() if wait else server

    yield start

    for server in servers:
        server.close()

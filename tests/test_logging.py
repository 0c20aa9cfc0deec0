from __future__ import annotations

import io
import logging
import sys

import pytest

import bustapi
from bustapi.logging import default_handler, has_level_handler, wsgi_errors_stream


@pytest.fixture(autouse=True)
def root(app, monkeypatch):
    """A root logger without the handlers that pytest adds to the real one."""
    logger = logging.getLogger(app.name)
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logger, "parent", root)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.manager._clear_cache()
    yield root
    logger.manager._clear_cache()


def test_the_logger_is_named_like_the_app(app):
    assert app.logger.name == app.name
    assert app.logger is logging.getLogger(app.name)
    assert app.logger.handlers == [default_handler]
    assert app.logger.level == logging.NOTSET


def test_debug_mode_lowers_the_level(app):
    app.debug = True
    assert app.logger.level == logging.DEBUG


def test_a_level_that_is_set_stays(app):
    app.debug = True
    logging.getLogger(app.name).setLevel(logging.ERROR)
    assert app.logger.level == logging.ERROR


@pytest.mark.parametrize("where", ["own", "root"])
def test_an_existing_handler_is_enough(app, root, where):
    owner = root if where == "root" else logging.getLogger(app.name)
    owner.addHandler(logging.StreamHandler(io.StringIO()))
    assert default_handler not in app.logger.handlers


def test_a_handler_must_take_the_loggers_level(root):
    parent, logger = logging.Logger("parent"), logging.Logger("parent.child")
    logger.parent, parent.parent = parent, root
    logger.setLevel(logging.INFO)
    assert not has_level_handler(logger)
    handler = logging.StreamHandler(io.StringIO())
    handler.setLevel(logging.ERROR)
    parent.addHandler(handler)
    assert not has_level_handler(logger)
    handler.setLevel(logging.INFO)
    assert has_level_handler(logger)
    logger.propagate = False
    assert not has_level_handler(logger)


def test_errors_go_where_the_server_says(app, client):
    @app.get("/")
    def index():
        app.logger.error("it failed")
        return ""

    stream = io.StringIO()
    client.get("/", errors_stream=stream)
    assert "ERROR in test_logging: it failed" in stream.getvalue()


def test_errors_go_to_stderr_outside_of_a_request(app, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert wsgi_errors_stream._get_current_object() is stream
    app.logger.warning("careful")
    assert stream.getvalue().rstrip().endswith("WARNING in test_logging: careful")

    with app.test_request_context(errors_stream=io.StringIO()):
        assert wsgi_errors_stream._get_current_object() is bustapi.request.environ["wsgi.errors"]


def test_an_unhandled_error_is_logged_with_its_request(app, client):
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/")
    def index():
        raise LookupError("nowhere")

    stream = io.StringIO()
    assert client.get("/", errors_stream=stream).status_code == 500
    assert "Exception on / [GET]" in stream.getvalue()
    assert "LookupError: nowhere" in stream.getvalue()


def _raises(depth, error):
    if depth:
        return _raises(depth - 1, error)

    if callable(error):
        return error()

    raise error


def _chained():
    try:
        raise ValueError("first")
    except ValueError as e:
        raise KeyError("second") from e


def _meanwhile():
    try:
        raise ValueError("first")
    except ValueError:
        raise KeyError("second")  # noqa: B904 the context is what is tested


def _suppressed():
    try:
        raise ValueError("first")
    except ValueError:
        raise KeyError("second") from None


class _Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def _with_note():
    error = ValueError("noted")
    error.__notes__ = ["a note"]
    return error


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 5, 30])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("text"),
        ValueError("several\nlines"),
        _with_note(),
        _Unspeakable(),
        SystemExit(3),
        _chained,
        _meanwhile,
        _suppressed,
        lambda: {}["missing"],
        lambda: [].appendd,  # codespell:ignore
        lambda: undefined_name,  # noqa: F821
        lambda: int("x") + len([1]),
        lambda: compile("a b", "text", "exec"),
        lambda: exec("1 / 0"),
    ],
)
def test_tracebacks_are_as_python_writes_them(depth, error):
    handler = bustapi.logging.default_handler

    # What is remembered must not show in the second.
    for _ in range(2):
        try:
            _raises(depth, error)
        except BaseException as e:  # noqa: BLE001 its traceback is the test
            given = type(e), e, e.__traceback__
            e = None

        expected = logging.Formatter().formatException(given)
        assert handler.formatter.formatException(given) == expected

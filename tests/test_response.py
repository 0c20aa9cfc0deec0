from __future__ import annotations

import warnings

import pytest
from werkzeug.wrappers import Response as WerkzeugResponse

import bustapi
from bustapi import wrappers


def test_a_response_is_html_unless_told_otherwise():
    response = bustapi.Response("<p>")
    assert response.content_type == "text/html; charset=utf-8"
    assert isinstance(response, WerkzeugResponse)
    assert bustapi.Response("x", mimetype="text/plain").mimetype == "text/plain"


def test_the_names_that_extensions_import():
    assert wrappers.Response is bustapi.Response
    assert wrappers.Request is bustapi.Request
    assert wrappers.ResponseBase is WerkzeugResponse


def test_a_response_reads_json():
    response = bustapi.Response('{"a": 1}', mimetype="application/json")
    assert response.json == {"a": 1}
    assert response.json_module is bustapi.json


def test_a_relative_location_stays_relative(app, client):
    @app.get("/")
    def index():
        return bustapi.redirect("/next")

    assert client.get("/").headers["Location"] == "/next"


def test_the_cookie_size_comes_from_the_config(app):
    response = bustapi.Response()
    assert response.max_cookie_size == WerkzeugResponse.max_cookie_size == 4093

    with app.app_context():
        app.config["MAX_COOKIE_SIZE"] = 10
        assert response.max_cookie_size == 10

        with pytest.warns(UserWarning, match="The 'name' cookie is too large"):
            response.set_cookie("name", "x" * 20)

        app.config["MAX_COOKIE_SIZE"] = 0

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            response.set_cookie("name", "x" * 9000)


def test_the_apps_class_is_used(app, client):
    class Plain(bustapi.Response):
        default_mimetype = "text/plain"

    app.response_class = Plain

    @app.get("/")
    def index():
        return "x"

    assert client.get("/").mimetype == "text/plain"
    assert client.get("/missing").status_code == 404

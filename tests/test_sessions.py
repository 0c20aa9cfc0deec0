from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from uuid import UUID

import itsdangerous
import pytest
from itsdangerous import BadPayload, URLSafeTimedSerializer
from markupsafe import Markup

import bustapi
from bustapi import session
from bustapi.sessions import (
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
    session_json_serializer,
)

# Made by Flask 3.1.3 with this key at this second.
KEY = "recorded key"
SECOND = 1_700_000_000
COOKIES = [
    pytest.param(
        {"user": 7, "name": "Zoë"},
        "eyJuYW1lIjoiWm9cdTAwZWIiLCJ1c2VyIjo3fQ.ZVPxAA.buftiob8yeauX2ynxYPuwGKampE",
        id="plain",
    ),
    pytest.param(
        {
            "t": (1, (2, 3)),
            "b": b"\x00\xff",
            "m": Markup("<b>x</b>"),
            "u": UUID("12345678123456781234567812345678"),
            "d": datetime(2024, 2, 29, 12, 30, 15, tzinfo=timezone.utc),
            "n": {" t": [1]},
            "l": [{"a": (1,)}],
        },
        ".eJyrVkpSsqpWUgCSSo4BFrZKtTpKKWARIKkUklGqo2BkqeCWmqRgZGBkomBoZGVsYGVoquDuGwJSmqNkFV2tlAjW"
        "UAJkG8bW1sbqKOWCBYCkkk2SXYWNfpIdSHEexNxMiOr4eKh6HaUShH4dKMNIxzi2NhYoVwqWA5JKhkbGJqZm5ha4"
        "aKXaWgA57jQ7.ZVPxAA.K-Qcz-_9s8yh2XHIvKZW8LTFm1Q",
        id="tagged",
    ),
    pytest.param(
        {"k": "abcdefgh" * 40},
        ".eJyrVspWslJKTEpOSU1LzxilyaOVagGvCH_G.ZVPxAA.jZ4Sk8dClxHHtIqnCX23niHPP1g",
        id="compressed",
    ),
]


@pytest.fixture
def shop():
    """An app that writes any JSON into the session and reads it back."""
    app = bustapi.Flask("shop")
    app.secret_key = KEY
    app.testing = True

    @app.post("/")
    def write():
        for key, value in bustapi.request.json.items():
            if value is None:
                session.pop(key, None)
            else:
                session[key] = value

        return ""

    @app.get("/")
    def read():
        return dict(session)

    @app.get("/away")
    def away():
        return "not looked at"

    return app


def cookie_of(response):
    """The one Set-Cookie header, as (name=value, set of attributes)."""
    (header,) = response.headers.getlist("Set-Cookie")
    first, *attributes = header.split("; ")
    return first, set(attributes)


# --- the cookie's form


@pytest.mark.parametrize(("contents", "cookie"), COOKIES)
def test_cookies_of_flask_are_read(shop, contents, cookie):
    shop.permanent_session_lifetime = timedelta(days=36_500)

    with shop.test_request_context(headers={"Cookie": f"session={cookie}"}):
        assert dict(session) == contents
        assert {k: type(v) for k, v in session.items()} == {k: type(v) for k, v in contents.items()}


@pytest.mark.parametrize(("contents", "cookie"), COOKIES)
def test_cookies_are_written_as_flask_writes_them(shop, monkeypatch, contents, cookie):
    monkeypatch.setattr(time, "time", lambda: SECOND)

    with shop.test_request_context():
        session.update(contents)
        response = shop.process_response(shop.response_class())

    assert cookie_of(response)[0] == f"session={cookie}"


def test_the_signature_is_itsdangerous_own(shop):
    signer = SecureCookieSessionInterface().get_signing_serializer(shop)
    assert isinstance(signer, URLSafeTimedSerializer)
    assert signer.salt == b"cookie-session"
    assert signer.signer_kwargs["key_derivation"] == "hmac"
    assert signer.serializer is session_json_serializer
    shop.secret_key = None
    assert SecureCookieSessionInterface().get_signing_serializer(shop) is None


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "garbage",
        "eyJ1c2VyIjo4fQ.ZVPxAA.buftiob8yeauX2ynxYPuwGKampE",
        COOKIES[0].values[1][:-1] + "A",
        "." + COOKIES[0].values[1],
    ],
)
def test_a_forged_cookie_gives_an_empty_session(shop, cookie):
    shop.permanent_session_lifetime = timedelta(days=36_500)

    with shop.test_request_context(headers={"Cookie": f"session={cookie}"}):
        assert dict(session) == {}
        assert not session.modified


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_was_signed_is_read_as_text(shop, encoding):
    """Python's parser takes bytes in other encodings; a cookie is UTF-8, whoever reads it."""

    class Encoded:
        def dumps(self, value):
            return json.dumps(value).encode(encoding)

        loads = staticmethod(json.loads)

    signer = SecureCookieSessionInterface()
    signer.serializer = Encoded()
    client = shop.test_client()
    client.set_cookie("session", signer.get_signing_serializer(shop).dumps({"a": 1}).decode())

    # Flask does not take it for a forged one: who signed it has the key.
    with pytest.raises(BadPayload):
        client.get("/")


def test_an_old_cookie_gives_an_empty_session(shop, monkeypatch):
    contents, cookie = COOKIES[0].values
    lifetime = int(shop.permanent_session_lifetime.total_seconds())
    headers = {"Cookie": f"session={cookie}"}

    for age, expected in ((lifetime, contents), (lifetime + 1, {})):
        monkeypatch.setattr(time, "time", lambda age=age: SECOND + age)

        with shop.test_request_context(headers=headers):
            assert dict(session) == expected


def test_former_keys_still_read(shop):
    client = shop.test_client()
    client.post("/", json={"a": 1})
    shop.secret_key = "new key"
    assert client.get("/").json == {}
    shop.config["SECRET_KEY_FALLBACKS"] = ["older", KEY]
    assert client.get("/").json == {"a": 1}
    client.post("/", json={"a": 2})
    # What is written now is signed with the new key alone.
    shop.config["SECRET_KEY_FALLBACKS"] = None
    assert client.get("/").json == {"a": 2}


@pytest.mark.parametrize("key", [b"bytes \xff", "text é"])
def test_keys_are_text_or_bytes(shop, key):
    shop.secret_key = key
    client = shop.test_client()
    client.post("/", json={"a": 1})
    assert client.get("/").json == {"a": 1}


def test_an_interface_may_sign_otherwise(shop):
    import hashlib

    class Own(SecureCookieSessionInterface):
        salt = "own"
        digest_method = staticmethod(hashlib.sha256)

    client = shop.test_client()
    client.post("/", json={"a": 1})
    shop.session_interface = Own()
    assert client.get("/").json == {}
    client.post("/", json={"a": 2})
    assert client.get("/").json == {"a": 2}
    value = client.get_cookie("session").value

    with pytest.raises(itsdangerous.BadSignature):
        SecureCookieSessionInterface().get_signing_serializer(shop).loads(value)


# --- when the cookie is sent


def test_a_session_that_nobody_changed_is_not_sent(shop):
    client = shop.test_client()
    assert "Set-Cookie" not in client.get("/").headers
    client.post("/", json={"a": 1})
    assert "Set-Cookie" not in client.get("/").headers


def test_answers_vary_by_cookie_when_the_session_was_read(shop):
    client = shop.test_client()
    client.post("/", json={"a": 1})
    assert list(client.get("/").vary) == ["Cookie"]
    assert list(client.get("/away").vary) == []


def test_an_emptied_session_deletes_the_cookie(shop):
    client = shop.test_client()
    client.post("/", json={"a": 1})
    name, attributes = cookie_of(client.post("/", json={"a": None}))
    assert name == "session="
    assert {"Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Max-Age=0", "Path=/"} <= attributes
    assert client.get_cookie("session") is None
    # It was empty before: nothing to delete.
    assert "Set-Cookie" not in client.post("/", json={"b": None}).headers


def test_a_change_within_a_value_is_not_noticed(shop):
    @shop.get("/within/<int:mark>")
    def within(mark):
        session["list"].append(1)
        session.modified = bool(mark)
        return ""

    client = shop.test_client()
    client.post("/", json={"list": []})
    client.get("/within/0")
    assert client.get("/").json == {"list": []}
    client.get("/within/1")
    assert client.get("/").json == {"list": [1]}


def test_a_permanent_session_is_sent_with_each_answer(shop):
    client = shop.test_client()
    _, attributes = cookie_of(client.post("/", json={"_permanent": True}))
    assert any(attribute.startswith("Expires=") for attribute in attributes)
    response = client.get("/away")
    cookie_of(response)
    assert list(response.vary) == ["Cookie"]
    shop.config["SESSION_REFRESH_EACH_REQUEST"] = False
    assert "Set-Cookie" not in client.get("/away").headers


def test_a_permanent_session_ends_after_its_lifetime(shop):
    interface = shop.session_interface
    contents = SecureCookieSession()
    assert interface.get_expiration_time(shop, contents) is None
    contents.permanent = "yes"
    assert contents["_permanent"] is True
    ends = interface.get_expiration_time(shop, contents)
    left = ends - datetime.now(timezone.utc)
    assert timedelta(days=30) < left <= shop.permanent_session_lifetime


# --- the cookie's attributes


def test_the_attributes_by_default(shop):
    name, attributes = cookie_of(shop.test_client().post("/", json={"a": 1}))
    assert name.startswith("session=")
    assert attributes == {"HttpOnly", "Path=/"}


def test_the_attributes_from_the_config(shop):
    shop.config.update(
        SESSION_COOKIE_NAME="cart",
        SESSION_COOKIE_DOMAIN=".shop.test",
        SESSION_COOKIE_PATH="/mount",
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PARTITIONED=True,
    )
    expected = {"Domain=shop.test", "Path=/mount", "Secure", "SameSite=Lax", "Partitioned"}
    response = shop.test_client().post("/", json={"a": 1})
    name, attributes = cookie_of(response)
    assert name.startswith("cart=")
    assert attributes == expected
    # A cookie is deleted with the attributes that it was set with.
    cart = f"cart={name.removeprefix('cart=')}"
    deleted = shop.test_client(use_cookies=False).post(
        "/", json={"a": None}, headers={"Cookie": cart}
    )
    assert expected < cookie_of(deleted)[1]


def test_the_path_falls_back_on_the_root(shop):
    shop.config["APPLICATION_ROOT"] = "/root"
    assert shop.session_interface.get_cookie_path(shop) == "/root"


# --- sessions as objects


def test_a_secure_session_notices_changes():
    contents = SecureCookieSession({"a": 1})
    assert not contents.modified
    assert not contents.accessed
    assert not contents.new
    assert contents["a"] == 1
    assert not contents.modified
    contents["b"] = 2
    assert contents.modified


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("a"),
        lambda s: s.update(b=1),
        lambda s: s.setdefault("b", 1),
        lambda s: s.clear(),
        lambda s: s.popitem(),
        lambda s: s.__delitem__("a"),
    ],
)
def test_every_change_is_noticed(change):
    contents = SecureCookieSession({"a": 1})
    change(contents)
    assert contents.modified


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.__setitem__("a", 1),
        lambda s: s.__delitem__("a"),
        lambda s: s.clear(),
        lambda s: s.pop("a", None),
        lambda s: s.popitem(),
        lambda s: s.update(a=1),
        lambda s: s.setdefault("a", 1),
        lambda s: setattr(s, "permanent", True),
    ],
)
def test_without_a_key_a_session_can_be_read_only(app, change):
    app.secret_key = None

    with app.test_request_context():
        assert session.get("a") is None
        assert dict(session) == {}
        assert not session.permanent

        with pytest.raises(RuntimeError) as caught:
            change(session)

    assert str(caught.value) == (
        "The session is unavailable because no secret key was set.  Set the secret_key on"
        " the application to something unique and secret."
    )


def test_the_mixin_assumes_the_worst():
    class Own(dict, SessionMixin):
        pass

    own = Own()
    assert (own.new, own.modified, own.accessed, own.permanent) == (False, True, False, False)


# --- interfaces of one's own


def test_an_interface_needs_two_methods(app):
    with pytest.raises(NotImplementedError):
        SessionInterface().open_session(app, None)

    with pytest.raises(NotImplementedError):
        SessionInterface().save_session(app, None, None)


def test_null_sessions(app):
    interface = SessionInterface()
    null = interface.make_null_session(app)
    assert isinstance(null, NullSession)
    assert interface.is_null_session(null)
    assert not interface.is_null_session({})
    assert interface.pickle_based is False


def test_an_interface_keeps_sessions_elsewhere(app, client):
    class Stored(dict, SessionMixin):
        pass

    class Store(SessionInterface):
        kept = {}

        def open_session(self, app, request):
            # The context is pushed already, and routing has not run yet.
            seen.append((bustapi.request.path, bustapi.request.endpoint))
            return Stored(self.kept)

        def save_session(self, app, session, response):
            self.kept.clear()
            self.kept.update(session)
            response.headers["X-Saved"] = "1"

    seen = []
    app.session_interface = Store()

    @app.get("/")
    def index():
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
    assert client.get("/").headers["X-Saved"] == "1"
    assert seen[0] == ("/", None)


def test_a_null_session_is_not_saved(app, client):
    class Never(SessionInterface):
        def open_session(self, app, request):
            return None

        def save_session(self, app, session, response):
            raise AssertionError("a null session was saved")

    app.session_interface = Never()
    app.add_url_rule("/", view_func=lambda: "x")
    assert client.get("/").text == "x"

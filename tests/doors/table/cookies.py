"""Cookies that views set and read, and headers that repeat."""

from __future__ import annotations

import datetime

from ..case import case, get, post


@case(
    get("/set"),
    get("/read"),
    get("/read", ("Cookie", 'a=1; b=two words; c="quo\\"ted"; d=\\303\\251; e; =f; a=2')),
    get("/read", ("Cookie", "a=1"), ("Cookie", "b=2")),
    get("/read", ("Cookie", "a=%20%C3%A9; b=x=y=z; c= spaced ;;; d=,")),
    get("/read", ("Cookie", "")),
    get("/read", ("Cookie", "é=ü; ok=1")),
    get("/read", ("Cookie", 'k={"a":1,"b":2}; z=1; a"b=2; c="un; d=1; "e"=3; f="g"h; i=3')),
    get("/delete"),
    get("/read"),
    get("/many"),
    get("/read"),
    get("/after"),
)
def cookies(fw):
    app = fw.app()

    @app.get("/set")
    def set_cookies():
        response = fw.make_response("set")
        response.set_cookie("plain", "value")
        response.set_cookie("quoted", 'a "b"; c,\\')
        response.set_cookie("unicode", "é☃")
        response.set_cookie("full", "x", max_age=60, path="/p", domain="door.test", secure=True)
        response.set_cookie("flags", "x", httponly=True, samesite="Strict", partitioned=True)
        response.set_cookie(
            "date",
            "x",
            expires=datetime.datetime(1999, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        )
        response.set_cookie("delta", "x", max_age=datetime.timedelta(minutes=2))
        return response

    @app.get("/read")
    def read():
        return [[name, fw.request.cookies.getlist(name)] for name in fw.request.cookies]

    @app.get("/delete")
    def delete():
        response = fw.make_response("deleted")
        response.delete_cookie("plain")
        response.delete_cookie("full", path="/p", domain="door.test")
        return response

    @app.get("/many")
    def many():
        return "many", [("Set-Cookie", f"c{i}={i}") for i in range(20)]

    @app.get("/after")
    def after():
        @fw.after_this_request
        def add(response):
            response.set_cookie("late", "1")
            response.set_cookie("late", "2")
            return response

        return "after", {"Set-Cookie": "early=1"}

    return app


@case(
    get("/repeated"),
    get("/mixed"),
    get("/vary"),
    get("/cache"),
    get("/links"),
    get("/typed"),
    get("/read", ("X-A", "1"), ("X-B", "2"), ("x-a", "3")),
    get("/read", ("Accept", "text/html"), ("Accept", "text/plain;q=0.5")),
    get("/read", ("X-Empty", "")),
    get("/read", ("X-Latin", "é")),
    get("/read", ("X_Under", "1"), ("X-Under", "2")),
    post("/length", body=b"1234"),
    post("/length"),
)
def headers(fw):
    app = fw.app()

    @app.get("/repeated")
    def repeated():
        return "repeated", [("X-A", "1"), ("X-A", "2"), ("X-A", "1")]

    @app.get("/mixed")
    def mixed():
        return "mixed", [("X-A", "1"), ("X-B", "2"), ("x-a", "3"), ("X-C", ""), ("X-B", "4")]

    @app.get("/vary")
    def vary():
        response = fw.make_response("vary")
        response.vary.add("Accept")
        response.vary.update(["Cookie", "accept"])
        response.content_language.add("de")
        response.allow.update(["GET", "PUT"])
        return response

    @app.get("/cache")
    def cache():
        response = fw.make_response("cache")
        response.cache_control.max_age = 60
        response.cache_control.no_cache = True
        response.set_etag("tag", weak=True)
        response.last_modified = datetime.datetime(2001, 2, 3, tzinfo=datetime.timezone.utc)
        response.age = 5
        response.retry_after = 7
        return response

    @app.get("/links")
    def links():
        response = fw.make_response("links")
        response.headers.add("Link", "</a>", rel="next", title="é")
        response.content_location = "/é"
        response.access_control_allow_origin = "*"
        response.content_security_policy = None
        return response

    @app.get("/typed")
    def typed():
        response = fw.make_response("typed")
        response.mimetype_params["version"] = "1"
        response.content_range.set("bytes", 0, 4, 9)
        response.content_encoding = "identity"
        return response

    @app.get("/read")
    def read():
        ignored = {"Host", "Connection", "Content-Length", "Content-Type"}
        return [[k, v] for k, v in sorted(fw.request.headers) if k not in ignored]

    @app.post("/length")
    def length():
        headers = fw.request.headers
        return [headers.get("Content-Length"), headers.get("Content-Type"), len(fw.request.data)]

    return app

"""`bustapi.routing`: what is Werkzeug's, what is native, and where one gives way to the other.

That both give the same answers is shown by tests/differential and by Werkzeug's own tests.
"""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import threading
import time
import uuid
import weakref
from urllib.parse import unquote_to_bytes

import pytest
import werkzeug.routing
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import BadHost, MethodNotAllowed, NotFound
from werkzeug.test import create_environ, run_wsgi_app

import bustapi
from bustapi import routing
from bustapi.routing import (
    BaseConverter,
    BuildError,
    EndpointPrefix,
    Map,
    MapAdapter,
    RequestRedirect,
    Rule,
    RuleTemplate,
    Subdomain,
    Submount,
    ValidationError,
    WebsocketMismatch,
)


def answer_of(call, *args, **kwargs):
    """What a call gives or raises, in a form that can be compared."""
    try:
        return call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 whatever is raised is the answer
        message = getattr(error, "new_url", None) or str(error)
        return type(error).__name__, message


@pytest.fixture
def url_map():
    return Map(
        [
            Rule("/", endpoint="index"),
            Rule("/users/<int:id>", endpoint="user", methods=["GET"]),
            Rule("/users/", endpoint="users", methods=["POST"]),
            Rule("/files/<path:name>", endpoint="file"),
        ]
    )


@pytest.fixture
def adapter(url_map):
    return url_map.bind("example.org")


def test_classes_are_werkzeugs(url_map, adapter):
    assert isinstance(url_map, werkzeug.routing.Map)
    assert isinstance(adapter, MapAdapter)
    assert isinstance(adapter, werkzeug.routing.MapAdapter)
    assert all(isinstance(rule, werkzeug.routing.Rule) for rule in url_map.iter_rules())
    assert not url_map._is_foreign
    for name in dir(werkzeug.routing):
        if name[0].isupper() and name != "StateMachineMatcher":
            assert hasattr(routing, name), name


def test_match(adapter, url_map):
    assert adapter.match("/") == ("index", {})
    assert adapter.match("/users/42", "get") == ("user", {"id": 42})
    rule, values = adapter.match("/users/42", return_rule=True)
    assert rule is next(url_map.iter_rules("user"))
    assert values == {"id": 42}
    assert type(values) is dict


def test_match_raises_werkzeugs_exceptions(adapter):
    with pytest.raises(NotFound):
        adapter.match("/nowhere")
    with pytest.raises(MethodNotAllowed) as not_allowed:
        adapter.match("/users/1", "DELETE")
    assert sorted(not_allowed.value.valid_methods) == ["GET", "HEAD"]
    with pytest.raises(RequestRedirect) as redirect:
        adapter.match("/users", "POST", query_args={"q": "a b"})
    assert redirect.value.new_url == "http://example.org/users/?q=a+b"
    assert redirect.value.code == 308
    with pytest.raises(WebsocketMismatch):
        adapter.match("/", websocket=True)


def test_other_methods_of_adapters(adapter):
    assert adapter.test("/users/1")
    assert adapter.test("/users", "POST")
    assert not adapter.test("/users/x")
    assert sorted(adapter.allowed_methods("/users/1")) == ["GET", "HEAD"]
    assert adapter.dispatch(lambda endpoint, args: (endpoint, args), "/users/1") == (
        "user",
        {"id": 1},
    )
    assert adapter.get_host(None) == "example.org"
    assert adapter.get_host("sub") == "sub.example.org"
    assert adapter.encode_query_args({"a": [1, 2]}) == "a=1&a=2"
    assert adapter.make_redirect_url("/x", "q=1") == "http://example.org/x?q=1"


def test_build(adapter):
    assert adapter.build("user", {"id": 7}) == "/users/7"
    assert adapter.build("user", {"id": 7, "q": ["a", "b"]}) == "/users/7?q=a&q=b"
    assert adapter.build("user", MultiDict([("id", 7), ("q", "a"), ("q", "b")])).endswith(
        "?q=a&q=b"
    )
    assert adapter.build("file", {"name": "a b/ä"}) == "/files/a%20b/%C3%A4"
    assert adapter.build("index", url_scheme="https", force_external=True) == "https://example.org/"
    assert adapter.build("user", {"id": 1, "x": 2}, append_unknown=False) == "/users/1"


def test_build_error_tells_what_was_asked(adapter):
    with pytest.raises(BuildError) as missing:
        adapter.build("user", {"name": "x"}, method="POST")
    error = missing.value
    assert (error.endpoint, error.values, error.method) == ("user", {"name": "x"}, "POST")
    assert error.adapter is adapter
    assert error.suggested.endpoint == "user"
    with pytest.raises(BuildError, match=r"Did you mean 'user' instead\?"):
        adapter.build("usr")


def test_build_raises_what_a_converter_raises(adapter):
    with pytest.raises(ValueError, match="invalid literal for int"):
        adapter.build("user", {"id": "x"})


@pytest.mark.parametrize(
    ("rule", "position"),
    [
        ("no-slash", None),
        ("/<", 1),
        ("/ü/<int:>", 3),
        ("/<x>/<a", 5),
        ("/<unknown:x>", "1 of '/<unknown:x>'"),
        ("/<int(:x>", 1),
        ("/\ud800<", 2),
        ("/<x>/<x>", None),
        ("/<int(min=-1):x>", "1 of '/<int(min=-1):x>'"),
        ("/<any('<:'):x>ü<int(min=-1):x>/<", "15 of \"/<any('<:'):x>ü<int(min=-1):x>/<\""),
        ("/<None>/<", 8),
        ("/<int(unknown=1):x>", None),
        ("/\ud800", None),
        ("/<x>/\udc80/", None),
    ],
)
def test_malformed_rules_raise_what_werkzeug_raises_and_name_the_position(rule, position):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 the type is compared
        werkzeug.routing.Map([werkzeug.routing.Rule(rule, endpoint="e")])
    with pytest.raises(theirs.type) as ours:
        Map([Rule(rule, endpoint="e")])
    where = "" if position is None else f" (at position {position})"
    assert str(ours.value) == f"{theirs.value}{where}"


def test_the_position_of_a_fault_in_a_host_is_the_hosts():
    with pytest.raises(ValueError, match=r"^malformed url rule: 'a\.<' \(at position 2\)$"):
        Map([Rule("/<x>", subdomain="a.<")])
    with pytest.raises(LookupError, match=r"\(at position 1 of '/<no:y>'\)$"):
        Map([Rule("/<no:y>", subdomain="<x>.<z>")])


def test_a_refused_rule_leaves_the_map_usable(url_map):
    with pytest.raises(LookupError):
        url_map.add(Rule("/<unknown:x>", endpoint="e"))
    url_map.add(Rule("/late", endpoint="late"))
    assert url_map.bind("example.org").match("/late") == ("late", {})
    assert not url_map._is_foreign


def test_rules_may_be_added_and_matched_in_turn(url_map, adapter):
    for number in range(20):
        url_map.add(Rule(f"/late/{number}", endpoint=f"late{number}"))
        assert adapter.match(f"/late/{number}") == (f"late{number}", {})


def test_adding_many_rules_takes_linear_time():
    def seconds(count):
        rules = [Rule(f"/r{number}/<int:x>", endpoint=f"e{number}") for number in range(count)]
        # The collector looks at what all other tests have left behind, again and again.
        gc.disable()

        try:
            start = time.thread_time()
            url_map = Map(rules)
            url_map.bind("example.org").match("/r0/1")
            return time.thread_time() - start
        finally:
            gc.enable()

    seconds(100)
    # With the square it would be a hundred times as long.
    assert seconds(10_000) < 60 * seconds(1_000)


def test_a_rule_belongs_to_one_map(url_map):
    rule = next(url_map.iter_rules("user"))
    with pytest.raises(RuntimeError, match="already bound"):
        Map([rule])
    other = Map([rule.empty()])
    assert other.bind("x").match("/users/3") == ("user", {"id": 3})


def test_plain_werkzeug_rules_are_taken():
    url_map = Map([werkzeug.routing.Rule("/<int:id>", endpoint="e")])
    assert not url_map._is_foreign
    assert url_map.bind("x").match("/3") == ("e", {"id": 3})
    assert url_map.bind("x").build("e", {"id": 3}) == "/3"


def test_rules_of_ours_are_taken_by_a_plain_werkzeug_map():
    url_map = werkzeug.routing.Map([Rule("/<int:id>/", endpoint="e", defaults={"x": 1})])
    adapter = url_map.bind("x")
    assert adapter.match("/3/") == ("e", {"id": 3, "x": 1})
    assert adapter.build("e", {"id": 3, "q": 4}) == "/3/?q=4"


def test_rule_factories():
    url_map = Map(
        [
            Submount(
                "/blog",
                [EndpointPrefix("blog/", [Rule("/<slug>", endpoint="post")])],
            ),
            Subdomain("api", [Rule("/", endpoint="api")]),
            RuleTemplate([Rule("/$name/", endpoint="$name.list")])(name="user"),
        ]
    )
    assert not url_map._is_foreign
    assert url_map.bind("x").match("/blog/hello") == ("blog/post", {"slug": "hello"})
    assert url_map.bind("x", subdomain="api").match("/") == ("api", {})
    assert url_map.bind("x").build("user.list") == "/user/"


def test_endpoints_of_any_type():
    def view():
        return None

    endpoints = [view, ("a", 1), 3, None, "\0" + "0", "text"]
    url_map = Map([Rule(f"/{number}", endpoint=each) for number, each in enumerate(endpoints)])
    adapter = url_map.bind("x")
    for number, endpoint in enumerate(endpoints):
        assert adapter.match(f"/{number}") == (endpoint, {})
        assert adapter.build(endpoint) == f"/{number}"
    assert url_map.is_endpoint_expecting(view) is True
    assert not url_map._is_foreign


def test_iter_rules_and_expected_arguments(url_map):
    assert [rule.endpoint for rule in url_map.iter_rules()] == ["index", "user", "users", "file"]
    assert [rule.rule for rule in url_map.iter_rules("file")] == ["/files/<path:name>"]
    assert url_map.is_endpoint_expecting("user", "id")
    assert not url_map.is_endpoint_expecting("user", "id", "x")
    with pytest.raises(KeyError):
        url_map.iter_rules("nowhere")


# -- converters -------------------------------------------------------------------------------


class ListConverter(BaseConverter):
    """Converts, in both directions, and counts how often."""

    calls = 0

    def to_python(self, value):
        type(self).calls += 1
        return value.split("+")

    def to_url(self, value):
        return "+".join(BaseConverter.to_url(self, each) for each in value)


def test_converters_may_be_added_at_any_time(url_map, adapter):
    adapter.match("/")
    url_map.converters["list"] = ListConverter
    url_map.add(Rule("/l/<list:names>", endpoint="list"))
    assert adapter.match("/l/a+b") == ("list", {"names": ["a", "b"]})
    assert adapter.build("list", {"names": ["a", "b c"]}) == "/l/a+b%20c"
    assert not url_map._is_foreign


def test_converters_are_called_once_the_rest_has_matched(url_map, adapter):
    url_map.converters["list"] = ListConverter
    url_map.add(Rule("/l/<list:names>/end", endpoint="list", methods=["GET"]))
    ListConverter.calls = 0
    for path, method in (("/l/a/other", "GET"), ("/l/a/end", "POST")):
        with pytest.raises((NotFound, MethodNotAllowed)):
            adapter.match(path, method)
    assert ListConverter.calls == 0
    adapter.match("/l/a/end")
    assert ListConverter.calls == 1


def test_what_converters_raise():
    class Picky(BaseConverter):
        def to_python(self, value):
            if value == "no":
                raise ValidationError
            if value == "broken":
                raise ZeroDivisionError("here")
            return value

    url_map = Map(
        [Rule("/<picky:x>", endpoint="picky"), Rule("/<path:x>", endpoint="rest")],
        converters={"picky": Picky},
    )
    adapter = url_map.bind("x")
    assert adapter.match("/yes") == ("picky", {"x": "yes"})
    # Werkzeug tries no other rule either.
    with pytest.raises(NotFound):
        adapter.match("/no")
    with pytest.raises(ZeroDivisionError, match="here"):
        adapter.match("/broken")


def test_converters_may_use_the_map_and_change_the_adapter():
    class Nosy(BaseConverter):
        def to_python(self, value):
            url_map.add(Rule(f"/{value}/added", endpoint=value))
            adapter.default_method = "POST"
            return url_map.bind("x").match("/static")

    url_map = Map(
        [Rule("/n/<nosy:x>", endpoint="nosy"), Rule("/static", endpoint="static")],
        converters={"nosy": Nosy},
    )
    adapter = url_map.bind("x")
    assert adapter.match("/n/a") == ("nosy", {"x": ("static", {})})
    assert adapter.default_method == "POST"
    assert adapter.match("/a/added") == ("a", {})


def test_a_converter_of_a_default_may_use_the_map():
    class Nosy(BaseConverter):
        def to_url(self, value):
            return url_map.bind("x").build("static")[1:]

    url_map = Map([Rule("/static", endpoint="static")], converters={"nosy": Nosy})
    url_map.bind("x").match("/static")
    url_map.add(Rule("/n/<nosy:x>", endpoint="nosy", defaults={"x": 1}))
    assert url_map.bind("x").build("nosy") == "/n/static"


def test_expressions_of_pythons_own_syntax():
    class NotAdmin(BaseConverter):
        regex = r"(?!admin\b)[^/]+"

    url_map = Map(
        [Rule("/<other:x>", endpoint="user"), Rule("/<x>", endpoint="admin")],
        converters={"other": NotAdmin},
    )
    adapter = url_map.bind("x")
    assert adapter.match("/märz") == ("user", {"x": "märz"})
    assert adapter.match("/admin") == ("admin", {"x": "admin"})
    assert not url_map._is_foreign


@pytest.mark.parametrize(
    "regex",
    [
        r"\w+", r"\W+", r"[\w-]+", r"[^\w]+", r"\s+", r"\S+", r"[^\s/]+", r"[\W]+", r"\b\w+\b",
        r"[a-z]++x", r"[a-z]{2}+", r"a?+b", r"(?i)abc", r"(?i:[a-z])+", r"(?i:\u0130)", r"[a--b]+",
        r"[+--]+", r"(?<q>a)", r"a\z", r"\pL+", r"a**", r"a{2}{3}", r"(?>a+)b", r"(a|ab)(c|bcd)?",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Flags not at the start:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Possible set difference:FutureWarning")
def test_expressions_mean_what_they_do_in_python(regex):
    texts = ["a", "ab", "aab", "abc", "ABC", "aaaa", "abx", "a b", "a-b", ",", "e\u0301", "\u00b2"]
    texts += ["\u00bd", "\u203f", "a\u200d", "\x1c", "\x85", "\u0130", "i", "a_b", "\u0663"]

    def answers(module):
        own = type("Own", (BaseConverter,), {"regex": regex})
        rule = module.Rule("/<own:x>", endpoint="e")
        adapter = module.Map([rule], converters={"own": own}).bind("x")
        return [answer_of(adapter.match, f"/{text}") for text in texts]

    assert answers(routing) == answers(werkzeug.routing)


def test_converters_that_give_no_text():
    class Odd(BaseConverter):
        def to_url(self, value):
            return value

    class Loud(str):
        __slots__ = ()

        def __str__(self):
            return "loud"

    def answers(module):
        rules = [
            module.Rule("/<odd:x>", endpoint="e"),
            module.Rule("/", endpoint="f", subdomain="<odd:x>"),
        ]
        adapter = module.Map(rules, converters={"odd": Odd}).bind("x")
        values = (1, None, Loud("text"), b"bytes")
        return [answer_of(adapter.build, each, {"x": x}) for each in "ef" for x in values]

    assert answers(routing) == answers(werkzeug.routing)


def test_subclasses_and_patches_of_builtin_converters_are_called(monkeypatch):
    class Even(routing.IntegerConverter):
        def to_python(self, value):
            return super().to_python(value) * 2

    url_map = Map([Rule("/<even:x>", endpoint="e")], converters={"even": Even, "n": Even})
    assert url_map.bind("x").match("/4") == ("e", {"x": 8})
    monkeypatch.setattr(routing.IntegerConverter, "to_python", lambda self, value: "patched")
    patched = Map([Rule("/<int:x>", endpoint="e")])
    assert patched.bind("x").match("/4") == ("e", {"x": "patched"})


def test_values_have_werkzeugs_types():
    url_map = Map(
        [
            Rule("/i/<int(signed=True):x>", endpoint="i", defaults={"more": (1, 2)}),
            Rule("/f/<float:x>", endpoint="f"),
            Rule("/u/<uuid:x>", endpoint="u"),
            Rule('/a/<any(a, "b c"):x>', endpoint="a"),
        ]
    )
    adapter = url_map.bind("x")
    big = 10**30
    assert adapter.match(f"/i/-{big}") == ("i", {"x": -big, "more": (1, 2)})
    assert adapter.match("/f/1.50") == ("f", {"x": 1.5})
    unique = uuid.UUID(int=12345)
    assert adapter.match(f"/u/{unique}") == ("u", {"x": unique})
    assert adapter.build("u", {"x": unique}) == f"/u/{unique}"
    assert adapter.match("/a/b c") == ("a", {"x": "b c"})
    with pytest.raises(ValueError, match="is not one of 'a', 'b c'"):
        adapter.build("a", {"x": "d"})


def test_redirects():
    def target(adapter, id):
        return f"new/{adapter.server_name}/{id}"

    url_map = Map(
        [
            Rule("/new/<id>", endpoint="new"),
            Rule("/old/<id>", redirect_to="new/<id>"),
            Rule("/called/<int:id>", redirect_to=target),
            Rule("/alias/<id>", endpoint="new", alias=True),
        ]
    )
    adapter = url_map.bind("example.org", "/app")
    for path, url in [
        ("/old/a b", "http://example.org/app/new/a%20b"),
        ("/called/7", "http://example.org/app/new/example.org/7"),
        ("/alias/x", "http://example.org/app/new/x"),
    ]:
        with pytest.raises(RequestRedirect) as redirect:
            adapter.match(path)
        assert redirect.value.new_url == url
    assert not url_map._is_foreign


def test_sort_key():
    url_map = Map(
        [Rule("/", endpoint="e")], sort_parameters=True, sort_key=lambda item: -ord(item[0])
    )
    assert url_map.bind("x").build("e", {"a": 1, "c": 3, "b": 2}) == "/?c=3&b=2&a=1"
    url_map.sort_key = None
    assert url_map.bind("x").build("e", {"b": 1, "a": 3}) == "/?a=3&b=1"


# -- settings and attributes that change ------------------------------------------------------


def test_settings_of_a_map_may_change(url_map, adapter):
    with pytest.raises(RequestRedirect):
        adapter.match("//users//1")
    url_map.merge_slashes = False
    with pytest.raises(NotFound):
        adapter.match("//users//1")
    url_map.default_subdomain = "www"
    assert url_map.bind("x").subdomain == "www"


def test_attributes_of_a_rule_may_change(url_map, adapter):
    rule = next(url_map.iter_rules("users"))
    assert not adapter.test("/users/", "GET")
    rule.methods = {"GET", "HEAD"}
    assert adapter.match("/users/") == ("users", {})
    rule.strict_slashes = False
    assert adapter.match("/users") == ("users", {})
    assert not url_map._is_foreign
    rule.methods.add("PUT")
    rule.refresh()
    assert adapter.match("/users/", "PUT") == ("users", {})
    assert not url_map._is_foreign
    # What Werkzeug has used already when the rule was added, it goes on using in part.
    url_map.redirect_defaults = False
    rule.endpoint = "renamed"
    assert url_map._is_foreign
    assert adapter.match("/users/") == ("renamed", {})
    assert adapter.build("users") == "/users/"


def test_attributes_of_an_adapter_may_change(adapter):
    adapter.server_name = "other.test"
    adapter.script_name = "/app/"
    adapter.url_scheme = "https"
    assert adapter.websocket is False
    assert adapter.build("index", force_external=True) == "https://other.test/app/"
    adapter.path_info = "/users/3"
    assert adapter.match() == ("user", {"id": 3})
    adapter.default_method = "POST"
    with pytest.raises(MethodNotAllowed):
        adapter.match()
    adapter.subdomain = None
    # Without a subdomain the server name is looked for in its place.
    with pytest.raises(NotFound):
        adapter.match("/")


@pytest.mark.parametrize(
    ("bind", "match"),
    [
        ({"default_method": None}, {}),
        ({"url_scheme": None}, {}),
        ({"query_args": b"a=1"}, {}),
        ({"query_args": 5}, {}),
        ({"query_args": "\ud800"}, {}),
        ({"query_args": {"a": 1}}, {}),
        ({}, {"query_args": b"a=1"}),
        ({}, {"websocket": 5}),
        ({}, {"websocket": ""}),
        ({}, {"websocket": True}),
        ({"url_scheme": "ws"}, {"websocket": 0}),
    ],
)
def test_unusual_arguments_as_in_werkzeug(bind, match):
    def answers(module):
        url_map = module.Map(
            [
                module.Rule("/a/", endpoint="a"),
                module.Rule("/b/", endpoint="b", defaults={"x": 1}),
                module.Rule("/b/<int:x>", endpoint="b"),
                module.Rule("/c/<int:x>", endpoint="b", alias=True),
                module.Rule("/ws/", endpoint="ws", websocket=True),
            ]
        )
        adapter = url_map.bind("x", **bind)
        paths = ("/a", "/a/", "/b/1", "/b/2", "/c/1", "/c/2", "/ws/", "/nowhere")
        matched = [answer_of(adapter.match, path, **match) for path in paths]
        built = [answer_of(adapter.build, "b", {"x": 2}, force_external=full) for full in (0, 1)]
        return adapter.default_method, adapter.url_scheme, adapter.websocket, matched, built

    assert answers(routing) == answers(werkzeug.routing)


@pytest.mark.parametrize("name", ["script_name", "websocket", "query_args"])
@pytest.mark.parametrize("value", ["/app", "x/", "", None, 5])
def test_unusual_attributes_as_in_werkzeug(name, value):
    def answers(module):
        rules = [module.Rule("/a/", endpoint="a"), module.Rule("/b", redirect_to="a")]
        adapter = module.Map(rules).bind("x", script_name="/old")
        setattr(adapter, name, value)
        matched = [answer_of(adapter.match, path) for path in ("/a", "/a/", "/b", "/c")]
        return matched, [answer_of(adapter.build, "a", force_external=full) for full in (0, 1)]

    assert answers(routing) == answers(werkzeug.routing)


def test_adapters_made_by_hand(url_map):
    adapter = MapAdapter(url_map, "h", "/app", "", "wss", "/users/1", "GET", "q=1")
    assert adapter.script_name == "/app/"
    assert adapter.websocket is True
    assert adapter.query_args == "q=1"
    assert adapter.build("index") == "https://h/app/" or adapter.build("index") == "/app/"
    assert adapter.match(websocket=False) == ("user", {"id": 1})


def test_bind_refuses_hosts_that_are_none(url_map):
    with pytest.raises(BadHost):
        url_map.bind("a..b")
    with pytest.raises(BadHost):
        url_map.bind("x" * 64)
    assert url_map.bind("Bücher.example:80").server_name == "xn--bcher-kva.example:80"
    hosts = Map([Rule("/", endpoint="e", host="h")], host_matching=True)
    with pytest.raises(RuntimeError, match="host matching"):
        hosts.bind("h", subdomain="x")


_ENVIRONS = [
    {},
    {"HTTP_HOST": "Example.org"},
    {"HTTP_HOST": "example.org:80"},
    {"HTTP_HOST": "example.org:443", "wsgi.url_scheme": "https"},
    {"HTTP_HOST": "www.example.org:8080"},
    {"HTTP_HOST": "bad host"},
    {"HTTP_HOST": "[::1]:80"},
    {"HTTP_HOST": ""},
    {"SCRIPT_NAME": "/app", "PATH_INFO": "/\xc3\xa4/\xff", "QUERY_STRING": "q=\xc3\xa4"},
    {"HTTP_CONNECTION": "keep-alive, Upgrade", "HTTP_UPGRADE": "WebSocket"},
    {"HTTP_UPGRADE": "websocket"},
    {"REQUEST_METHOD": "post"},
]


@pytest.mark.parametrize("extra", _ENVIRONS)
@pytest.mark.parametrize("server_name", [None, "example.org", "Example.org:80", "other.test:8080"])
@pytest.mark.parametrize("subdomain", [None, "", "api"])
@pytest.mark.filterwarnings("ignore:Current server name")
def test_bind_to_environ_as_werkzeug(extra, server_name, subdomain):
    environ = {**create_environ("/users/1?a=b", "http://example.org"), **extra}
    rules = [("/users/<int:id>", "user"), ("/ä/<x>", "x")]

    def attributes(module):
        url_map = module.Map([module.Rule(rule, endpoint=name) for rule, name in rules])
        try:
            adapter = url_map.bind_to_environ(environ, server_name, subdomain)
        except BadHost as error:
            return type(error)
        names = werkzeug.routing.MapAdapter.__init__.__code__.co_varnames[2:9]
        return {name: getattr(adapter, name) for name in (*names, "websocket")}

    assert attributes(routing) == attributes(werkzeug.routing)


def test_bind_to_environ_warns_of_another_host(url_map):
    environ = create_environ("/", "http://other.test")
    with pytest.warns(UserWarning, match="doesn't match") as warned:
        adapter = url_map.bind_to_environ(environ, "example.org")
    assert warned[0].filename == __file__
    assert adapter.subdomain == "<invalid>"
    with pytest.raises(NotFound):
        adapter.match()


def test_bind_to_a_request(url_map):
    request = bustapi.Request(create_environ("/users/5", "http://example.org"))
    assert url_map.bind_to_environ(request).match() == ("user", {"id": 5})


# -- overriding -------------------------------------------------------------------------------


def _rule_with(**methods):
    return type("Special", (Rule,), methods)("/<x>", endpoint="e")


def test_rules_that_override_building():
    url_map = Map([_rule_with(build=lambda self, values, append_unknown=True: ("", "/mine"))])
    assert url_map._is_foreign
    assert url_map.bind("x").build("e", {"x": 1}) == "/mine"
    assert url_map.bind("x").match("/a") == ("e", {"x": "a"})


@pytest.mark.parametrize(
    "name",
    ["build_compare_key", "suitable_for", "provides_defaults_for", "_encode_query_vars", "compile"],
)
def test_rules_that_override_behaviour_make_a_map_foreign(name):
    def same(self, *args, **kwargs):
        return getattr(Rule, name)(self, *args, **kwargs)

    url_map = Map([_rule_with(**{name: same})])
    assert url_map._is_foreign
    assert url_map.bind("x").build("e", {"x": 1, "q": 2}) == "/1?q=2"


def test_rules_that_add_to_the_class_do_not():
    class Labelled(Rule):
        label = "x"

        def __init__(self, string, label=None, **options):
            super().__init__(string, **options)
            self.label = label

        def get_empty_kwargs(self):
            return {**super().get_empty_kwargs(), "label": self.label}

    url_map = Map([Submount("/s", [Labelled("/<x>", label="l", endpoint="e")])])
    assert not url_map._is_foreign
    rule, _ = url_map.bind("x").match("/s/1", return_rule=True)
    assert rule.label == "l"


def test_maps_that_override_update():
    class Lazy(Map):
        def update(self):
            if not self._rules_by_endpoint:
                self.add(Rule("/", endpoint="late"))
            super().update()

    url_map = Lazy()
    assert url_map.bind("x").match("/") == ("late", {})


def test_adapters_that_override_a_part(url_map):
    class Adapter(MapAdapter):
        def make_redirect_url(self, path_info, query_args=None, domain_part=None):
            return f"mine:{path_info}"

        def match(self, *args, **kwargs):
            endpoint, values = super().match(*args, **kwargs)
            return endpoint, {**values, "mine": True}

    adapter = Adapter(url_map, "h", "/", "", "http", "/", "GET")
    assert adapter.match("/users/1") == ("user", {"id": 1, "mine": True})
    with pytest.raises(RequestRedirect) as redirect:
        adapter.match("/users", "POST")
    assert redirect.value.new_url == "mine:/users/"
    assert adapter.build("user", {"id": 2}) == "/users/2"


# -- copies, memory, threads ------------------------------------------------------------------


def test_copies(url_map, adapter):
    assert copy.copy(url_map).bind("x").match("/users/1") == ("user", {"id": 1})
    again = copy.copy(adapter)
    assert again.match("/users/1") == ("user", {"id": 1})
    assert again.server_name == "example.org"
    rule = Rule("/<x>", endpoint="e", methods=["GET"], defaults={"y": 1})
    for twin in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule)), rule.empty()):
        assert twin == rule
        assert (twin.rule, twin.methods, twin.defaults) == (rule.rule, rule.methods, rule.defaults)
        assert Map([twin]).bind("x").match("/a") == ("e", {"x": "a", "y": 1})
    # A lock is part of every map, Werkzeug's too.
    with pytest.raises(TypeError):
        copy.deepcopy(url_map)


def _references_of_a_used_map(*later_rules):
    class Held(BaseConverter):
        def to_python(self, value):
            return value

    def target(adapter, **values):
        return str(holder)

    marker = type("Marker", (), {})()
    url_map = Map(
        [
            Rule("/<held:x>", endpoint="e", defaults={"y": marker}),
            Rule("/r/<x>", redirect_to=target),
        ],
        converters={"held": Held},
    )
    holder = [url_map]
    url_map.bind("x").match("/a")
    for rule in later_rules:
        url_map.add(rule)
    return [weakref.ref(each) for each in (url_map, marker, target)]


@pytest.mark.parametrize("later_rules", [0, 1])
def test_a_map_is_collected_with_everything_it_holds(later_rules):
    later = [Rule(f"/later{number}", endpoint="later") for number in range(later_rules)]
    references = _references_of_a_used_map(*later)
    del later
    gc.collect()
    assert [reference() for reference in references] == [None, None, None]


def test_an_adapter_keeps_its_map():
    adapter = Map([Rule("/", endpoint="e")]).bind("x")
    gc.collect()
    assert adapter.match("/") == ("e", {})


def test_rules_are_added_while_other_threads_match():
    class Slow(BaseConverter):
        def to_python(self, value):
            time.sleep(0)
            return value

    url_map = Map([Rule("/<slow:x>/0", endpoint="e0")], converters={"slow": Slow})
    stop = threading.Event()
    failures = []

    def match():
        adapter = url_map.bind("x")
        try:
            while not stop.is_set():
                assert adapter.match("/a/0") == ("e0", {"x": "a"})
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=match, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 300):
        url_map.add(Rule(f"/<slow:x>/{number}", endpoint=f"e{number}"))
        assert url_map.bind("x").match(f"/b/{number}") == (f"e{number}", {"x": "b"})
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


def test_rules_that_never_match_are_reported():
    first = Rule("/<x>", endpoint="first")
    second = Rule("/<y>", endpoint="second", methods=["GET"])
    none = Rule("/none", methods=[])
    slash = Rule("/", subdomain="<path:p>")
    url_map = Map([first, second, none, slash, Rule("/x", build_only=True, methods=[])])
    assert url_map.unreachable_rules() == [
        (second, "another rule takes all its requests", first),
        (none, "it takes no method", None),
        (slash, "its domain has a converter that takes slashes", None),
    ]
    assert Map().unreachable_rules() == []

    class Odd(Rule):
        def build(self, values, append_unknown=True):
            return None

    url_map.add(Odd("/odd"))
    with pytest.raises(RuntimeError, match="nothing is known"):
        url_map.unreachable_rules()


def test_hostile_paths_end_quickly():
    rules = [Rule("/<path:a>/<path:b>/<path:c>/end", endpoint="e"), Rule("/<x>/<y>", endpoint="f")]
    adapter = Map(rules).bind("x")
    start = time.monotonic()
    for path in ("/" + "a/" * 10_000, "/" * 10_000, "/" + "a" * 65_536, "/a" * 2_000 + "/en"):
        with pytest.raises((NotFound, RequestRedirect)):
            adapter.match(path)
    assert time.monotonic() - start < 5


def test_text_that_has_no_utf8():
    adapter = Map([Rule("/<x>", endpoint="e")]).bind("x")
    assert adapter.match("/\ud800") == ("e", {"x": "\ud800"})
    with pytest.raises(UnicodeEncodeError):
        adapter.build("e", {"x": "\ud800"})


# -- applications -----------------------------------------------------------------------------


def test_applications_use_the_native_map(app):
    assert type(app.url_map) is Map
    assert app.url_rule_class is Rule
    app.add_url_rule("/<int:x>", "e", lambda x: str(x))
    assert not app.url_map._is_foreign
    assert app.test_client().get("/7").text == "7"


def test_applications_take_classes_of_werkzeug():
    class Plain(bustapi.Flask):
        url_map_class = werkzeug.routing.Map
        url_rule_class = werkzeug.routing.Rule

    app = Plain(__name__)
    app.add_url_rule("/<int:x>", "e", lambda x: str(x))
    app.url_map.add(werkzeug.routing.Rule("/w", endpoint="e", defaults={"x": 1}))
    client = app.test_client()
    assert client.get("/7").text == "7"
    assert client.get("/w").text == "1"
    with app.test_request_context():
        assert bustapi.url_for("e", x=5) == "/5"


def test_extensions_add_plain_rules_to_an_application(app):
    app.view_functions["e"] = lambda x: str(x)
    app.url_map.add(werkzeug.routing.Rule("/w/<int:x>", endpoint="e", methods=["GET"]))
    assert app.test_client().get("/w/3").text == "3"
    assert app.test_client().post("/w/3").status_code == 405


# -- url_for ----------------------------------------------------------------------------------


@pytest.fixture
def linked_app(app):
    app.add_url_rule("/items/<int:id>", "item", lambda id: str(id))
    app.add_url_rule("/<lang>/page", "page", lambda lang: lang)
    return app


def test_url_for_is_the_applications_if_that_is_overridden(linked_app, monkeypatch):
    class Own(bustapi.Flask):
        def url_for(self, endpoint, **values):
            return "mine:" + super().url_for(endpoint, **values)

    app = Own(__name__)
    app.add_url_rule("/a", "a", lambda: "")
    with app.test_request_context():
        assert bustapi.url_for("a") == app.url_for("a") == "mine:/a"
    with linked_app.test_request_context():
        assert bustapi.url_for("item", id=1) == "/items/1"
        monkeypatch.setattr(linked_app, "url_for", lambda endpoint, **values: "patched")
        assert bustapi.url_for("item", id=1) == "patched"


def test_url_for_follows_a_patched_class(linked_app, monkeypatch):
    with linked_app.test_request_context():
        assert bustapi.url_for("item", id=1) == "/items/1"
        monkeypatch.setattr(bustapi.Flask, "url_for", lambda self, endpoint, **values: "patched")
        assert bustapi.url_for("item", id=1) == "patched"
        monkeypatch.undo()
        assert bustapi.url_for("item", id=1) == "/items/1"

        def inject(self, endpoint, values):
            values["q"] = 2

        monkeypatch.setattr(type(linked_app), "inject_url_defaults", inject)
        assert bustapi.url_for("item", id=1) == "/items/1?q=2"


def test_url_for_has_url_defaults_as_soon_as_there_are_any(linked_app):
    with linked_app.test_request_context():
        assert bustapi.url_for("page", lang="de") == "/de/page"
    linked_app.url_defaults(lambda endpoint, values: values.setdefault("lang", "fr"))
    with linked_app.test_request_context():
        assert bustapi.url_for("page") == linked_app.url_for("page") == "/fr/page"


def test_url_for_asks_build_error_handlers(linked_app):
    class Refusing(BaseConverter):
        def to_url(self, value):
            raise BuildError("e", {}, None)

    linked_app.url_map.converters["refusing"] = Refusing
    linked_app.add_url_rule("/<refusing:x>", "refused", lambda x: "")
    linked_app.url_build_error_handlers.append(lambda error, endpoint, values: f"no {endpoint}")
    with linked_app.test_request_context():
        assert bustapi.url_for("nowhere") == "no nowhere"
        assert bustapi.url_for("refused", x=1) == "no refused"
        with pytest.raises(ValueError, match="invalid literal"):
            bustapi.url_for("item", id="x")


def test_url_for_in_a_request(linked_app):
    with linked_app.test_request_context("/", base_url="https://h.test/app"):
        assert bustapi.url_for("item", id=1) == "/app/items/1"
        assert bustapi.url_for("item", id=1, _external=True) == "https://h.test/app/items/1"
        assert bustapi.url_for("item", id=1, _scheme="http") == "http://h.test/app/items/1"
        assert bustapi.url_for("item", id=1, _anchor="a b") == "/app/items/1#a%20b"
        assert bustapi.url_for("item", id=1, _method="GET", q=["a", "b"]) == "/app/items/1?q=a&q=b"
        with pytest.raises(ValueError, match="_scheme"):
            bustapi.url_for("item", id=1, _scheme="http", _external=False)
        with pytest.raises(BuildError):
            bustapi.url_for("item", id=1, _method="DELETE")


def test_url_for_asks_the_current_app_not_the_requests(linked_app):
    other = bustapi.Flask("other")
    other.url_defaults(lambda endpoint, values: values.setdefault("by", "other"))

    with linked_app.test_request_context(), other.app_context():
        assert bustapi.url_for("item", id=1) == other.url_for("item", id=1) == "/items/1?by=other"


def test_url_for_outside_of_requests(linked_app):
    with pytest.raises(RuntimeError, match="application context"):
        bustapi.url_for("item", id=1)

    linked_app.config["SERVER_NAME"] = "h.test"

    with linked_app.app_context():
        assert bustapi.url_for("item", id=1) == "http://h.test/items/1"
        assert bustapi.url_for("item", id=1, _external=False) == "/items/1"


def test_url_for_is_called_as_flasks_is(linked_app):
    parameters = inspect.signature(bustapi.url_for).parameters
    method = inspect.signature(bustapi.Flask.url_for).parameters
    assert [*parameters] == [*method][1:]
    assert [each.default for each in parameters.values()] == [
        each.default for each in [*method.values()][1:]
    ]
    assert pickle.loads(pickle.dumps(bustapi.url_for)) is bustapi.url_for
    assert bustapi.url_for.__name__ == "url_for"
    assert bustapi.url_for.__doc__.startswith("Build the URL")

    with linked_app.test_request_context():
        assert bustapi.url_for(endpoint="item", id=1) == "/items/1"
        assert (
            bustapi.url_for("item", id=1, _anchor=None, _method=None, self=2) == "/items/1?self=2"
        )
        assert bustapi.url_for("item", id=1, _x="y") == "/items/1?_x=y"

        for args, values in [((), {"id": 1}), (("item", 1), {}), (("item",), {"endpoint": "x"})]:
            with pytest.raises(TypeError, match=r"url_for\(\)"):
                bustapi.url_for(*args, **values)


def test_url_for_gives_on_what_a_value_raises(linked_app):
    class Refusing:
        def __str__(self):
            raise KeyError("no text")

    with linked_app.test_request_context(), pytest.raises(KeyError, match="no text"):
        bustapi.url_for("item", id=1, q=Refusing())


# -- adapters with methods of their own ---------------------------------------------------------


def test_an_adapter_may_be_given_a_method_of_its_own(url_map):
    adapter = url_map.bind("example.org")
    adapter.get_host = lambda domain_part: "elsewhere.test"
    assert adapter.build("user", {"id": 1}, force_external=True) == "http://elsewhere.test/users/1"

    with pytest.raises(RequestRedirect) as redirect:
        adapter.match("/users", method="POST")

    assert redirect.value.new_url == "http://elsewhere.test/users/"
    copied = copy.copy(adapter)
    assert copied.build("user", {"id": 1}, force_external=True).startswith("http://elsewhere.test/")


def test_url_for_takes_the_adapters_own_method(linked_app):
    with linked_app.test_request_context() as context:
        context.url_adapter.build = lambda *args, **values: "built"
        assert bustapi.url_for("item", id=1) == linked_app.url_for("item", id=1) == "built"


def test_url_for_takes_the_adapter_that_the_context_has_now(linked_app, monkeypatch):
    other = Map([Rule("/elsewhere/<int:id>", endpoint="item")]).bind("localhost")

    with linked_app.test_request_context() as context:
        own = bustapi.url_for("item", id=1)
        context.url_adapter = other
        assert bustapi.url_for("item", id=1) == "/elsewhere/1"

    with linked_app.test_request_context() as context:
        assert bustapi.url_for("item", id=1) == own
        monkeypatch.setattr(type(context), "url_adapter", other)
        assert bustapi.url_for("item", id=1) == "/elsewhere/1"
        monkeypatch.undo()
        assert bustapi.url_for("item", id=1) == own


def test_adapters_take_the_default_subdomain_of_the_moment(url_map):
    assert url_map.bind("example.org").subdomain == ""
    url_map.default_subdomain = "www"
    adapter = url_map.bind("example.org")
    url_map.default_subdomain = "api"
    assert adapter.subdomain == "www"
    assert copy.copy(url_map).bind("example.org").subdomain == "api"

    class Own(Map):
        @property
        def default_subdomain(self):
            return "own"

        @default_subdomain.setter
        def default_subdomain(self, value):
            pass

    assert Own().bind("example.org").subdomain == "own"


SERVED = """
from {framework} import Flask, request

app = Flask("served")


@app.get("/text/<text>")
@app.get("/path/<path:path>/end")
@app.get("/number/<int:number>")
@app.get("/mixed/<a>.<b>/")
def view(**values):
    return ascii((request.url_rule.rule, values, request.path))
"""

#: As clients send them; a WSGI server decodes them before Werkzeug matches.
RAW_PATHS = [
    *[
        "/text/%41",
        "/text/a%2Fb",
        "/text/a%2fb",
        "/text/%25",
        "/text/%2541",
        "/text/%zz",
        "/text/%",
    ],
    *["/text/%C3%BC", "/text/%C3", "/text/%FF%FE", "/text/%ED%A0%80", "/text/%F0%9F%98%80"],
    *["/text/%00", "/text/%0A", "/text/a%20b", "/text/a+b", "/text/%3Fq", "/text/a;b", "/text/."],
    *["/text/%2E%2E", "/text/../text/a", "/text//a", "//text/a", "/text/", "/text/a/", "/%74ext/a"],
    *["/path/a/b/end", "/path/a%2Fb/end", "/path/%2Fa/end", "/path/a//b/end", "/path//end"],
    *["/path/a%2F%2Fb/end", "/path/a%2Fend", "/path/a/end/end", "/path/a/%65nd", "/path/a/end/"],
    *["/number/7", "/number/%37", "/number/%D9%A3", "/number/-7", "/number/7%2F", "/number%2F7"],
    *["/mixed/a.b", "/mixed/a.b.c/", "/mixed/a%2Eb/", "/mixed/a%2Fb.c/", "/mixed/%C3%BC.b?q=%C3"],
]


def test_paths_as_sent_are_matched_as_decoded_ones(live_server):
    server = live_server(SERVED.format(framework="bustapi"))
    apps = []
    for framework in ("bustapi", "flask"):
        names = {}
        exec(SERVED.format(framework=framework), names)
        apps.append(names["app"])

    def answer_of(app, path):
        path, _, query = path.partition("?")
        environ = create_environ("/", "http://h", query_string=query)
        environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
        body, status, headers = run_wsgi_app(app, environ)
        return status.split()[0], headers.get("Location"), b"".join(body)

    differing = {}
    for path in RAW_PATHS:
        wire = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        head, _, body = server.exchange(wire.encode()).partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = Headers(line.split(": ", 1) for line in lines)
        native = status.split()[1], headers.get("Location"), body
        ours, theirs = (answer_of(app, path) for app in apps)
        if not native == ours == theirs:
            differing[path] = (native, ours, theirs)
    assert differing == {}

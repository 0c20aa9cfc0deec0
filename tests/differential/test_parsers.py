"""What is parsed natively gives the answers of the installed Werkzeug, and of Flask.

``DIFFERENTIAL_CASES`` and ``DIFFERENTIAL_SEED`` are those of the router's test; each parser gets a
fiftieth of the cases, and all of its seeds.
"""

from __future__ import annotations

import datetime
import gc
import os
import typing as t
import warnings

import flask
import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

import bustapi

from . import inputs
from .requests import outcome, same, three

_SEED = int(os.environ.get("DIFFERENTIAL_SEED", "20261122"))
_CASES = int(os.environ.get("DIFFERENTIAL_CASES", "5000"))

pytestmark = [
    pytest.mark.timeout(3600),
    # Werkzeug leaves files of forms that turn out to be malformed to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore:Unclosed file:ResourceWarning",
        "ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning",
        "ignore:unclosed file:ResourceWarning",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def collect_files():
    yield

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def differential(
    *strategies: st.SearchStrategy[t.Any], seeds: t.Iterable[t.Any] = ()
) -> t.Callable[[t.Callable[..., None]], t.Callable[..., None]]:
    """Calls a test with each seed and with generated inputs."""

    def decorate(test: t.Callable[..., None]) -> t.Callable[..., None]:
        test = given(*strategies)(test)

        for value in seeds:
            test = example(*(value if isinstance(value, tuple) else (value,)))(test)

        test = settings(
            max_examples=max(1, _CASES // 50),
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(test)
        return seed(_SEED)(test)

    return decorate


@differential(inputs.COOKIES, seeds=inputs.COOKIE_SEEDS)
def test_cookies(text):
    same(lambda request: request.cookies, headers=[("Cookie", text)])


@differential(inputs.OPTIONS, seeds=inputs.OPTIONS_SEEDS)
def test_options_and_media_types(text):
    def read(request):
        parsed = request.mimetype_params
        return request.content_type, request.mimetype, list(parsed.items()), request.is_json

    same(read, headers=[("Content-Type", text)])


@differential(inputs.ACCEPT, seeds=inputs.ACCEPT_SEEDS)
def test_accept(text):
    names = ["Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language"]
    offers = [
        ["text/html", "application/json", "text/plain;format=flowed"],
        ["utf-8", "iso-8859-1"],
        ["gzip", "br", "identity"],
        ["en", "en-US", "de-AT", "fr"],
    ]

    def read(request):
        accepted = [
            request.accept_mimetypes,
            request.accept_charsets,
            request.accept_encodings,
            request.accept_languages,
        ]
        return [
            (str(accept), list(accept), accept.best_match(offer))
            for accept, offer in zip(accepted, offers, strict=True)
        ]

    same(read, headers=[(name, text) for name in names])


@differential(inputs.QUERY, seeds=inputs.QUERY_SEEDS)
def test_queries(text):
    def read(request):
        numbers = [
            outcome(lambda: request.args.getlist("n", int)),
            outcome(lambda: request.args.getlist("n", float)),
        ]
        return (
            request.query_string,
            list(request.args.items(multi=True)),
            numbers,
            request.full_path,
        )

    same(read, target=f"/?{text}")
    same(lambda request: (request.url, request.values.to_dict(flat=False)), target=f"/x?{text}")


@differential(inputs.PATHS, seeds=inputs.PATH_SEEDS)
def test_paths(text):
    def read(request):
        return request.path, request.root_path, request.script_root, request.full_path, request.url

    same(read, target=text)


@differential(
    inputs.RANGES, st.sampled_from([0, 5, 100]), seeds=[(s, 100) for s in inputs.RANGE_SEEDS]
)
def test_ranges(text, length):
    def read(request):
        found = request.range
        return found and (found.to_header(), found.range_for_length(length), found.units)

    same(read, headers=[("Range", text)])


@differential(inputs.DATES, seeds=inputs.DATE_SEEDS)
def test_dates(text):
    def read(request):
        dates = request.if_modified_since, request.if_unmodified_since, request.date
        return *dates, request.if_range.to_header()

    names = ["If-Modified-Since", "If-Unmodified-Since", "Date", "If-Range"]
    same(read, headers=[(name, text) for name in names])


@differential(inputs.ETAGS, seeds=inputs.ETAG_SEEDS)
def test_etags(text):
    def read(request):
        found = request.if_none_match
        known = [(tag, found.contains(tag), found.contains_weak(tag)) for tag in ("a", "b", "*")]
        return found.star_tag, set(found.as_set(include_weak=True)), known, request.if_range.etag

    names = ["If-Match", "If-None-Match", "If-Range"]
    same(read, headers=[(name, text) for name in names])


@differential(
    inputs.LENGTHS, st.sampled_from(inputs.CODINGS), seeds=[(s, "") for s in inputs.LENGTH_SEEDS]
)
def test_content_lengths(text, coding):
    headers = [("Content-Length", text)] + [("Transfer-Encoding", coding)] * bool(coding)
    same(lambda request: request.content_length, headers=headers)


@differential(inputs.HOSTS, seeds=inputs.HOST_SEEDS)
def test_hosts(text):
    def read(request):
        return request.host, request.host_url, request.root_url, request.url, request.base_url

    same(read, target="/a?b", headers=[("Host", text)])


def _form(request: t.Any) -> t.Any:
    return outcome(lambda: request.form), outcome(lambda: request.files)


@differential(inputs.QUERY, seeds=inputs.URLENCODED_SEEDS)
def test_urlencoded_forms(text):
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    same(_form, headers=headers, body=text.encode("latin-1"))


@differential(
    inputs.MULTIPART,
    st.sampled_from(inputs.BOUNDARIES),
    seeds=[
        *((s, "b") for s in inputs.MULTIPART_SEEDS),
        *((inputs.MULTIPART_SEEDS[4], boundary) for boundary in inputs.BOUNDARIES),
    ],
)
def test_multipart_forms(text, boundary):
    headers = [("Content-Type", f"multipart/form-data; boundary={boundary}")]
    same(_form, headers=headers, body=text.encode("latin-1"))


@differential(inputs.MULTIPART, seeds=inputs.MULTIPART_SEEDS)
def test_what_files_are_opened_with(text):
    asked: list[list[t.Any]] = []

    def read(request):
        opened: list[t.Any] = []
        asked.append(opened)
        make = type(request)._get_file_stream

        def note(*args: t.Any, **kwargs: t.Any) -> t.IO[bytes]:
            opened.append((args, sorted(kwargs.items())))
            return make(request, *args, **kwargs)

        request._get_file_stream = note
        return _form(request), opened

    same(
        read,
        headers=[("Content-Type", "multipart/form-data; boundary=b")],
        body=text.encode("latin-1"),
    )
    assert len(asked) == 3


@pytest.mark.parametrize("length", [257, 8000])
def test_boundaries_that_are_too_long_are_refused_by_every_way(length):
    headers = [("Content-Type", "multipart/form-data; boundary=" + "x" * length)]
    body = inputs.MULTIPART_SEEDS[4].replace("--b", "--" + "x" * length).encode()
    limit = f"the multipart boundary has {length} bytes, and 256 at most are read"
    reason = f"The form cannot be read: {limit}."
    _, *ours = three(headers=headers, body=body)

    for way, request in ours:
        assert outcome(lambda: request.form) == ("BadRequest", 400, reason), way  # noqa: B023
        assert outcome(lambda: request.files)[1] == 400, way  # noqa: B023


# --- hosts and maps


def _adapters(package: t.Any, host_matching: bool, server_name: str | None) -> t.Any:
    app = package.Flask(
        "shop",
        static_folder=None,
        host_matching=host_matching,
        subdomain_matching=not host_matching,
    )
    app.config["SERVER_NAME"] = server_name
    return app


@pytest.mark.parametrize("host_matching", [False, True])
@pytest.mark.parametrize("server_name", [None, "h.test", "h.test:8080"])
def test_hosts_of_adapters(host_matching, server_name):
    theirs = _adapters(flask, host_matching, server_name)
    ours = _adapters(bustapi, host_matching, server_name)

    @differential(
        inputs.HOSTS,
        st.sampled_from(["", "Upgrade", "x, upgrade", "upgrade\t", "\xa0upgrade"]),
        seeds=[(host, "") for host in inputs.HOST_SEEDS],
    )
    def check(host, connection):
        headers = [("Host", host)]

        if connection:
            headers += [("Connection", connection), ("Upgrade", "websocket")]

        def read(app, request):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                adapter = app.create_url_adapter(request)

            names = ["server_name", "script_name", "subdomain", "url_scheme", "path_info"]
            names += ["default_method", "query_args", "websocket"]
            return [getattr(adapter, name) for name in names]

        (_, plain), *others = three("/a/b?c=d", headers)
        expected = outcome(lambda: read(theirs, plain))

        for way, request in others:
            assert outcome(lambda: read(ours, request)) == expected, (way, headers)  # noqa: B023

    check()


# --- sessions


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
_SESSIONS = st.dictionaries(st.text(max_size=8), _JSON, max_size=4)
_TAGGED = {
    "tuple": (1, (2,)),
    "bytes": b"\xff",
    "when": datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    " t": [1],
    "nested": {" di": {"x": 1}},
    "big": 10**40,
    "text": "x" * 5000,
    "lone": "\ud800",
}


class _At:
    """Signs at another time than now."""

    def __init__(self, serializer: t.Any, offset: int) -> None:
        self.serializer, self.offset = serializer, offset

    def dumps(self, value: t.Any) -> str:
        signer = self.serializer.make_signer(self.serializer.salt)
        now = signer.get_timestamp()
        signer.get_timestamp = lambda: now + self.offset
        return signer.sign(self.serializer.dump_payload(value)).decode()


def _session_apps() -> tuple[t.Any, t.Any]:
    theirs, ours = flask.Flask("shop"), bustapi.Flask("shop")

    for app in (theirs, ours):
        app.config.update(SECRET_KEY="key", SECRET_KEY_FALLBACKS=["older", "oldest"])

    return theirs, ours


def _opened(app: t.Any, request: t.Any) -> t.Any:
    found = app.session_interface.open_session(app, request)
    return dict(found), found.new, found.modified, found.accessed


@differential(
    _SESSIONS,
    st.sampled_from([0, -100, -(31 * 86_400) + 100, -(31 * 86_400) - 100, 100, 10**9]),
    seeds=[({name: value}, 0) for name, value in _TAGGED.items()],
)
def test_sessions(contents, offset):
    theirs, ours = _session_apps()
    serializer = theirs.session_interface.get_signing_serializer(theirs)
    cookie = _At(serializer, offset).dumps(contents)
    (_, plain), *others = three(headers=[("Cookie", f"session={cookie}")])
    expected = outcome(lambda: _opened(theirs, plain))

    for way, request in others:
        assert outcome(lambda: _opened(ours, request)) == expected, (way, contents)  # noqa: B023


@differential(
    st.sampled_from([{}, {"a": 1}, {"text": "x" * 300}]),
    st.integers(0, 400),
    st.sampled_from(
        ["", ".", "=", "A", "\xff", "\\075", "-", "_", "+", "/", " ", "%2E", "..", "0"]
    ),
    st.booleans(),
)
def test_changed_sessions(contents, place, change, replaces):
    theirs, ours = _session_apps()
    cookie = theirs.session_interface.get_signing_serializer(theirs).dumps(contents)
    place %= len(cookie) + 1
    changed = cookie[:place] + change + cookie[place + replaces :]
    (_, plain), *others = three(headers=[("Cookie", f"session={changed}")])
    expected = outcome(lambda: _opened(theirs, plain))
    # The last letters of base64 may be written in several ways; only the usual one is read here.
    refused = ({}, True, False, False)

    for way, request in others:
        actual = outcome(lambda: _opened(ours, request))  # noqa: B023
        assert actual in (expected, refused), (way, changed)
        assert changed != cookie or actual == expected

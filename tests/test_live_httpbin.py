"""httpbin, an application written for Flask, served by the command and by Flask's own server.

The two answer the same requests over sockets; the answers must be the same. httpbin and what it
needs are installed once, into the environment that the conformance suites use.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess

import pytest

from conformance.environment import make_environment
from conformance.manifest import load_suites
from live import PACKAGE, LiveServer

# The first time, the environment is installed.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BOUNDARY = "httpbinboundary"
FILE = (
    f"--{BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="field"\r\n\r\nvalue é\r\n'
    f"--{BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="file"; filename="name.txt"\r\n'
    "Content-Type: text/plain\r\n\r\ncontents\r\nof the file\r\n"
    f"--{BOUNDARY}--\r\n"
).encode()


def basic(user, password):
    return ("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


REQUESTS = [
    ("GET", "/get?a=1&a=2&b=%C3%A9", [("X-Own", "1"), ("Accept", "application/json")], None),
    ("GET", "/headers", [("X-Own", "1"), ("X-Own", "2")], None),
    ("GET", "/ip", [("X-Forwarded-For", "1.2.3.4")], None),
    ("GET", "/user-agent", [("User-Agent", "curl/8.0")], None),
    ("POST", "/post", [("Content-Type", "application/json")], b'{"a": [1, "\xc3\xa9"]}'),
    ("POST", "/post", [("Content-Type", "application/x-www-form-urlencoded")], b"a=1&b=%C3%A9&a=2"),
    ("POST", "/post", [("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")], FILE),
    ("POST", "/post", [("Content-Type", "application/octet-stream")], bytes(range(256))),
    ("PUT", "/put", [], b"put"),
    ("PATCH", "/patch", [], b"patch"),
    ("DELETE", "/delete?x=1", [], None),
    ("OPTIONS", "/get", [], None),
    ("HEAD", "/get", [], None),
    ("GET", "/anything/path/to?x=1", [], None),
    ("GET", "/cookies", [("Cookie", "a=1; b=2")], None),
    ("GET", "/cookies/set?name=value&other=2", [], None),
    ("GET", "/cookies/set/name/value", [], None),
    ("GET", "/cookies/delete?name", [("Cookie", "name=value")], None),
    ("GET", "/redirect/3", [], None),
    ("GET", "/relative-redirect/2", [], None),
    ("GET", "/absolute-redirect/2", [], None),
    ("GET", "/redirect-to?url=%2Fget&status_code=307", [], None),
    ("GET", "/stream/5", [], None),
    ("GET", "/stream-bytes/2000?seed=5&chunk_size=300", [], None),
    ("GET", "/bytes/1000?seed=5", [], None),
    ("GET", "/range/1024", [], None),
    ("GET", "/range/1024", [("Range", "bytes=100-199")], None),
    ("GET", "/range/1024", [("Range", "bytes=-10")], None),
    ("GET", "/range/1024", [("Range", "bytes=2000-")], None),
    ("GET", "/gzip", [("Accept-Encoding", "gzip")], None),
    ("GET", "/deflate", [], None),
    ("GET", "/brotli", [], None),
    ("GET", "/encoding/utf8", [], None),
    ("GET", "/html", [], None),
    ("GET", "/xml", [], None),
    ("GET", "/json", [], None),
    ("GET", "/robots.txt", [], None),
    ("GET", "/deny", [], None),
    ("GET", "/image/png", [], None),
    ("GET", "/image", [("Accept", "image/svg+xml")], None),
    ("GET", "/image", [("Accept", "text/plain")], None),
    ("GET", "/basic-auth/u/p", [], None),
    ("GET", "/basic-auth/u/p", [basic("u", "p")], None),
    ("GET", "/basic-auth/u/p", [basic("u", "wrong")], None),
    ("GET", "/hidden-basic-auth/u/p", [], None),
    ("GET", "/bearer", [("Authorization", "Bearer token")], None),
    ("GET", "/bearer", [], None),
    ("GET", "/status/418", [], None),
    ("GET", "/status/204", [], None),
    ("GET", "/status/304", [], None),
    ("GET", "/status/503", [], None),
    ("POST", "/status/201", [], b""),
    ("GET", "/response-headers?X-A=1&X-A=2&Content-Type=text/plain", [], None),
    ("GET", "/cache", [("If-None-Match", '"x"')], None),
    ("GET", "/cache/60", [], None),
    ("GET", "/etag/tag", [("If-None-Match", '"tag"')], None),
    ("GET", "/etag/tag", [("If-Match", '"other"')], None),
    ("GET", "/etag/tag", [], None),
    ("GET", "/delay/1", [], None),
    ("GET", "/drip?numbytes=5&duration=0&delay=0", [], None),
    ("GET", "/links/5/1", [], None),
    ("GET", "/base64/aGVsbG8%3D", [], None),
    ("GET", "/static/favicon.ico", [], None),
    ("GET", "/forms/post", [], None),
    ("GET", "/missing", [], None),
    ("POST", "/get", [], b""),
]

#: Of the connection and the server, not of httpbin, which sets none of them.
ASIDE = {"connection", "date", "server", "transfer-encoding", "keep-alive"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """httpbin under ``bustapi run`` and under ``flask run``, in the same environment."""
    (suite,) = [suite for suite in load_suites() if suite.name == "httpbin"]
    environment = make_environment(suite)
    python = str(environment.python)
    folder = tmp_path_factory.mktemp("httpbin")
    run = ["--app", "httpbin:app", "run", "--port", "0"]
    commands = {
        "bustapi": ([python, "-m", "bustapi", *run, "--flask-compat"], PACKAGE),
        "flask": ([python, "-m", "flask", *run], str(environment.flask_path)),
    }
    started = {
        name: LiveServer(command, folder, {"PYTHONPATH": path})
        for name, (command, path) in commands.items()
    }

    try:
        yield {name: server.wait_until_running() for name, server in started.items()}
    finally:
        for server in started.values():
            server.close()


def comparable(answer, port):
    """An answer without what belongs to the server it came from, or to chance."""
    headers = []

    for name, value in answer.headers:
        name = name.lower()

        if name in ASIDE:
            continue

        if name == "allow":
            value = ", ".join(sorted(value.split(", ")))

        headers.append((name, value.replace(f":{port}", "")))

    # The order of headers of different names has no meaning (RFC 9110, 5.3).
    headers.sort(key=lambda header: header[0])
    body = answer.body.replace(f":{port}".encode(), b"")
    # Compressed bodies contain the time, and the port in a body changes its length.
    encoding = answer.header("content-encoding")

    if encoding in {"gzip", "deflate", "br"}:
        body = encoding.encode()
        headers = [header for header in headers if header[0] != "content-length"]

    # These are digests of the time of the answer.
    body = re.sub(rb'"(etag|last-modified)": "[^"]*"', b"", body)
    headers = [
        (name, "..." if name in {"last-modified", "etag"} and "/cache" not in value else value)
        for name, value in headers
    ]
    return answer.status, headers, body


def test_answers_are_those_under_flask(servers):
    differences = []

    for method, target, headers, body in REQUESTS:
        answers = {
            name: comparable(
                server.request(method, target, body, [("Host", "httpbin.test"), *headers]),
                server.port,
            )
            for name, server in servers.items()
        }

        if answers["bustapi"] != answers["flask"]:
            differences.append(f"{method} {target}")
            differences += [f"  {name}: {answer}" for name, answer in answers.items()]

    assert not differences, "\n".join(differences)


def test_compressed_bodies(servers):
    import gzip
    import zlib

    for target, decompress in (("/gzip", gzip.decompress), ("/deflate", zlib.decompress)):
        answer = servers["bustapi"].get(target)
        assert answer.header("content-length") == str(len(answer.body))
        assert json.loads(decompress(answer.body))["method"] == "GET"


CURL = [
    ["/get"],
    ["-d", "a=1&b=2", "/post"],
    ["-H", "Content-Type: application/json", "-d", '{"a": 1}', "/post"],
    ["-F", "file=@upload.txt;type=text/plain", "-F", "a=1", "/post"],
    ["-L", "/redirect/3"],
    ["-L", "-c", "jar", "-b", "jar", "/cookies/set?name=value"],
    ["-u", "u:p", "/basic-auth/u/p"],
    ["-u", "u:wrong", "/basic-auth/u/p"],
    ["--digest", "-u", "u:p", "/digest-auth/auth/u/p/MD5"],
    ["--compressed", "/gzip"],
    ["-r", "10-19", "/range/1024"],
    ["-I", "/get"],
    ["-X", "DELETE", "/delete"],
    ["-T", "upload.txt", "/put"],
    ["-N", "/stream/3"],
    ["/status/418"],
]


def test_curl_gets_the_same(servers, tmp_path):
    curl = shutil.which("curl")
    assert curl is not None, "this test drives curl"
    (tmp_path / "upload.txt").write_text("uploaded\n" * 500)

    for *options, target in CURL:
        shown = {}

        for name, server in servers.items():
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            shutil.copy(tmp_path / "upload.txt", folder)
            command = [curl, "-s", "-S", "-m", "20", "-w", "\n%{http_code} %{num_redirects}"]
            ran = subprocess.run(
                [*command, *options, f"http://127.0.0.1:{server.port}{target}"],
                cwd=folder,
                env={**os.environ, "no_proxy": "*"},
                capture_output=True,
                timeout=30,
                check=True,
            )
            text = ran.stdout.replace(str(server.port).encode(), b"PORT")
            text = re.sub(rb"boundary=[-\w]+", b"boundary", text)
            lines = [line for line in text.splitlines() if not _of_the_connection(line)]

            if "-I" in options:
                # The names of headers have no case.
                lines = sorted(line.lower() for line in lines)

            shown[name] = lines

        assert shown["bustapi"] == shown["flask"], f"curl {options} {target}"


def _of_the_connection(line):
    """Lines that differ by server or by chance: headers of the connection, with ``-I``."""
    name = line.partition(b":")[0].strip().lower().decode("latin-1")
    return name in ASIDE or line.startswith(b"HTTP/1.1 ")

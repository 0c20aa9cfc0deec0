"""What `request.stream` is to `io`, under the native server and as Werkzeug has it."""

from __future__ import annotations

import array
import hashlib
import io
import shutil

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wsgi import LimitedStream

from bustapi import Request
from bustapi._native import RawRequest
from bustapi.request import make_request

BODY = b"first\nsecond\nthird"


def native(body=BODY):
    headers = [("Content-Length", str(len(body)).encode())] if body else []
    return make_request(Request, RawRequest("POST", "/", headers, body))


def plain(body=BODY):
    builder = EnvironBuilder("/", method="POST", data=body)
    environ = builder.get_environ()
    environ.pop("wsgi.input_terminated", None)
    environ["wsgi.input"] = io.BufferedReader(io.BytesIO(body + b"of the next request"))
    return Request(environ)


def closed(stream):
    stream.close()
    return stream


def into(stream, buffer):
    count = stream.readinto(buffer)
    return count, bytes(buffer)


def copied(stream):
    target = io.BytesIO()
    shutil.copyfileobj(stream, target)
    return target.getvalue()


def digest(stream):
    if hasattr(hashlib, "file_digest"):
        return hashlib.file_digest(stream, "sha256").hexdigest()

    return hashlib.sha256(stream.read()).hexdigest()


def parts(stream):
    return [stream.read(3), stream.tell(), stream.readline(), stream.tell(), stream.is_exhausted]


def exhausted(stream):
    return [stream.exhaust(), stream.is_exhausted, stream.tell(), stream.exhaust(), stream.limit]


WAYS = {
    "read": lambda s: s.read(),
    "read all": lambda s: s.read(-1),
    "read some": parts,
    "readall": lambda s: s.readall(),
    "readline": lambda s: [s.readline(), s.readline(2), s.readline(-1), s.readline(), s.readline()],
    "readlines": lambda s: [s.readlines(7), s.readlines()],
    "lines": list,
    "next": next,
    "readinto": lambda s: into(s, bytearray(4)),
    "readinto more": lambda s: into(s, bytearray(40)),
    "readinto an array": lambda s: into(s, array.array("i", [0, 0])),
    "readinto a part": lambda s: into(s, memoryview(bytearray(9))[3:6]),
    "exhaust": exhausted,
    "copy": copied,
    "digest": digest,
    "text": lambda s: io.TextIOWrapper(s, "utf-8").read(),
    "text lines": lambda s: io.TextIOWrapper(s, "utf-8").readlines(),
    "buffered": lambda s: io.BufferedReader(s).read(),
    "buffered lines": lambda s: io.BufferedReader(s, 4).readlines(),
    "readable": lambda s: [s.readable(), s.writable(), s.seekable(), s.isatty(), s.closed],
    "flush": lambda s: s.flush(),
    "classes": lambda s: [isinstance(s, c) for c in (io.IOBase, io.RawIOBase, LimitedStream)],
    "with": lambda s: [s.__enter__() is s, s.__exit__(None, None, None), s.closed],
    "closed": lambda s: [closed(s).closed, s.close()],
    "read when closed": lambda s: closed(s).read(),
    "lines when closed": lambda s: list(closed(s)),
    "with when closed": lambda s: closed(s).__enter__(),
    "flush when closed": lambda s: closed(s).flush(),
    "isatty when closed": lambda s: closed(s).isatty(),
    "seek": lambda s: s.seek(0),
    "truncate": lambda s: s.truncate(),
    "fileno": lambda s: s.fileno(),
}


def outcome(request, way):
    try:
        return way(request.stream)
    except Exception as error:  # noqa: BLE001 whatever it is, it is compared
        return type(error), str(error)


@pytest.mark.parametrize("way", WAYS)
def test_the_stream_is_as_under_flasks_server(way):
    assert outcome(native(), WAYS[way]) == outcome(plain(), WAYS[way])


def test_a_buffer_that_cannot_be_written_to_loses_nothing():
    request = native()

    with pytest.raises(TypeError):
        request.stream.readinto(b"1234")

    assert request.stream.read() == BODY


def test_a_stream_without_a_body_is_at_its_end():
    stream = native(b"").stream
    assert (stream.read(), stream.read(3), stream.readline(), stream.is_exhausted) == (
        b"",
        b"",
        b"",
        True,
    )


def test_what_is_there_can_be_read_before_the_rest():
    stream = native().stream
    assert (stream.read1(5), stream.read1(), stream.read1()) == (BODY[:5], BODY[5:], b"")
    buffer = bytearray(4)
    assert (native().stream.readinto1(buffer), buffer) == (4, BODY[:4])


def test_the_body_is_left_by_a_wrapper_that_has_closed_the_stream():
    request = native()

    with io.TextIOWrapper(request.stream) as text:
        assert text.read(0) == ""

    assert request.stream.closed
    assert request.get_data() == BODY

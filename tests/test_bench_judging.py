"""What the benchmark of peers lets count: wrong answers, errors and caches never become figures."""

from __future__ import annotations

import itertools
import json
import re
import sys
import threading
import typing as t
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

LOAD = str(Path(__file__).resolve().parents[1] / "benches" / "load")
sys.path.insert(0, LOAD)

from measuring import rounds  # noqa: E402 the folder is no package of the project's
from measuring.peer_list import BARE_HYPER, BUSTAPI, PEERS  # noqa: E402
from measuring.plot import plot  # noqa: E402
from measuring.report import ratios, summarise, tables  # noqa: E402
from measuring.requests import Load, is_cached  # noqa: E402
from measuring.rounds import RENDERING, Sample, Settings, measure, run_once  # noqa: E402
from measuring.saved import NotMergeable, read, save  # noqa: E402
from measuring.summary import summary  # noqa: E402
from measuring.targets import TARGETS  # noqa: E402
from measuring.workloads import Workload, workloads  # noqa: E402

sys.path.remove(LOAD)

PLAIN = Workload("plain", "/", b"Hello, World!")
SETTINGS = Settings()


def sample(peer: str, workload: str = "plain", cpu_us: float = 10.0, **figures: t.Any) -> Sample:
    base = Sample(peer, workload, 1, workload, requests=1000, requests_per_second=1e6 / cpu_us)
    return replace(base, **{"cpu_us": cpu_us, "idle_mb": 30.0, "start_ms": 100.0, **figures})


def never(_: str) -> bool:
    return False


class Answers(BaseHTTPRequestHandler):
    """Answers with what the path names in the server's table."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = t.cast("Fake", self.server)
        status, body = server.answers[self.path]()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""


class Fake(ThreadingHTTPServer):
    """A server like a peer's, in this process."""

    daemon_threads = True
    answers: t.ClassVar[dict[str, t.Callable[[], tuple[int, bytes]]]] = {}
    pid = 1

    @property
    def port(self) -> int:
        return self.server_address[1]


@contextmanager
def served(**answers: t.Callable[[], tuple[int, bytes]]) -> t.Iterator[t.Any]:
    with Fake(("127.0.0.1", 0), Answers) as server:
        server.answers = {f"/{path.strip('_')}": answer for path, answer in answers.items()}  # type: ignore[misc]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()

        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Load]:
    """What wrk is made to have counted, one after another; no load is sent."""
    found: list[Load] = []
    monkeypatch.setattr(rounds, "load", lambda *args, **kwargs: found.pop(0))
    monkeypatch.setattr(rounds, "cpu_seconds", lambda pid: 1.0)
    monkeypatch.setattr(rounds, "memory_mb", lambda *args: 1.0)
    monkeypatch.setattr(rounds, "machine_seconds", lambda: 1.0)
    return found


GOOD = Load(requests=1000, duration=1_000_000, errors=0, p50=100, p99=200)


@pytest.mark.parametrize(
    ("status", "headers", "body", "why"),
    [
        (200, {}, b"Hello, World!", ""),
        (200, {}, b"Hello, World", "wrong body"),
        (204, {}, b"Hello, World!", "status 204"),
        (302, {}, b"Hello, World!", "status 302"),
    ],
)
def test_plain_answers(status: int, headers: dict[str, str], body: bytes, why: str) -> None:
    wrong = PLAIN.wrong(status, headers, body)
    assert wrong.startswith(why)
    assert bool(wrong) == bool(why)


def test_json_is_judged_by_value() -> None:
    workload = Workload("json", "/json", {"a": 1})
    assert not workload.wrong(200, {}, b'{"a": 1}\n')
    assert workload.wrong(200, {}, b'{"a": 2}')
    assert workload.wrong(200, {}, b'{"a": 1')


def test_a_needed_header_is_missed() -> None:
    [hooks] = [load for load in workloads() if load.name == "hooks"]
    body = json.dumps(hooks.wanted).encode()
    assert not hooks.wrong(200, {"x-hook": "1"}, body)
    assert hooks.wrong(200, {}, body) == "no x-hook header"


def test_a_right_run_counts(counted: list[Load]) -> None:
    counted += [GOOD, GOOD]

    with served(_=lambda: (200, b"Hello, World!")) as server:
        measured = measure(server, PLAIN, sample("x"), SETTINGS)

    assert measured.invalid == ""
    assert measured.requests_per_second == 1000


def test_a_wrong_answer_before_the_run(counted: list[Load]) -> None:
    with served(_=lambda: (200, b"Hello!")) as server:
        measured = measure(server, PLAIN, sample("x"), SETTINGS)

    assert measured.invalid.startswith("wrong body")


def test_a_wrong_answer_after_the_run(counted: list[Load]) -> None:
    counted += [GOOD, GOOD]
    answers = itertools.chain([(200, b"Hello, World!")], itertools.repeat((500, b"broken")))

    with served(_=lambda: next(answers)) as server:
        measured = measure(server, PLAIN, sample("x"), SETTINGS)

    assert measured.invalid.startswith("status 500")


def test_errors_under_load(counted: list[Load]) -> None:
    counted += [GOOD, GOOD._replace(errors=3)]

    with served(_=lambda: (200, b"Hello, World!")) as server:
        measured = measure(server, PLAIN, sample("x"), SETTINGS)

    assert measured.invalid == "3 errors in 1000 requests"


def test_a_run_without_an_answer(counted: list[Load]) -> None:
    counted += [GOOD._replace(requests=0)]

    with served(_=lambda: (200, b"Hello, World!")) as server:
        measured = run_once(server, PLAIN, {}, sample("x"), SETTINGS)

    assert measured.invalid == "no answer within the run"


def test_a_disturbed_run_is_repeated(counted: list[Load], monkeypatch: pytest.MonkeyPatch) -> None:
    counted += [GOOD] * 4
    # Busy seconds of the machine, before and after each run.
    busy = iter([0.0, 1000.0, 0.0, 0.0])
    monkeypatch.setattr(rounds, "machine_seconds", lambda: next(busy))

    with served(_=lambda: (200, b"Hello, World!")) as server:
        measured = measure(server, PLAIN, sample("x"), SETTINGS)

    assert measured.others == 0.0
    assert len(counted) == 1


def test_an_error_in_a_disturbed_run_counts(
    counted: list[Load], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted += [GOOD, GOOD, GOOD._replace(errors=1)]
    busy = iter([0.0, 1000.0, 0.0, 2000.0])
    monkeypatch.setattr(rounds, "machine_seconds", lambda: next(busy))

    with served(_=lambda: (200, b"Hello, World!")) as server:
        measured = measure(server, PLAIN, sample("x"), SETTINGS)

    assert measured.invalid == "1 errors in 1000 requests"


def test_caches_are_seen() -> None:
    calls = itertools.count()

    with served(tick=lambda: (200, b"%d" % next(calls))) as server:
        assert not is_cached(server.port)

    with served(tick=lambda: (200, b"1")) as server:
        assert is_cached(server.port)


@pytest.mark.parametrize("fills", [True, False])
def test_a_cache_that_fills_under_load_is_seen(
    counted: list[Load], monkeypatch: pytest.MonkeyPatch, fills: bool
) -> None:
    calls = itertools.count()
    kept: list[bytes] = []

    def tick() -> tuple[int, bytes]:
        return 200, kept[0] if kept else b"%d" % next(calls)

    def load(*args: object, **kwargs: object) -> Load:
        kept.extend([b"kept"] * fills)
        return GOOD

    monkeypatch.setattr(rounds, "load", load)

    with served(_=lambda: (200, b"Hello, World!"), tick=tick) as server:
        server.start_seconds = 0.1
        server.assert_running = lambda: None
        [measured] = rounds._visit_server(PEERS[0], server, [PLAIN], sample("x"), SETTINGS)

    assert measured.invalid == ("answers come from a cache" if fills else "")


INVALID = "3 errors in 1000 requests"


def test_one_invalid_round_makes_the_row_invalid() -> None:
    samples = [sample("bustapi", round=1), sample("bustapi", round=2, invalid=INVALID)]
    [row] = summarise(samples)
    assert row.invalid == INVALID


def test_invalid_rows_have_no_figures(tmp_path: Path) -> None:
    samples = [
        sample(BUSTAPI.name, cpu_us=12.345, invalid=INVALID),
        sample(BARE_HYPER.name, cpu_us=4.0),
    ]
    rows = summarise(samples)
    printed = tables(rows, never) + ratios(rows, never) + summary(rows, never) + plot(rows, never)
    assert "12.3" not in printed
    assert f"bustapi             invalid: {INVALID}" in printed
    save(tmp_path / "run.json", rows, samples, {})
    [written, _] = json.loads((tmp_path / "run.json").read_text())["rows"]
    assert written == {"peer": "bustapi", "workload": "plain", "invalid": INVALID}


def test_an_invalid_peer_is_not_the_best() -> None:
    rows = summarise(
        [
            sample(BUSTAPI.name, cpu_us=10.0),
            sample(BARE_HYPER.name, cpu_us=8.0),
            sample("sanic", cpu_us=5.0, invalid="answers come from a cache"),
            sample("robyn", cpu_us=20.0),
        ]
    )
    assert re.search(r"robyn +20.00 us +2.00x ahead", summary(rows, never))


def test_an_invalid_limit_is_not_compared_with() -> None:
    rows = summarise(
        [sample(BUSTAPI.name), sample(BARE_HYPER.name, cpu_us=1.0, invalid="ended with 1")]
    )
    assert rows[0].cpu_to_limit is None
    assert "not compared" in summary(rows, never)


def test_ratios_are_of_the_same_round() -> None:
    # The machine was twice as slow in the second round: no ratio shows it.
    samples = [
        sample(peer, cpu_us=cost * slow, round=number)
        for number, slow in ((1, 1.0), (2, 2.0))
        for peer, cost in ((BUSTAPI.name, 6.0), (BARE_HYPER.name, 4.0))
    ]
    [own, _] = summarise(samples)
    assert own.cpu_to_limit == pytest.approx(1.5)


def test_the_target_of_the_template_leaves_out_the_engine() -> None:
    [own_us, engine_us, limit_us] = [50.0, 42.0, 4.0]
    rows = summarise(
        [
            sample(BUSTAPI.name, "template", own_us),
            sample(RENDERING, "template", engine_us),
            sample(BARE_HYPER.name, "template", limit_us, sent="plain"),
        ]
    )
    assert "met (+ 2.00)" in summary(rows, never)
    slower = [replace(row, cpu_us=row.cpu_us + 2.0 * (row.peer == BUSTAPI.name)) for row in rows]
    assert "MISSED (+ 2.50)" in summary(slower, never)


def test_each_target_is_of_a_workload() -> None:
    assert set(TARGETS) <= {load.name for load in workloads()}
    assert all(peer.instead in ("", *peer.only) for peer in PEERS)


def test_runs_are_merged_by_rounds_of_their_own(tmp_path: Path) -> None:
    told = {"machine": {"processor": "x"}, "python": "3.11"}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]

    for path in paths:
        save(path, [], [sample("bustapi", round=1), sample("bustapi", round=2)], told)

    assert [found.round for found in read(paths)] == [1, 2, 3, 4]
    save(paths[1], [], [sample("bustapi")], {**told, "python": "3.13"})

    with pytest.raises(NotMergeable):
        read(paths)

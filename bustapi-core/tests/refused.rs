//! Requests that are refused before a handler sees them: one answer that says why, one record.

use std::sync::mpsc;
use std::time::Duration;

use bustapi_core::{
    AccessRecord, Address, Config, Dispatcher, Handler, Listener, RequestLine, Responder, Routed,
    Server,
};
use bustapi_http::{Body, RawTarget, Response, text_response};
use bytes::Bytes;
use http::StatusCode;

use crate::support::{
    DEADLINE, Running, collect_log, echo, get, logged, serve, serve_on, streamed,
};

fn recorded(config: Config, handler: impl Handler) -> (Running, mpsc::Receiver<AccessRecord>) {
    let (seen, records) = mpsc::channel::<AccessRecord>();
    let address = Address::Tcp("127.0.0.1".to_owned(), 0);
    let listener = Listener::bind(&address, 16).unwrap();
    let server = Server::new(config, Dispatcher::to(handler))
        .with_access_log(move |record| seen.send(record.clone()).unwrap());
    (serve_on(listener, server), records)
}

/// Sends `wire` behind a good request and wants both answered and recorded, once each.
fn assert_refused(wire: impl AsRef<[u8]>, status: u16, line: &str, why: &str) {
    let (mut server, records) = recorded(Config::default(), echo);
    for before in [String::new(), get("/before")] {
        let mut client = server.connect();
        client.try_send([before.as_bytes(), wire.as_ref()].concat());
        if !before.is_empty() {
            assert_eq!(client.reply().status, 200);
            assert!(
                records
                    .recv_timeout(DEADLINE)
                    .unwrap()
                    .to_string()
                    .contains("/before")
            );
        }
        let reply = client.reply();
        assert_eq!(
            (reply.status, reply.field("connection")),
            (status, Some("close")),
            "{line}"
        );
        assert!(reply.text().contains(why), "{line}: {:?}", reply.text());
        client.assert_closed();
        drop(client);
        let record = records.recv_timeout(DEADLINE).unwrap();
        assert_eq!(
            (record.status.as_u16(), record.sent),
            (status, reply.body.len() as u64)
        );
        let shown = record.to_string();
        assert!(shown.contains(&format!("] \"{line}")), "{shown}");
    }
    server.join();
    assert!(records.try_recv().is_err(), "{line}");
}

#[test]
fn heads_that_are_refused_leave_one_record_and_say_why() {
    let head = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n\r\n");
    let host = "Host: a";
    for (wire, line, why) in [
        (
            head("GET /a HTTP/1.1", "X: y"),
            "GET /a HTTP/1.1\"",
            "Host is missing",
        ),
        (
            head("GET /a HTTP/1.1", "Host: a/b"),
            "GET /a HTTP/1.1\"",
            "Host is",
        ),
        (
            head("GET /a HTTP/1.1", "Host: a..b"),
            "GET /a HTTP/1.1\"",
            "Host is",
        ),
        (
            head("GET /a HTTP/1.1", &format!("Host: {}.b", "x".repeat(64))),
            "GET /a",
            "Host is",
        ),
        (
            head(
                "POST /a HTTP/1.1",
                "Host: a\r\nContent-Length: 1\r\nContent-Length: 2",
            ),
            "POST /a HTTP/1.1\"",
            "Content-Length is not",
        ),
        (
            head(
                "POST /a HTTP/1.1",
                "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            ),
            "POST /a HTTP/1.1\"",
            "both",
        ),
        (
            head("POST /a HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip"),
            "POST /a",
            "not chunked",
        ),
        (
            head("GET /a HTTP/x.y", host),
            "GET /a HTTP/x.y\"",
            "version",
        ),
        (
            head("G@T /a HTTP/1.1", host),
            "G@T /a HTTP/1.1\"",
            "Bad Request: ",
        ),
        (
            head("GET /a HTTP/1.1", "Host: a\r\nX Y: 1"),
            "GET /a HTTP/1.1\"",
            "header",
        ),
        (head("GET a HTTP/1.1", host), "GET a HTTP/1.1\"", "target"),
        (
            head("GET http://u@h/ HTTP/1.1", host),
            "GET http://u@h/ HTTP/1.1\"",
            "names a user",
        ),
        (
            head("GET http://:80/ HTTP/1.1", host),
            "GET http://:80/ HTTP/1.1\"",
            "names no host",
        ),
        (
            head("GET http:///a HTTP/1.1", host),
            "GET http:///a HTTP/1.1\"",
            "URI",
        ),
        (head("PRI * HTTP/2.0", ""), "PRI * HTTP/2.0\"", "HTTP/2"),
        (
            "GET /a HTTP/1.1\nHost: a\n\n".to_owned(),
            "GET /a HTTP/1.1\"",
            "CR LF",
        ),
    ] {
        assert_refused(wire, 400, line, why);
    }
    assert_refused(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        400,
        "\\x16\\x03",
        "TLS",
    );
    assert_refused(
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03",
        400,
        "\\x16\\x03",
        "TLS",
    );
}

#[test]
fn heads_that_are_too_large_leave_one_record() {
    let long = format!(
        "GET /a HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    assert_refused(long, 431, "GET /a HTTP/1.1\"", "too long");
    let many = format!(
        "GET /a HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: y\r\n".repeat(200)
    );
    assert_refused(many, 431, "GET /a HTTP/1.1\"", "too many");
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20_000));
    assert_refused(target, 414, "GET /xx", "Too Long");
}

#[test]
fn requests_that_come_too_late_leave_one_record() {
    let short = Duration::from_millis(100);
    let config = Config::default()
        .with_head_timeout(short)
        .with_body_timeout(short);
    let (mut server, records) = recorded(config, echo);
    for (wire, line) in [
        ("GET /head HTTP/1.1\r\nHost", "\"GET /head HTTP/1.1\" 408 "),
        ("GET /li", "\"GET /li\" 408 "),
        (
            "PUT /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
            "\"PUT /small HTTP/1.1\" 408 ",
        ),
        (
            "PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhel",
            "\"PUT /large HTTP/1.1\" 408 ",
        ),
    ] {
        let mut client = server.connect();
        client.send(wire);
        let reply = client.reply();
        assert_eq!(
            (reply.status, reply.field("connection")),
            (408, Some("close"))
        );
        assert!(reply.text().contains("in time"));
        let record = records.recv_timeout(DEADLINE).unwrap().to_string();
        assert!(record.contains(line), "{record}");
    }
    // Nothing was asked for.
    server.connect().assert_closed();
    server.join();
    assert!(records.try_recv().is_err());
}

#[test]
fn a_head_that_breaks_off_and_a_client_that_goes_leave_one_record() {
    let (given, responders) = mpsc::channel();
    let (mut server, records) = recorded(
        Config::default(),
        move |routed: Routed, responder: Responder| {
            given.send((routed, responder)).unwrap();
        },
    );
    let mut client = server.connect();
    client.send("GET /half HTTP/1.1\r\nHost");
    client.finish();
    assert_eq!(client.reply().status, 400);
    let record = records.recv_timeout(DEADLINE).unwrap().to_string();
    assert!(record.contains("\"GET /half HTTP/1.1\" 400 "), "{record}");

    let mut client = server.connect();
    client.send(get("/gone"));
    let kept = responders.recv_timeout(DEADLINE).unwrap();
    // With a reset: one that only ends its sending is waited for.
    socket2::SockRef::from(&client.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    let record = records.recv_timeout(DEADLINE).unwrap().to_string();
    assert!(record.contains("\"GET /gone HTTP/1.1\" 499 "), "{record}");
    drop(kept);
    server.join();
    assert!(records.try_recv().is_err());
}

#[test]
fn targets_with_characters_that_should_be_encoded_are_served() {
    let (server, records) = recorded(Config::default(), |routed: Routed, responder: Responder| {
        let head = &routed.request.head;
        let raw = head.extensions.get::<RawTarget>();
        let raw = raw.map(|raw| String::from_utf8_lossy(&raw.0).into_owned());
        responder.complete(Response::new(Body::from(format!("{} {raw:?}", head.uri))));
    });
    let mut client = server.connect();
    for (target, seen) in [
        ("/a<b", "/a%3Cb Some(\"/a<b\")"),
        ("/?q=<\"`>", "/?q=%3C%22%60%3E Some(\"/?q=<\\\"`>\")"),
        ("/plain?q=%3C", "/plain?q=%3C None"),
        ("http://h/`", "http://h/%60 Some(\"/`\")"),
    ] {
        // The request behind it comes in the same packet.
        client.send(format!("{}{}", get(target), get("/next")));
        assert_eq!(client.reply().text(), seen);
        assert_eq!(client.reply().text(), "/next None");
    }
    let record = records.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(record.request, RequestLine::Read { .. }));
    assert!(record.to_string().contains("\"GET /a%3Cb HTTP/1.1\" 200"));
    // One that comes byte by byte is no other.
    for byte in get("/b<c").bytes().chain(get("/d>").bytes()) {
        client.send([byte]);
    }
    assert_eq!(client.reply().text(), "/b%3Cc Some(\"/b<c\")");
    assert_eq!(client.reply().text(), "/d%3E Some(\"/d>\")");
    // What is wrong beside the target stays wrong.
    client.send("GET /a<b HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.assert_closed();
}

#[test]
fn a_streamed_answer_shorter_than_its_length_arrives_as_far_as_it_goes() {
    collect_log();
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        let (mut response, pieces) = streamed();
        let length: usize = routed.request.raw_path()[1..].parse().unwrap();
        let length_field = length.to_string().parse().unwrap();
        response
            .headers_mut()
            .insert("content-length", length_field);
        // More than the sockets' buffers take, in one piece and before anybody reads.
        pieces
            .send(Ok(Bytes::from(vec![b'x'; length / 2])))
            .unwrap();
        responder.complete(response);
    });
    for length in [10, 40_000_000] {
        let mut client = server.connect();
        client.send(get(&format!("/{length}")));
        let head = client.reply_head();
        assert_eq!(
            head.field("content-length"),
            Some(length.to_string().as_str())
        );
        assert_eq!(client.rest().len(), length / 2);
        assert_eq!(
            logged(&format!("{} of the {length} bytes", length - length / 2)),
            1
        );
    }
}

#[test]
fn a_streamed_answer_longer_than_its_length_is_cut_and_told() {
    collect_log();
    let server = serve(Config::default(), |_: Routed, responder: Responder| {
        let (mut response, pieces) = streamed();
        response
            .headers_mut()
            .insert("content-length", "7".parse().unwrap());
        pieces.send(Ok(Bytes::from_static(b"hello "))).unwrap();
        pieces.send(Ok(Bytes::from_static(b"world"))).unwrap();
        responder.complete(response);
    });
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(get("/"));
        assert_eq!(client.reply().text(), "hello w");
    }
    assert_eq!(logged("longer than its Content-Length of 7 bytes"), 2);
}

#[test]
fn a_client_that_ended_its_sending_gets_all_of_a_large_answer() {
    let server = serve(Config::default(), |_: Routed, responder: Responder| {
        responder.complete(Response::new(Body::from(Bytes::from(vec![b'x'; LARGE]))));
    });
    let mut client = server.connect();
    client.send(get("/"));
    client.finish();
    // The server writes what the sockets take, and learns of the end, before this reads.
    assert_eq!(client.reply_head().status, 200);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(client.rest().len(), LARGE);
}

/// More bytes than the sockets' buffers take.
const LARGE: usize = 20_000_000;

#[test]
fn the_longest_idle_connection_makes_room_for_a_newcomer() {
    collect_log();
    let config = Config::default().with_max_connections(3);
    let (given, responders) = mpsc::channel();
    let server = serve(config, move |routed: Routed, responder: Responder| {
        if routed.request.raw_path() == "/wait" {
            given.send(responder).unwrap();
        } else {
            crate::support::hello(routed, responder);
        }
    });
    let mut busy = server.connect();
    busy.send(get("/wait"));
    let responder = responders.recv_timeout(DEADLINE).unwrap();
    let mut others: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut others {
        client.send(get("/"));
        assert_eq!(client.reply().status, 200);
    }
    // All but the last two have been closed.
    for client in &mut others[..6] {
        client.assert_closed();
    }
    others[7].send(get("/"));
    assert_eq!(others[7].reply().status, 200);
    assert_eq!(logged("all 3 connections are in use"), 1);
    responder.complete(text_response(StatusCode::OK, "late"));
    assert_eq!(busy.reply().text(), "late");
}

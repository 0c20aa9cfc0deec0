//! Clients that end their sending, and clients that have gone: the same thing on the wire.

use std::sync::mpsc;

use bustapi_core::{Config, Responder, Routed};
use bustapi_http::text_response;
use http::StatusCode;

use crate::support::{DEADLINE, Running, get, serve, streamed};

fn ok(text: &'static str) -> bustapi_http::Response {
    text_response(StatusCode::OK, text)
}

/// A server whose responders are answered by the test, and who wants to know of a client's
/// going.
fn watching() -> (Running, mpsc::Receiver<Responder>, mpsc::Receiver<()>) {
    let (given, responders) = mpsc::channel();
    let (tell, gone) = mpsc::channel();
    let server = serve(Config::default(), move |_: Routed, responder: Responder| {
        let tell = tell.clone();
        responder.on_abandoned(move || tell.send(()).unwrap());
        given.send(responder).unwrap();
    });
    (server, responders, gone)
}

/// A server whose responders are answered by the test.
fn indifferent() -> (Running, mpsc::Receiver<Responder>) {
    let (given, responders) = mpsc::channel();
    let server = serve(Config::default(), move |_: Routed, responder: Responder| {
        given.send(responder).unwrap();
    });
    (server, responders)
}

#[test]
fn all_requests_before_the_end_are_answered() {
    let (server, responders) = indifferent();
    let mut client = server.connect();
    client.send([get("/1"), get("/2"), get("/3")].concat());
    client.finish();
    for text in ["one", "two", "three"] {
        let responder = responders.recv_timeout(DEADLINE).unwrap();
        responder.complete(ok(text));
        assert_eq!(client.reply().text(), text);
    }
    client.assert_closed();
}

#[test]
fn a_body_and_then_the_end_is_a_whole_request() {
    let (server, responders) = indifferent();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    client.finish();
    let responder = responders.recv_timeout(DEADLINE).unwrap();
    responder.complete(ok("hello"));
    assert_eq!(client.reply().text(), "hello");
    client.assert_closed();
}

#[test]
fn a_client_that_is_still_there_is_asked_once_and_answered() {
    let (server, responders, gone) = watching();
    let mut client = server.connect();
    client.send(get("/"));
    client.finish();
    let responder = responders.recv_timeout(DEADLINE).unwrap();
    let asked = client.reply();
    assert_eq!((asked.status, asked.fields.len()), (100, 0));

    // Another client's question: ticks have passed, and the first one is not asked again.
    let mut other = server.connect();
    other.send(get("/"));
    other.finish();
    assert_eq!(other.reply().status, 100);
    responder.complete(ok("hello"));
    assert_eq!(client.reply().text(), "hello");
    client.assert_closed();
    assert_eq!(gone.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_client_that_has_gone_is_noticed() {
    let (server, responders, gone) = watching();
    let mut client = server.connect();
    client.send(get("/"));
    let responder = responders.recv_timeout(DEADLINE).unwrap();
    drop(client);
    gone.recv_timeout(DEADLINE).unwrap();
    assert!(responder.is_closed());
}

#[test]
fn nobody_is_asked_who_would_not_understand_or_for_nobody() {
    let (server, responders, _gone) = watching();
    let mut old = server.connect();
    old.send("GET / HTTP/1.0\r\n\r\n");
    old.finish();
    let to_old = responders.recv_timeout(DEADLINE).unwrap();
    let (unwatching, unwatched) = indifferent();
    let mut client = unwatching.connect();
    client.send(get("/"));
    client.finish();
    let to_client = unwatched.recv_timeout(DEADLINE).unwrap();

    // A third one's question tells that it would have been time for the others'.
    let mut third = server.connect();
    third.send(get("/"));
    third.finish();
    assert_eq!(third.reply().status, 100);
    to_old.complete(ok("old"));
    assert_eq!(old.reply().text(), "old");
    to_client.complete(ok("hello"));
    assert_eq!(client.reply().text(), "hello");
}

#[test]
fn a_stream_goes_on_after_the_end() {
    let (given, answers) = mpsc::channel();
    let server = serve(Config::default(), move |_: Routed, responder: Responder| {
        let (response, pieces) = streamed();
        responder.complete(response);
        given.send(pieces).unwrap();
    });
    let mut client = server.connect();
    client.send(get("/"));
    let pieces = answers.recv_timeout(DEADLINE).unwrap();
    client.finish();
    for text in [&b"one"[..], b"two"] {
        pieces.send(Ok(bytes::Bytes::from_static(text))).unwrap();
    }
    assert_eq!(client.reply_head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(&b"one"[..]));
    assert_eq!(client.chunk().as_deref(), Some(&b"two"[..]));
    drop(pieces);
    assert_eq!(client.chunk(), None);
    client.assert_closed();
}

#[test]
fn the_end_within_a_request_is_no_request() {
    let (server, responders, _gone) = watching();
    for part in [
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
    ] {
        let mut client = server.connect();
        client.send(part);
        client.finish();
        client.rest();
    }
    assert!(responders.try_recv().is_err());
}

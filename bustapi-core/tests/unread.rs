//! Bodies that a handler leaves unread, and the request behind them.

use std::sync::mpsc;
use std::time::Duration;

use bustapi_core::{Config, ReadError, RequestBody, Responder, Routed};
use bustapi_http::text_response;
use bytes::Bytes;
use http::StatusCode;

use crate::support::{DEADLINE, Running, get, serve, streamed};

/// A server that answers at once and keeps every request, as a program may that holds on to it.
fn keeper(config: Config) -> (Running, mpsc::Receiver<Routed>) {
    let (kept, requests) = mpsc::channel();
    let server = serve(config, move |routed: Routed, responder: Responder| {
        kept.send(routed).unwrap();
        responder.complete(text_response(StatusCode::FORBIDDEN, "unread"));
    });
    (server, requests)
}

const CHUNKED: &str = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_small_body_that_is_there_is_passed_over() {
    let (server, requests) = keeper(Config::default());
    let mut client = server.connect();
    let chunk = format!("400\r\n{:1024}\r\n", "");
    for body in ["0\r\n\r\n".to_owned(), format!("{chunk}{chunk}0\r\n\r\n")] {
        client.send(format!("{CHUNKED}{body}"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.field("connection")), (403, None));
    }
    // As long as was announced, and on its way.
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.field("connection")), (403, None));
    client.send(vec![b'x'; 200_000]);
    client.send(get("/"));
    assert_eq!(client.reply().status, 403);
    assert_eq!(requests.try_iter().count(), 4);
}

#[test]
fn a_body_that_is_large_or_not_there_ends_the_connection_with_a_word() {
    let (server, requests) = keeper(Config::default());
    let large = format!("100000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10_0000));
    for request in [
        format!("{CHUNKED}{large}"),
        format!("{CHUNKED}5\r\nhel"),
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n".to_owned(),
        // It would have to be asked for, which nobody will do.
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n".to_owned(),
        format!(
            "{}{}",
            CHUNKED.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"),
            "0\r\n\r\n"
        ),
    ] {
        let mut client = server.connect();
        client.try_send(&request);
        let reply = client.reply();
        let head = &request[..request.len().min(100)];
        assert_eq!(
            (reply.status, reply.field("connection")),
            (403, Some("close")),
            "{head}"
        );
        client.assert_closed();
    }
    assert_eq!(requests.try_iter().count(), 5);
}

#[test]
fn a_body_that_the_handler_dropped_ends_the_connection_with_a_word() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        drop(routed);
        responder.complete(text_response(StatusCode::OK, "dropped"));
    });
    let mut client = server.connect();
    client.send(format!("{CHUNKED}5\r\nhel"));
    assert_eq!(client.reply().field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn a_body_is_out_of_reach_once_its_request_is_answered() {
    let (server, requests) = keeper(Config::default());
    let mut client = server.connect();
    client.send(format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!(client.reply().status, 403);
    let mut routed = requests.recv_timeout(DEADLINE).unwrap();
    let read = routed.request.body.chunk_blocking();
    assert!(matches!(read, Err(ReadError::Answered)), "{read:?}");
}

#[test]
fn a_reader_that_waits_for_its_body_learns_of_the_answer() {
    let (done, outcome) = mpsc::channel();
    let server = serve(
        Config::default(),
        move |mut routed: Routed, responder: Responder| {
            let done = done.clone();
            std::thread::spawn(move || {
                let mut responder = Some(responder);
                let mut body = std::mem::replace(&mut routed.request.body, RequestBody::Empty);
                loop {
                    let read = body.chunk_blocking();
                    if let Some(responder) = responder.take() {
                        // The next reading waits while the answer goes out.
                        std::thread::spawn(move || {
                            std::thread::sleep(Duration::from_millis(50));
                            responder.complete(text_response(StatusCode::OK, "early"));
                        });
                    }
                    if !matches!(read, Ok(Some(_))) {
                        done.send(read).unwrap();
                        return;
                    }
                }
            });
        },
    );
    let mut client = server.connect();
    client.send(format!("{CHUNKED}5\r\nhello\r\n"));
    assert_eq!(client.reply().field("connection"), Some("close"));
    let read = outcome.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(read, Err(ReadError::Answered)), "{read:?}");
}

#[test]
fn a_streamed_answer_may_be_made_from_the_body_to_its_end() {
    let server = serve(
        Config::default(),
        |mut routed: Routed, responder: Responder| {
            let (response, pieces) = streamed();
            responder.complete(response);
            if routed.request.raw_path() == "/unread" {
                drop(pieces);
                std::mem::forget(routed);
                return;
            }
            tokio::spawn(async move {
                while let Some(chunk) = routed.request.body.chunk().await.unwrap() {
                    pieces.send(Ok(chunk)).unwrap();
                }
                pieces.send(Ok(Bytes::from_static(b"!"))).unwrap();
            });
        },
    );
    let mut client = server.connect();
    client.send(format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"));
    let reply = client.reply();
    assert_eq!((reply.text(), reply.field("connection")), ("hello!", None));
    client.send(format!("{CHUNKED}5\r\nhello\r\n"));
    assert_eq!(client.reply_head().field("connection"), Some("close"));
    assert_eq!(client.chunk().as_deref(), Some(&b"hello"[..]));
    client.send("5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(client.chunk().as_deref(), Some(&b"world"[..]));
    assert_eq!(client.chunk().as_deref(), Some(&b"!"[..]));
    assert_eq!(client.chunk(), None);
    client.assert_closed();

    let mut client = server.connect();
    for _ in 0..2 {
        client.send(format!("{}0\r\n\r\n", CHUNKED.replace("/ ", "/unread ")));
        assert_eq!(client.reply().text(), "");
    }
    client.send(format!("{}5\r\nhel", CHUNKED.replace("/ ", "/unread ")));
    assert_eq!(client.reply().field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn a_server_that_stops_does_not_wait_for_what_nobody_reads() {
    let (mut server, _requests) = keeper(Config::default());
    let mut client = server.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    assert_eq!(client.reply().field("connection"), None);
    server.stop();
    client.assert_closed();
    drop(client);
    server.join();
}

#[test]
fn the_answer_waits_for_a_small_body_that_is_on_its_way() {
    let config = Config::default().with_unread_body_timeout(DEADLINE);
    let (server, _requests) = keeper(config);
    for (head, half, rest) in [
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
            "x".repeat(50_000),
            "x".repeat(50_000),
        ),
        (CHUNKED, "5\r\nhel".to_owned(), "lo\r\n0\r\n\r\n".to_owned()),
    ] {
        let mut client = server.connect();
        client.send(format!("{head}{half}"));
        client
            .stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let early = client.stream.peek(&mut [0]);
        assert!(early.is_err(), "{early:?}");
        client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        client.send(rest);
        let reply = client.reply();
        assert_eq!((reply.status, reply.field("connection")), (403, None));
    }
    // What is too long for it is not waited for.
    let mut client = server.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nx");
    assert_eq!(client.reply().field("connection"), Some("close"));
}

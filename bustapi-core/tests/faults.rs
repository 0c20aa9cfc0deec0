//! Handlers that fail, and clients that leave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bustapi_core::{Config, ReadError, Responder, Routed};
use bustapi_http::{Body, Response};
use bytes::Bytes;

use crate::support::{
    Channel, DEADLINE, collect_log, get, hello, logged, serve, streamed, wait_for,
};

#[test]
fn a_panicking_handler_answers_500_and_the_server_lives() {
    collect_log();
    let server = serve(
        Config::default(),
        |routed: Routed, responder: Responder| match routed.request.raw_path() {
            "/panic" => panic!("on purpose"),
            "/answered" => {
                hello(routed, responder);
                panic!("on purpose, too late");
            }
            _ => hello(routed, responder),
        },
    );
    let mut client = server.connect();
    client.send(get("/panic"));
    let reply = client.reply();
    assert_eq!(
        (reply.status, reply.text()),
        (500, "Internal Server Error\n")
    );
    client.send(get("/answered"));
    assert_eq!(client.reply().status, 200);
    client.send(get("/"));
    assert_eq!(client.reply().status, 200);
    // A body that has been read beforehand takes another way to the handler.
    client.send("POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.reply().status, 500);
    // Other tests log the same.
    assert!(logged("a handler panicked") >= 3);
}

#[test]
fn a_responder_dropped_unused_answers_500() {
    collect_log();
    let before = logged("without an answer");
    let server = serve(Config::default(), |_: Routed, responder: Responder| {
        std::thread::spawn(move || drop(responder));
    });
    assert_eq!(server.get("/").status, 500);
    assert!(logged("without an answer") > before);
}

#[test]
fn a_stream_that_fails_ends_the_connection_early() {
    collect_log();
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        let (response, pieces) = streamed();
        responder.complete(response);
        pieces.send(Ok(Bytes::from_static(b"begin"))).unwrap();
        if routed.request.raw_path() == "/fail" {
            pieces.send(Err("the disk is on fire".into())).unwrap();
        }
    });
    let mut client = server.connect();
    client.send(get("/fail"));
    assert_eq!(client.reply_head().status, 200);
    // What was made before the fault arrives, without the end of the whole.
    assert_eq!(client.rest(), b"5\r\nbegin\r\n");
    assert_eq!(logged("the disk is on fire"), 1);
    assert_eq!(server.get("/").text(), "begin");
}

#[test]
fn a_stream_that_panics_ends_its_connection_only() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = bustapi_http::BodyError;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            panic!("on purpose")
        }
    }
    collect_log();
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        if routed.request.raw_path() == "/panic" {
            responder.complete(Response::new(Body::Stream(Box::pin(Panics))));
        } else {
            hello(routed, responder);
        }
    });
    let mut client = server.connect();
    client.send(get("/panic"));
    assert!(!client.rest().ends_with(b"0\r\n\r\n"));
    assert_eq!(server.get("/").status, 200);
    assert_eq!(logged("panicked while it was sent"), 1);
}

#[test]
fn an_answer_of_an_interim_status_is_a_fault() {
    let server = serve(Config::default(), |_: Routed, responder: Responder| {
        let mut response = Response::default();
        *response.status_mut() = http::StatusCode::CONTINUE;
        responder.complete(response);
    });
    assert_eq!(server.get("/").status, 500);
}

#[test]
fn a_stream_is_dropped_when_its_client_leaves() {
    let (dropped, was_dropped) = mpsc::channel();
    let server = serve(Config::default(), move |_: Routed, responder: Responder| {
        let (pieces, receiver) = tokio::sync::mpsc::unbounded_channel();
        responder.complete(Response::new(Body::Stream(Box::pin(Channel(receiver)))));
        let dropped = dropped.clone();
        std::thread::spawn(move || {
            while pieces.send(Ok(Bytes::from_static(&[0; 1000]))).is_ok() {
                std::thread::yield_now();
            }
            dropped.send(()).unwrap();
        });
    });
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.reply_head().status, 200);
    drop(client);
    was_dropped.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn a_body_breaks_off_when_its_client_leaves() {
    let (read, was_read) = mpsc::channel();
    let server = serve(
        Config::default(),
        move |routed: Routed, responder: Responder| {
            let read = read.clone();
            // As a handler on a pool thread reads.
            std::thread::spawn(move || {
                let mut body = routed.request.body;
                let first = body.chunk_blocking().unwrap();
                let second = body.chunk_blocking();
                read.send((first, matches!(second, Err(ReadError::Broken(_)))))
                    .unwrap();
                drop(responder);
            });
        },
    );
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    drop(client);
    let (first, broke_off) = was_read.recv_timeout(DEADLINE).unwrap();
    assert_eq!(first.as_deref(), Some(&b"hello"[..]));
    assert!(broke_off);
}

#[test]
fn a_buffered_body_that_breaks_off_reaches_no_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = serve(
        Config::default(),
        move |routed: Routed, responder: Responder| {
            counted.fetch_add(1, Ordering::SeqCst);
            hello(routed, responder);
        },
    );
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    client.finish();
    assert_eq!(client.reply().status, 400);
    client.assert_closed();
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn a_responder_knows_that_a_reset_client_is_gone_at_the_latest_when_the_connection_ends() {
    let (given, responders) = mpsc::channel();
    let config = Config::default().with_drain_timeout(std::time::Duration::ZERO);
    let mut server = serve(config, move |_: Routed, responder: Responder| {
        given.send(responder).unwrap();
    });
    let mut client = server.connect();
    client.send(get("/"));
    let responder = responders.recv_timeout(DEADLINE).unwrap();
    assert!(!responder.is_closed());
    server.stop();
    wait_for("the responder's end", || responder.is_closed());
}

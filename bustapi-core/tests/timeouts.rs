//! Clients that are slow, silent or gone.

use std::time::{Duration, Instant};

use bustapi_core::{Config, Responder, Routed};
use bytes::Bytes;

use crate::support::{Client, Running, echo, get, hello, serve, streamed, wait_for};

/// Shorter than a tick of the deadlines, so each is met at the second tick.
const SHORT: Duration = Duration::from_millis(100);
/// No time-out below this is reached in a test.
const LONG: Duration = Duration::from_secs(600);

fn patient() -> Config {
    Config::default()
        .with_head_timeout(LONG)
        .with_body_timeout(LONG)
        .with_write_timeout(LONG)
        .with_keep_alive_timeout(LONG)
}

/// The connection is closed although others would wait; the server goes on.
fn assert_given_up(server: &Running, mut client: Client, answer: &str) {
    let rest = client.rest();
    let rest = String::from_utf8_lossy(&rest);
    match answer {
        "" => assert_eq!(rest, ""),
        answer => assert!(rest.starts_with(answer), "{rest:?}"),
    }
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_head_that_does_not_end_answers_408() {
    let config = patient().with_head_timeout(SHORT);
    let server = serve(config, hello);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHo");
    assert_given_up(&server, client, "HTTP/1.1 408 ");

    // The second head of a connection, begun with the first request's packet.
    let mut client = server.connect();
    client.send(format!("{}GET / HT", get("/")));
    assert_eq!(client.reply().status, 200);
    assert_given_up(&server, client, "HTTP/1.1 408 ");
}

#[test]
fn a_dripping_head_is_not_waited_for() {
    let config = patient().with_head_timeout(SHORT);
    let server = serve(config, hello);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    let begin = Instant::now();
    wait_for("the end of a dripping head", || {
        std::thread::sleep(Duration::from_millis(5));
        !client.try_send("x")
    });
    assert!(begin.elapsed() >= SHORT);
}

#[test]
fn a_connection_that_never_asks_is_closed_without_a_word() {
    let config = patient().with_head_timeout(SHORT);
    let server = serve(config, hello);
    assert_given_up(&server, server.connect(), "");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let config = patient().with_keep_alive_timeout(SHORT);
    let server = serve(config, hello);
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.reply().status, 200);
    assert_given_up(&server, client, "");
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let config = patient()
        .with_body_timeout(SHORT)
        .with_buffered_body_size(1000);
    let server = serve(config, echo);
    for length in [1000, 1001] {
        let mut client = server.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nhello"
        ));
        assert_given_up(&server, client, "HTTP/1.1 408 ");
    }
}

#[test]
fn a_trickling_body_is_given_up() {
    let config = patient().with_body_timeout(SHORT);
    let server = serve(config, echo);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    wait_for("the end of a trickling body", || {
        std::thread::sleep(Duration::from_millis(5));
        !client.try_send("1\r\nx\r\n")
    });
}

#[test]
fn a_slow_body_of_some_size_is_taken() {
    let config = patient().with_body_timeout(Duration::from_millis(500));
    let server = serve(config, echo);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let begin = Instant::now();
    // Longer than the time-out in all, but faster than the least rate.
    while begin.elapsed() < Duration::from_millis(1500) {
        client.send(format!("100\r\n{:256}\r\n", ""));
        std::thread::sleep(Duration::from_millis(20));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.reply().status, 200);
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let config = patient().with_write_timeout(SHORT);
    let (dropped, was_dropped) = std::sync::mpsc::channel::<()>();
    let server = serve(config, move |routed: Routed, responder: Responder| {
        if routed.request.raw_path() == "/" {
            return hello(routed, responder);
        }
        let (response, pieces) = streamed();
        let dropped = dropped.clone();
        responder.complete(response);
        std::thread::spawn(move || {
            // More than the sockets' buffers take.
            for _ in 0..10_000 {
                if pieces
                    .send(Ok(Bytes::from_static(&[0; 16 * 1024])))
                    .is_err()
                {
                    break;
                }
            }
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
                .block_on(pieces.closed());
            dropped.send(()).unwrap();
        });
    });
    let mut client = server.connect();
    client.send(get("/large"));
    was_dropped
        .recv_timeout(crate::support::DEADLINE)
        .expect("the stream is dropped while the client does not read");
    assert!(client.rest().len() < 16 * 1024 * 10_000);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_slow_handler_and_a_slow_stream_are_not_idle() {
    let config = Config::default()
        .with_head_timeout(SHORT)
        .with_body_timeout(SHORT)
        .with_write_timeout(SHORT)
        .with_keep_alive_timeout(SHORT);
    let server = serve(config, |_: Routed, responder: Responder| {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(800)).await;
            let (response, pieces) = streamed();
            responder.complete(response);
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_millis(800)).await;
                pieces.send(Ok(Bytes::from_static(b"x"))).unwrap();
            }
        });
    });
    assert_eq!(server.get("/").text(), "xx");
}

#[test]
fn zero_turns_time_outs_off() {
    let config = Config::default()
        .with_head_timeout(Duration::ZERO)
        .with_body_timeout(Duration::ZERO)
        .with_write_timeout(Duration::ZERO)
        .with_keep_alive_timeout(Duration::ZERO);
    let server = serve(config, echo);
    let mut client = server.connect();
    let mut other = server.connect();
    other.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    // As long as three ticks of the deadlines.
    std::thread::sleep(Duration::from_millis(800));
    client.send(get("/"));
    assert_eq!(client.reply().status, 200);
    other.send("lo");
    assert_eq!(other.reply().text(), "hello");
}

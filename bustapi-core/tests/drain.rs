//! Stopping: open requests end, everything else closes.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bustapi_core::{Config, Responder, Routed};
use bustapi_http::text_response;
use bytes::Bytes;
use http::StatusCode;

use crate::support::{
    DEADLINE, Pieces, collect_log, get, hello, logged, serve, streamed, wait_for,
};

fn config(drain: Duration) -> Config {
    Config::default().with_drain_timeout(drain)
}

#[test]
fn open_requests_are_answered_and_idle_connections_close() {
    let (given, responders) = mpsc::channel();
    let mut server = serve(
        config(DEADLINE),
        move |routed: Routed, responder: Responder| {
            if routed.request.raw_path() == "/wait" {
                given.send(responder).unwrap();
            } else {
                hello(routed, responder);
            }
        },
    );
    let mut silent = server.connect();
    let mut idle = server.connect();
    idle.send(get("/"));
    assert_eq!(idle.reply().status, 200);
    let mut busy = server.connect();
    busy.send(get("/wait"));
    let responder = responders.recv_timeout(DEADLINE).unwrap();

    server.stop();
    idle.assert_closed();
    silent.assert_closed();
    wait_for("the listener's end", || {
        std::net::TcpStream::connect(server.address).is_err()
    });
    assert!(!server.has_ended());

    responder.complete(text_response(StatusCode::OK, "late"));
    let reply = busy.reply();
    assert_eq!(reply.text(), "late");
    assert_eq!(reply.field("connection"), Some("close"));
    busy.assert_closed();
    server.join();
}

#[test]
fn a_stream_goes_on_to_its_end() {
    let (given, streams) = mpsc::channel::<Pieces>();
    let mut server = serve(config(DEADLINE), move |_: Routed, responder: Responder| {
        let (response, pieces) = streamed();
        given.send(pieces).unwrap();
        responder.complete(response);
    });
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.reply_head().status, 200);
    let pieces = streams.recv_timeout(DEADLINE).unwrap();
    server.stop();
    wait_for("the listener's end", || {
        std::net::TcpStream::connect(server.address).is_err()
    });
    pieces.send(Ok(Bytes::from_static(b"more"))).unwrap();
    assert_eq!(client.chunk().as_deref(), Some(&b"more"[..]));
    drop(pieces);
    assert_eq!(client.chunk(), None);
    client.assert_closed();
    server.join();
}

#[test]
fn what_outlasts_the_drain_time_is_broken_off() {
    collect_log();
    let (given, responders) = mpsc::channel();
    let drain = Duration::from_millis(50);
    let mut server = serve(config(drain), move |_: Routed, responder: Responder| {
        given.send(responder).unwrap();
    });
    let mut client = server.connect();
    client.send(get("/"));
    let responder = responders.recv_timeout(DEADLINE).unwrap();
    let begin = Instant::now();
    server.join();
    assert!(begin.elapsed() >= drain);
    assert!(responder.is_closed());
    client.assert_closed();
    assert!(logged("still busy at the end of the drain time") > 0);
}

#[test]
fn a_head_on_its_way_is_still_served() {
    let mut server = serve(config(DEADLINE), hello);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHo");
    // An answer on another connection: the server has read the packet before.
    assert_eq!(server.get("/").status, 200);
    server.stop();
    wait_for("the listener's end", || {
        std::net::TcpStream::connect(server.address).is_err()
    });
    client.send("st: a\r\n\r\n");
    assert_eq!(client.reply().field("connection"), Some("close"));
    client.assert_closed();
    server.join();
}

#[test]
fn a_client_that_has_just_connected_is_served() {
    let mut server = serve(config(DEADLINE), hello);
    let mut client = server.connect();
    // The server has accepted it: an answer on a later connection.
    assert_eq!(server.get("/").status, 200);
    server.stop();
    wait_for("the listener's end", || {
        std::net::TcpStream::connect(server.address).is_err()
    });
    client.send(get("/"));
    let reply = client.reply();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.field("connection"), Some("close"));
    client.assert_closed();
    server.join();
}

#[test]
fn clients_in_the_listen_queue_are_served() {
    let (entered, was_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let mut server = serve(
        config(DEADLINE),
        move |routed: Routed, responder: Responder| {
            if routed.request.raw_path() == "/block" {
                // Keeps the server from accepting.
                entered.send(()).unwrap();
                released.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            }
            hello(routed, responder);
        },
    );
    let mut blocking = server.connect();
    blocking.send(get("/block"));
    was_entered.recv_timeout(DEADLINE).unwrap();
    let mut queued: Vec<_> = (0..5)
        .map(|_| {
            let mut client = server.connect();
            client.send(get("/"));
            client
        })
        .collect();
    server.stop();
    release.send(()).unwrap();
    for client in &mut queued {
        assert_eq!(client.reply().status, 200);
        client.assert_closed();
    }
    assert_eq!(blocking.reply().status, 200);
    server.join();
}

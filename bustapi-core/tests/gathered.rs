//! Bodies that are received before a handler goes on.

use bustapi_core::{Config, Gathering, ReadError, RequestBody, Responder, Routed};
use bustapi_http::{Body, Response};
use bytes::Bytes;

use crate::support::{Running, serve};

/// A server that gathers bodies, and answers with what it holds then, what it reads, and how that ends.
fn gatherer(config: Config, gathering: Gathering) -> Running {
    serve(config, move |routed: Routed, responder: Responder| {
        tokio::spawn(async move {
            let mut body = routed.request.body.gather(gathering).await;
            let kind = match &body {
                RequestBody::Full(_) => "whole",
                RequestBody::Gathered(_) => "gathered",
                _ => "stream",
            };
            let length = body.length();
            let mut read = Vec::new();
            let end = loop {
                match body.chunk().await {
                    Ok(Some(piece)) => read.extend_from_slice(&piece),
                    Ok(None) => break "ends",
                    Err(ReadError::TooLarge { .. }) => break "too large",
                    Err(_) => break "broken",
                }
            };
            let is_right = read
                .iter()
                .zip(0_usize..)
                .all(|(byte, at)| *byte == byte_at(at));
            let text = format!("{kind} {length:?} {} {is_right} {end}", read.len());
            responder.complete(Response::new(Body::from(Bytes::from(text))));
        });
    })
}

const LIMITS: Gathering = Gathering {
    memory: 100_000,
    most: 1_000_000,
};

fn byte_at(at: usize) -> u8 {
    b'a' + u8::try_from(at % 26).unwrap()
}

fn body(length: usize) -> String {
    (0..length).map(|at| char::from(byte_at(at))).collect()
}

fn announced(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}",
        body(length)
    )
}

fn chunked(length: usize) -> String {
    let text = body(length);
    let chunks: Vec<String> = (0..length)
        .step_by(7_000)
        .map(|at| &text[at..length.min(at + 7_000)])
        .map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()))
        .collect();
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunks.concat()
    )
}

#[test]
fn what_fits_is_kept_in_memory_and_the_rest_in_a_file() {
    let server = gatherer(Config::default(), LIMITS);
    let mut client = server.connect();
    for length in [70_000, 100_000, 100_001, 400_000, 1_000_000] {
        let kind = if length <= 100_000 {
            "whole"
        } else {
            "gathered"
        };
        let expected = format!("{kind} Some({length}) {length} true ends");
        for request in [announced(length), chunked(length)] {
            client.send(request);
            assert_eq!(client.reply().text(), expected);
        }
    }
}

#[test]
fn an_empty_body_of_unknown_length_is_whole() {
    let server = gatherer(Config::default(), LIMITS);
    assert_eq!(server.ask(&chunked(0)).text(), "whole Some(0) 0 true ends");
}

#[test]
fn what_is_longer_is_read_as_it_arrives() {
    let server = gatherer(Config::default(), LIMITS);
    let length = 1_000_001;
    assert_eq!(
        server.ask(&announced(length)).text(),
        format!("stream Some({length}) {length} true ends")
    );
    assert_eq!(
        server.ask(&chunked(1_500_000)).text(),
        "gathered None 1500000 true ends"
    );
}

#[test]
fn errors_are_met_behind_what_had_come() {
    let config = Config::default().with_max_body_size(Some(200_000));
    let server = gatherer(config, LIMITS);
    let reply = server.ask(&chunked(210_000));
    let text = reply.text();
    assert!(text.starts_with("gathered None "), "{text}");
    assert!(text.ends_with(" true too large"), "{text}");
}

//! HTTP/1.1 on the wire: how requests are framed, answered and refused.

use crate::support::{Client, echo, get, hello, serve, streamed};
use bustapi_core::{Config, Responder, Routed};
use bustapi_http::{Body, Response, text_response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode};

fn echo_path(routed: Routed, responder: Responder) {
    let path = routed.request.raw_path().to_owned();
    responder.complete(Response::new(Body::from(path)));
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let server = serve(Config::default(), echo_path);
    let mut client = server.connect();
    for path in ["/a", "/b", "/c"] {
        client.send(get(path));
        let reply = client.reply();
        assert_eq!((reply.status, reply.text()), (200, path));
        assert_eq!(reply.version, "HTTP/1.1");
        assert!(reply.field("date").is_some());
    }
    client.send("GET /d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.reply().field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        // The first request is answered last, unless the server keeps the order.
        tokio::spawn(async move {
            let path = routed.request.raw_path().to_owned();
            if path == "/0" {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            responder.complete(Response::new(Body::from(path)));
        });
    });
    let mut client = server.connect();
    let paths: Vec<String> = (0..40).map(|number| format!("/{number}")).collect();
    client.send(paths.iter().map(|path| get(path)).collect::<String>());
    for path in &paths {
        assert_eq!(client.reply().text(), path);
    }
}

#[test]
fn a_good_request_before_a_bad_one_is_answered() {
    let server = serve(Config::default(), echo_path);
    for bad in [
        "GET / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "GET / HTTP/1.1\nHost: a\n\n",
        "\u{16}\u{3}\u{1}\0\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(format!("{}{bad}{}", get("/good"), get("/never")));
        assert_eq!(client.reply().text(), "/good");
        let refusal = client.reply();
        assert_eq!(refusal.status, 400, "{bad:?}");
        assert_eq!(refusal.field("connection"), Some("close"));
        client.assert_closed();
    }
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_refused_head_may_come_byte_by_byte() {
    let server = serve(Config::default(), hello);
    let bad = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    for cut in [1, 20, 26, 30, bad.len() - 3, bad.len() - 1] {
        let mut client = server.connect();
        client.send(&bad[..cut]);
        // An answer on another connection shows that the server has had a turn.
        assert_eq!(server.get("/").status, 200);
        client.try_send(&bad[cut..]);
        assert_eq!(client.reply().status, 400, "cut at {cut}");
        client.assert_closed();
    }
}

#[test]
fn http_10_closes_unless_asked_not_to() {
    let server = serve(Config::default(), hello);
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.version.as_str(), reply.status), ("HTTP/1.0", 200));
    client.assert_closed();

    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.reply().field("connection"), Some("keep-alive"));
    }
}

#[test]
fn a_stream_is_chunked_but_not_to_http_10() {
    let server = serve(Config::default(), |_: Routed, responder: Responder| {
        let (mut response, pieces) = streamed();
        for piece in ["one ", "", "two"] {
            pieces
                .send(Ok(Bytes::from_static(piece.as_bytes())))
                .unwrap();
        }
        // A coding of the handler's own would be one too many.
        let chunked = HeaderValue::from_static("chunked");
        response.headers_mut().insert(TRANSFER_ENCODING, chunked);
        responder.complete(response);
    });
    let reply = server.get("/");
    assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.text(), "one two");
    let reply = server.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(reply.field("transfer-encoding"), None);
    assert_eq!(reply.text(), "one two");
}

#[test]
fn head_has_the_length_and_not_the_body() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        let mut response = text_response(StatusCode::OK, "hello");
        match routed.request.raw_path() {
            "/declared" => {
                *response.body_mut() = Body::Empty;
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(50));
            }
            "/both" => {
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(50));
            }
            "/stream" => (response, _) = streamed(),
            _ => {}
        }
        responder.complete(response);
    });
    let mut client = server.connect();
    for (path, length) in [
        ("/", Some("5")),
        ("/declared", Some("50")),
        ("/both", Some("50")),
        ("/stream", None),
    ] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let reply = client.reply_to(true);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.field("content-length"), length, "{path}");
    }
    client.send(get("/"));
    assert_eq!(client.reply().text(), "hello");
}

#[test]
fn a_length_stays_where_the_handler_put_it() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        let text = if routed.request.head.uri.path() == "/full" {
            "hello"
        } else {
            ""
        };
        let mut response = Response::new(Body::from(text));
        let fields = [("x-a", "1"), ("content-length", ""), ("x-b", "2")];
        for (name, value) in fields {
            let value = match value {
                "" => HeaderValue::from(text.len()),
                value => HeaderValue::from_static(value),
            };
            response.headers_mut().append(name, value);
        }
        responder.complete(response);
    });
    let mut client = server.connect();
    for (method, path, length) in [
        ("GET", "/full", "5"),
        ("GET", "/", "0"),
        ("HEAD", "/full", "5"),
        ("HEAD", "/", "0"),
        ("GET", "/", "0"),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let reply = client.reply_to(method == "HEAD");
        let names: Vec<_> = reply.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["x-a", "content-length", "x-b", "date"],
            "{method} {path}"
        );
        assert_eq!(reply.field("content-length"), Some(length));
    }
}

#[test]
fn answers_without_content_have_none() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        let status = match routed.request.raw_path() {
            "/204" => StatusCode::NO_CONTENT,
            _ => StatusCode::NOT_MODIFIED,
        };
        let mut response = text_response(status, "hello");
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(5));
        responder.complete(response);
    });
    let mut client = server.connect();
    for method in ["GET", "HEAD", "POST"] {
        for path in ["/204", "/304"] {
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let reply = client.reply();
            assert_eq!(reply.field("content-length"), None, "{method} {path}");
            assert_eq!(reply.field("transfer-encoding"), None);
        }
    }
    client.finish();
    client.assert_closed();
}

#[test]
fn a_wrong_content_length_is_corrected() {
    crate::support::collect_log();
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        let mut response = text_response(StatusCode::OK, "hello");
        let length = HeaderValue::from_str(&routed.request.raw_path()[1..]).unwrap();
        response.headers_mut().insert(CONTENT_LENGTH, length);
        responder.complete(response);
    });
    let mut client = server.connect();
    for length in ["3", "5", "500", "five"] {
        client.send(get(&format!("/{length}")));
        assert_eq!(client.reply().text(), "hello");
    }
    assert_eq!(crate::support::logged("content length"), 3);
}

#[test]
fn bodies_come_back_whatever_their_framing() {
    let server = serve(Config::default(), echo);
    let mut client = server.connect();
    let head = "POST / HTTP/1.1\r\nHost: a\r\n";
    client.send(format!("{head}Content-Length: 5\r\n\r\nhello"));
    assert_eq!(client.reply().text(), "hello");
    client.send(format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
    ));
    assert_eq!(client.reply().text(), "hello!");
    // Larger than what is read beforehand.
    let large = "x".repeat(300_000);
    client.send(format!(
        "{head}Content-Length: {}\r\n\r\n{large}",
        large.len()
    ));
    assert_eq!(client.reply().body.len(), large.len());
    client.send(format!("{head}\r\n"));
    assert_eq!(client.reply().text(), "");
}

#[test]
fn a_broken_chunk_is_the_handlers_to_answer() {
    let server = serve(Config::default(), echo);
    for body in [
        "5\r\nhelloXX",
        "g\r\n",
        "5\nhello",
        "0\r\nX: y\nZ: a\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{}",
            get("/never")
        ));
        assert_eq!(client.reply().status, 400, "{body:?}");
        client.assert_closed();
    }
}

#[test]
fn an_expecting_client_is_asked_when_the_handler_reads() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        if routed.request.raw_path() == "/read" {
            echo(routed, responder);
        } else {
            responder.complete(text_response(StatusCode::UNAUTHORIZED, "no"));
        }
    });
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = server.connect();
    client.send(head("/read"));
    assert_eq!(client.reply_head().status, 100);
    client.send("hello");
    assert_eq!(client.reply().text(), "hello");
    client.send(head("/refuse"));
    assert_eq!(client.reply().status, 401);
    client.assert_closed();
}

#[test]
fn a_client_may_end_its_side_after_its_request() {
    let server = serve(Config::default(), |_: Routed, responder: Responder| {
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            responder.complete(text_response(StatusCode::OK, "hello"));
        });
    });
    let mut client = server.connect();
    client.send(get("/"));
    client.finish();
    assert_eq!(client.reply().text(), "hello");
    client.assert_closed();
}

#[test]
fn targets_are_paths_or_urls() {
    let server = serve(Config::default(), echo_path);
    for (target, status) in [
        ("/a?b", 200),
        ("http://test/a", 200),
        ("http://user@test/a", 400),
        ("a", 400),
        ("test:80", 400),
        ("*", 400),
        ("/caf\u{e9}#f", 200),
    ] {
        let reply = server.ask(&format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(reply.status, status, "{target}");
    }
    let method = |line: &str| server.ask(&format!("{line} HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_eq!(method("OPTIONS *").text(), "*");
    assert_eq!(method("CONNECT test:80").status, 501);
    assert_eq!(method("CONNECT /").status, 501);
    assert_eq!(method("-GET /").status, 200, "a method is any token");
}

#[test]
fn too_much_of_anything_is_refused() {
    let config = Config::default()
        .with_max_body_size(Some(10))
        .with_max_target_size(1000)
        .with_max_head_size(8192)
        .with_max_headers(20);
    let server = serve(config, echo);
    let head = "POST / HTTP/1.1\r\nHost: a\r\n";
    let fields = "X: y\r\n".repeat(19);
    let long = "x".repeat(8192);
    let target = &long[..1001];
    for (request, status) in [
        (format!("{head}Content-Length: 10\r\n\r\n0123456789"), 200),
        (format!("{head}Content-Length: 11\r\n\r\n0123456789a"), 413),
        (
            format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n"
            ),
            413,
        ),
        (format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &target[2..]),
            200,
        ),
        (format!("{head}{fields}\r\n"), 200),
        (format!("{head}{fields}X: y\r\n\r\n"), 431),
        (format!("{head}X: {long}\r\n\r\n"), 431),
        (format!("{head}X: {long}"), 431),
        (format!("GET /{long}"), 431),
    ] {
        let mut client = server.connect();
        client.send(&request);
        let reply = client.reply();
        assert_eq!(reply.status, status, "{request:.60}");
        if status != 200 && reply.field("connection") == Some("close") {
            client.assert_closed();
        }
    }
}

#[test]
fn an_answer_reaches_a_client_that_still_sends() {
    let config = Config::default().with_max_body_size(Some(1000));
    let server = serve(config, hello);
    let mut client = server.connect();
    // More than the sockets' buffers hold, so that the server must take it in to be heard.
    let length = 16 * 1024 * 1024;
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    ));
    client.send(vec![b'x'; length]);
    assert_eq!(client.reply().status, 413);
    client.finish();
    client.assert_closed();
}

#[test]
fn a_handler_may_change_the_limit_of_a_body() {
    let config = Config::default().with_max_body_size(Some(100));
    let server = serve(config, |mut routed: Routed, responder: Responder| {
        let limit = routed.request.raw_path()[1..].parse().ok();
        match routed.request.body.set_limit(limit) {
            Ok(()) => echo(routed, responder),
            Err(_) => responder.complete(text_response(StatusCode::PAYLOAD_TOO_LARGE, "early")),
        }
    });
    let known = "Content-Length: 20\r\n\r\n01234567890123456789";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n0\r\n\r\n";
    for (path, body, answer) in [
        ("/20", known, "01234567890123456789"),
        ("/19", known, "early"),
        ("/none", known, "01234567890123456789"),
        ("/20", chunked, "01234567890123456789"),
        ("/19", chunked, "too large"),
    ] {
        let reply = server.ask(&format!("POST {path} HTTP/1.1\r\nHost: a\r\n{body}"));
        assert_eq!(reply.text(), answer, "{path} {body:?}");
    }
}

#[test]
fn unread_bodies_do_not_become_requests() {
    let server = serve(Config::default(), |routed: Routed, responder: Responder| {
        assert_ne!(routed.request.head.method, Method::GET, "smuggled");
        responder.complete(text_response(StatusCode::OK, "ignored"));
    });
    for length in [27_usize, 100_000] {
        let mut client: Client = server.connect();
        let smuggled = get("/smuggled").repeat(length.div_ceil(27));
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        ));
        assert_eq!(client.reply().text(), "ignored");
        client.finish();
        client.assert_closed();
    }
}

//! One record per request, when its answer has ended.

use std::sync::mpsc;

use bustapi_core::{
    AccessRecord, Address, Config, Dispatcher, Listener, Responder, Routed, Server,
};
use bustapi_http::text_response;
use bytes::Bytes;
use http::StatusCode;

use crate::support::{DEADLINE, get, serve_on, streamed};

#[test]
fn each_request_is_recorded_once_with_what_was_sent() {
    let (seen, records) = mpsc::channel::<AccessRecord>();
    let address = Address::Tcp("127.0.0.1".to_owned(), 0);
    let listener = Listener::bind(&address, 16).unwrap();
    let answer = |routed: Routed, responder: Responder| match routed.request.raw_path() {
        "/stream" => {
            let (response, pieces) = streamed();
            pieces.send(Ok(Bytes::from_static(b"one"))).unwrap();
            pieces.send(Ok(Bytes::from_static(b"two"))).unwrap();
            responder.complete(response);
        }
        "/panic" => panic!("on purpose"),
        _ => responder.complete(text_response(StatusCode::NOT_FOUND, "nothing")),
    };
    let server = Server::new(Config::default(), Dispatcher::to(answer))
        .with_access_log(move |record| seen.send(record.clone()).unwrap());
    let server = serve_on(listener, server);
    let next = || records.recv_timeout(DEADLINE).unwrap();

    let mut client = server.connect();
    client.send("GET /a?b=c HTTP/1.1\r\nHost: test\r\nUser-Agent: \"me\"\r\nReferer: /x\r\n\r\n");
    assert_eq!(client.reply().status, 404);
    let record = next();
    let line = record.to_string();
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(
        line.ends_with("\"GET /a?b=c HTTP/1.1\" 404 7 \"/x\" \"\\\"me\\\"\""),
        "{line}"
    );
    assert_eq!((record.status, record.sent), (StatusCode::NOT_FOUND, 7));

    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.reply_to(true);
    assert_eq!(next().sent, 0);

    client.send(get("/stream"));
    assert_eq!(client.reply().text(), "onetwo");
    assert_eq!(next().sent, 6);

    client.send(get("/panic"));
    assert_eq!(client.reply().status, 500);
    assert_eq!(next().status, StatusCode::INTERNAL_SERVER_ERROR);

    client.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status, 501);
    assert_eq!(next().status, StatusCode::NOT_IMPLEMENTED);
    assert!(records.try_recv().is_err());
}

//! Rules that lead to native handlers.

use crate::support::{Running, serve};
use bustapi_core::{Config, Responder, Routed, Routes};
use bustapi_http::{Body, Response};
use bustapi_router::{MapOptions, Rule};

/// Answers with the endpoint and the values of the variables.
fn tell(routed: Routed, responder: Responder) {
    let matched = routed.matched.unwrap();
    let args: Vec<_> = matched
        .args()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let text = format!("{} {}", matched.endpoint(), args.join(" "));
    responder.complete(Response::new(Body::from(text)));
}

fn server() -> Running {
    let mut routes = Routes::new(MapOptions::default());
    routes
        .add(Rule::new("/").endpoint("index").methods(["GET"]), tell)
        .unwrap()
        .add(
            Rule::new("/users/<int:id>")
                .endpoint("user")
                .methods(["GET", "PUT"]),
            tell,
        )
        .unwrap()
        .add(Rule::new("/folder/").endpoint("folder"), tell)
        .unwrap();
    assert_eq!(routes.map().rules().count(), 3);
    serve(Config::default(), routes)
}

#[test]
fn rules_lead_to_their_handlers() {
    let server = server();
    assert_eq!(server.get("/").text(), "index ");
    assert_eq!(server.get("/users/7").text(), "user id=Int(7)");
    assert_eq!(server.get("/users/%37").text(), "user id=Int(7)");
    assert_eq!(server.get("/folder/").text(), "folder ");
}

#[test]
fn what_matches_no_rule_is_answered() {
    let server = server();
    assert_eq!(server.get("/users/x").status, 404);
    let reply = server.ask("POST /users/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status, 405);
    assert_eq!(reply.field("allow"), Some("GET, HEAD, PUT"));
    let reply = server.ask("OPTIONS /users/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.field("allow"), Some("GET, HEAD, OPTIONS, PUT"));
    let reply = server.ask("GET /folder?a=1 HTTP/1.1\r\nHost: Example.org\r\n\r\n");
    assert_eq!(reply.status, 308);
    assert_eq!(
        reply.field("location"),
        Some("http://example.org/folder/?a=1")
    );
}

//! Rules and native handlers, without Python:
//! `cargo run --release -p bustapi-core --example routes [PORT]`, then
//! `curl http://127.0.0.1:8000/add/1/2`.

use bustapi_core::{
    Address, Config, Dispatcher, Listener, Responder, Routed, Routes, Server, shutdown,
};
use bustapi_http::{Body, Response, text_response};
use bustapi_router::{Rule, Value};
use http::StatusCode;

#[expect(clippy::needless_pass_by_value, reason = "handlers own their request")]
fn add(routed: Routed, responder: Responder) {
    let number = |name| routed.matched.as_ref()?.get(name).and_then(Value::as_i64);
    let sum = number("a")
        .zip(number("b"))
        .and_then(|(a, b)| a.checked_add(b));
    responder.complete(match sum {
        Some(sum) => Response::new(Body::from(format!("{sum}\n"))),
        None => text_response(StatusCode::BAD_REQUEST, "The sum is too large.\n"),
    });
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .map_or(Ok(8000), |text| text.parse())?;
    let mut routes = Routes::default();
    routes
        .add(
            Rule::new("/").methods(["GET"]),
            |_: Routed, responder: Responder| {
                responder.complete(text_response(StatusCode::OK, "Try /add/1/2.\n"));
            },
        )?
        .add(Rule::new("/add/<int:a>/<int:b>").methods(["GET"]), add)?;
    let config = Config::default();
    let address = Address::Tcp("127.0.0.1".to_owned(), port);
    let listener = Listener::bind(&address, config.backlog)?;
    Server::new(config, Dispatcher::to(routes)).run(listener, shutdown::stop_signal)?;
    Ok(())
}

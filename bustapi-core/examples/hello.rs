//! A server without Python: `cargo run --release -p bustapi-core --example hello [PORT]`.

use bustapi_core::{Address, Config, Dispatcher, Listener, Responder, Routed, Server, shutdown};
use bustapi_http::{Peer, text_response};
use http::StatusCode;

#[expect(
    clippy::print_stdout,
    reason = "who asked for any port wants to know which"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .map_or(Ok(8000), |text| text.parse())?;
    let config = Config::default();
    let address = Address::Tcp("127.0.0.1".to_owned(), port);
    let listener = Listener::bind(&address, config.backlog)?;
    if let Peer::Tcp(address) = listener.local()? {
        println!("http://{address}");
    }
    let hello = |_: Routed, responder: Responder| {
        responder.complete(text_response(StatusCode::OK, "Hello, World!"));
    };
    Server::new(config, Dispatcher::to(hello)).run(listener, shutdown::stop_signal)?;
    Ok(())
}

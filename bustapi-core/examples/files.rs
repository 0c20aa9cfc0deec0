//! A directory over HTTP: `cargo run --release -p bustapi-core --example files [DIRECTORY [PORT]]`.

use bustapi_core::{Address, Config, Dispatcher, Listener, Server, StaticFiles, shutdown};
use bustapi_http::Peer;

#[expect(
    clippy::print_stdout,
    reason = "who starts it wants to know where it is"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().unwrap_or_else(|| ".".to_owned());
    let port = args.next().map_or(Ok(8000), |text| text.parse())?;
    let config = Config::default();
    let address = Address::Tcp("127.0.0.1".to_owned(), port);
    let listener = Listener::bind(&address, config.backlog)?;
    if let Peer::Tcp(address) = listener.local()? {
        println!("http://{address}/ serves {directory}");
    }
    let files = StaticFiles::new(directory).with_precompressed(true).at("/");
    Server::new(config, Dispatcher::to(files)).run(listener, shutdown::stop_signal)?;
    Ok(())
}

//! A map behind hyper alone: `cargo run -p bustapi-router --example hyper_server`, then
//! `curl -i localhost:8000/users/7`. Give an address as argument to listen elsewhere.
#![expect(clippy::print_stdout, reason = "tells where it listens")]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use bustapi_router::{Bind, Build, Map, MatchError, MatchRequest, Rule, Value};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, HOST, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn rules() -> Result<Map, Box<dyn Error>> {
    let mut map = Map::default();
    map.add(Rule::new("/").endpoint("index"))?;
    map.add(
        Rule::new("/users/<int:id>")
            .endpoint("user")
            .methods(["GET"]),
    )?;
    map.add(Rule::new("/files/<path:name>/").endpoint("files"))?;
    Ok(map)
}

fn answer(
    map: &Map,
    request: &Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let matching = MatchRequest {
        server_name: host.unwrap_or_default(),
        query: request.uri().query(),
        ..MatchRequest::new(request.method().as_str(), request.uri().path())
    };
    let response = Response::builder();
    match map.match_raw_path(&matching) {
        Ok(found) => {
            let mut lines = vec![found.endpoint(map).to_owned()];
            let args = found.args(map);
            lines.extend(args.map(|(name, value)| format!("{name} = {value:?}")));
            response.body(Full::from(lines.join("\n") + "\n"))
        }
        Err(error) => {
            let status = StatusCode::from_u16(error.status())?;
            let response = response.status(status);
            let response = match &error {
                MatchError::RequestRedirect { url } => response.header(LOCATION, url),
                MatchError::MethodNotAllowed { allowed } => {
                    response.header(ALLOW, allowed.to_string())
                }
                _ => response,
            };
            response.body(Full::from(format!("{error}\n")))
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let map = Arc::new(rules()?);
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8000")).await?;
    let name = listener.local_addr()?.to_string();
    let values = [("id", Value::from(7))];
    let user = Build {
        force_external: true,
        ..Build::new("user", &values)
    };
    println!(
        "listening; try {}",
        map.bind(&Bind::new(&name))?.build(&user)?
    );
    loop {
        let (stream, _) = listener.accept().await?;
        let map = Arc::clone(&map);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&map, &request).unwrap_or_else(|_| {
                    let mut response = Response::new(Full::from("internal error\n"));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                });
                async { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            if let Err(error) = connection
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                println!("connection ended: {error}");
            }
        });
    }
}

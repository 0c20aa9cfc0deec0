//! A map inside axum, as its fallback service: `cargo run -p bustapi-router --example axum_server`,
//! then `curl -i localhost:8000/articles/2024-05/notes.txt`. Routes of axum's own stay possible.
#![expect(clippy::print_stdout, reason = "tells where it listens")]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{ALLOW, HOST, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bustapi_router::{Bind, Build, Map, Match, MatchError, MatchRequest, Rule, Value};

fn rules() -> Result<Map, Box<dyn Error>> {
    let mut map = Map::default();
    map.add(Rule::new("/articles/<int:year>-<int:month>/<name>.<kind>").endpoint("article"))?;
    map.add(
        Rule::new("/articles/")
            .endpoint("articles")
            .methods(["GET"])
            .default("page", 1),
    )?;
    map.add(
        Rule::new("/articles/page/<int:page>")
            .endpoint("articles")
            .methods(["GET"]),
    )?;
    Ok(map)
}

/// The URL of the page behind a page of articles.
fn next_page(map: &Map, found: &Match) -> Option<String> {
    let page = found.get(map, "page")?.as_i64()?;
    let values = [("page", Value::Int(page + 1))];
    let adapter = map.bind(&Bind::new("localhost")).ok()?;
    adapter.build(&Build::new("articles", &values)).ok()
}

async fn by_map(State(map): State<Arc<Map>>, request: Request) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let matching = MatchRequest {
        server_name: host.unwrap_or_default(),
        query: request.uri().query(),
        ..MatchRequest::new(request.method().as_str(), request.uri().path())
    };
    match map.match_raw_path(&matching) {
        Ok(found) => {
            let args: Vec<String> = found
                .args(&map)
                .map(|(name, value)| format!("{name} = {value:?}"))
                .collect();
            let next =
                next_page(&map, &found).map_or_else(String::new, |url| format!("; next {url}"));
            format!("{}: {}{next}\n", found.endpoint(&map), args.join(", ")).into_response()
        }
        Err(error) => {
            let status = StatusCode::from_u16(error.status());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let text = format!("{error}\n");
            match error {
                MatchError::RequestRedirect { url } => {
                    (status, [(LOCATION, url)], text).into_response()
                }
                MatchError::MethodNotAllowed { allowed } => {
                    (status, [(ALLOW, allowed.to_string())], text).into_response()
                }
                _ => (status, text).into_response(),
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .route("/", get(|| async { "a route of axum's own\n" }))
        .fallback(by_map)
        .with_state(Arc::new(rules()?));
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

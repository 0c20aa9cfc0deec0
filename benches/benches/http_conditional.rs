//! What do the headers of a request for a static file cost to evaluate?

use std::hint::black_box;

use bustapi_http::conditional::{ETag, Validators, evaluate};
use bustapi_http::date::{CachedDate, HttpDate};
use bustapi_http::headers::{header_map, parse_options};
use bustapi_http::media_type::{Accept, AcceptKind, MediaTypes};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method};

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    header_map(pairs.iter().copied()).expect("the pairs are good headers")
}

fn conditional(c: &mut Criterion) {
    let mut group = c.benchmark_group("http_conditional");
    let etag = ETag::of_file("/srv/static/app.css", 1_700_000_000, 500_000_000, 1234);
    let validators = Validators {
        etag: Some(&etag),
        last_modified: HttpDate::parse(MODIFIED),
    };
    let tag = etag.to_string();
    for (name, headers) in [
        (
            "unconditional",
            headers(&[("accept", "*/*"), ("user-agent", "x")]),
        ),
        (
            "if_none_match",
            headers(&[("if-none-match", &tag), ("if-modified-since", MODIFIED)]),
        ),
        ("range", headers(&[("range", "bytes=100-199")])),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| evaluate(&Method::GET, black_box(&headers), validators, Some(1234)));
        });
    }
    group.bench_function("parse_date", |b| {
        b.iter(|| HttpDate::parse(black_box(MODIFIED)));
    });
    let mut date = CachedDate::default();
    group.bench_function("cached_date", |b| {
        b.iter(|| date.at(black_box(HttpDate::from_unix(784_111_777))).clone());
    });
    let types = MediaTypes::new();
    group.bench_function("guess_type", |b| {
        b.iter(|| types.content_type(black_box("js/app.min.js")));
    });
    group.bench_function("content_type", |b| {
        b.iter(|| parse_options(black_box("text/html; charset=utf-8")));
    });
    group.bench_function("accept", |b| {
        b.iter(|| Accept::parse(black_box(ACCEPT), AcceptKind::MediaType));
    });
    group.finish();
}

criterion_group!(benches, conditional);
criterion_main!(benches);

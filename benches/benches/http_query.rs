//! What do a query string and a cookie header of a browser cost, and what does borrowing save?

use std::hint::black_box;

use bustapi_http::cookie::parse_cookies;
use bustapi_http::query::parse_query;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PLAIN: &str = "page=2&per_page=50&sort=name&order=asc&filter=active&tag=a&tag=b";
const ENCODED: &str = "q=caf%C3%A9+au+lait&next=%2Faccount%2Fsettings%3Ftab%3D1&name=J%C3%BCrgen";
const COOKIES: &str = "session=eyJ1c2VyX2lkIjoxfQ.ZcE9cA.Xb3s0m3s1gn4tur3; theme=dark; \
    _ga=GA1.2.1234567890.1700000000; csrftoken=\"a\\054b\"; lang=en-GB";

fn query(c: &mut Criterion) {
    let mut group = c.benchmark_group("http_query");
    for (name, text) in [("plain", PLAIN), ("encoded", ENCODED)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                parse_query(black_box(text))
                    .map(|(k, v)| k.len() + v.len())
                    .sum::<usize>()
            });
        });
        group.bench_function(format!("{name}_owned"), |b| {
            b.iter(|| {
                parse_query(black_box(text))
                    .map(|(k, v)| (k.into_owned(), v.into_owned()))
                    .collect::<Vec<_>>()
            });
        });
        // The floor: to look for the separators and nothing else.
        group.bench_function(format!("{name}_split_only"), |b| {
            b.iter(|| {
                black_box(text)
                    .split('&')
                    .filter_map(|piece| piece.split_once('='))
                    .map(|(k, v)| k.len() + v.len())
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

fn cookie(c: &mut Criterion) {
    let mut group = c.benchmark_group("http_cookie");
    group.throughput(Throughput::Bytes(COOKIES.len() as u64));
    group.bench_function("browser", |b| {
        b.iter(|| {
            parse_cookies(black_box(COOKIES))
                .map(|(k, v)| k.len() + v.len())
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, query, cookie);
criterion_main!(benches);

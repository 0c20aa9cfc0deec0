//! How long does it take to find the rule for a path, among 10 to 10,000 rules?
//!
//! Side by side with `matchit`, which knows neither types nor methods nor priorities: the price
//! of those is the difference. `conflicting` has no counterpart there: matchit refuses such
//! routes, so its single parameter stands in.

use std::hint::black_box;

use bustapi_benches::router_rules::{map, matchit_router, paths, rules};
use bustapi_router::MatchRequest;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

fn match_among(criterion: &mut Criterion) {
    for size in SIZES {
        let (ours, theirs) = rules(size);
        let map = map(&ours);
        let router = matchit_router(&theirs);
        for (name, path) in paths(size) {
            let mut group = criterion.benchmark_group(format!("router_match/{name}"));
            group.bench_function(BenchmarkId::new("bustapi", size), |bencher| {
                bencher.iter(|| map.match_path(&MatchRequest::new("GET", black_box(&path))));
            });
            group.bench_function(BenchmarkId::new("matchit", size), |bencher| {
                bencher.iter(|| router.at(black_box(&path)).map(|found| *found.value));
            });
            group.finish();
        }
    }
}

/// Several converters on one position, tried in order of weight until one fits.
fn conflicting(criterion: &mut Criterion) {
    let kinds = [
        "int",
        "float",
        "uuid",
        "any(new,edit,list)",
        "string",
        "path",
    ];
    let competing: Vec<String> = kinds
        .iter()
        .map(|kind| format!("/items/<{kind}:key>"))
        .chain([
            "/items/<name>.json".to_owned(),
            "/items/page-<int:n>".to_owned(),
        ])
        .collect();
    for size in SIZES {
        let (mut ours, mut theirs) = rules(size);
        ours.truncate(size - competing.len());
        ours.extend_from_slice(&competing);
        theirs.truncate(size - 1);
        theirs.push("/items/{key}".to_owned());
        let (map, router) = (map(&ours), matchit_router(&theirs));
        for path in [
            "/items/42",
            "/items/1.5",
            "/items/12345678-9abc-def0-1234-56789abcdef0",
            "/items/edit",
            "/items/report.json",
            "/items/page-3",
            "/items/something",
            "/items/a/b/c",
        ] {
            let mut group = criterion.benchmark_group(format!("router_match/conflicting{path}"));
            group.bench_function(BenchmarkId::new("bustapi", size), |bencher| {
                bencher.iter(|| map.match_path(&MatchRequest::new("GET", black_box(path))));
            });
            group.finish();
        }
        let mut group = criterion.benchmark_group("router_match/conflicting/items/something");
        group.bench_function(BenchmarkId::new("matchit", size), |bencher| {
            bencher.iter(|| {
                router
                    .at(black_box("/items/something"))
                    .map(|found| *found.value)
            });
        });
        group.finish();
    }
}

/// Paths as a hostile client sends them.
fn hostile(criterion: &mut Criterion) {
    let rules = [
        "/<path:a>/<path:b>/<path:c>/end",
        "/<a>.<b>.<c>",
        "/x/<path:p>/",
    ];
    let map = map(&rules.map(str::to_owned));
    let mut group = criterion.benchmark_group("router_match/hostile");
    group.sample_size(10);
    for (name, path) in [
        ("slashes", format!("/x{}", "/a".repeat(32_000))),
        ("dots", format!("/{}", "a.".repeat(32_000))),
        ("one_segment", format!("/{}", "a".repeat(64_000))),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| map.match_path(&MatchRequest::new("GET", black_box(&path))));
        });
    }
    group.finish();
}

criterion_group!(benches, match_among, conflicting, hostile);
criterion_main!(benches);

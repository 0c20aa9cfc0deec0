//! How long does it take to build a URL, and to add rules?

use std::hint::black_box;

use bustapi_router::{Bind, Build, Map, Rule, Value};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn map(size: usize) -> Map {
    let mut map = Map::default();
    for index in 0..size {
        let rule = format!("/api/v1/resource{index}/<int:id>/tags/<tag>");
        let endpoint = format!("resource{index}");
        map.add(Rule::new(rule).endpoint(endpoint))
            .expect("the rule is valid");
    }
    map
}

fn build_among(criterion: &mut Criterion) {
    for size in [10, 100, 1_000, 10_000] {
        let map = map(size);
        let adapter = map
            .bind(&Bind::new("example.org"))
            .expect("the name is valid");
        let endpoint = format!("resource{}", size / 2);
        let values = [("id", Value::Int(7)), ("tag", Value::from("rust lang"))];
        let with_query = [
            ("id", Value::Int(7)),
            ("tag", Value::from("rust")),
            ("page", Value::Int(2)),
            ("q", Value::from("a & b")),
        ];
        let mut group = criterion.benchmark_group("router_build");
        for (name, values) in [("path", &values[..]), ("query", &with_query[..])] {
            let build = Build::new(&endpoint, values);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| adapter.build(black_box(&build)));
            });
        }
        let external = Build {
            force_external: true,
            ..Build::new(&endpoint, &values)
        };
        group.bench_function(BenchmarkId::new("external", size), |bencher| {
            bencher.iter(|| adapter.build(black_box(&external)));
        });
        group.finish();
    }
}

fn add_rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router_add");
    group.sample_size(10);
    for size in [10, 1_000, 10_000] {
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| map(black_box(size)));
        });
    }
    group.finish();
}

criterion_group!(benches, build_among, add_rules);
criterion_main!(benches);

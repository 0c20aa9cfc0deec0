//! How fast can a match be? The best of many short batches, which other load on the machine
//! disturbs less than the means that `router_match` reports.
#![expect(
    clippy::print_stdout,
    reason = "this benchmark prints what it measures"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bustapi_benches::router_rules::{map, matchit_router, paths, rules};
use bustapi_router::{Bind, Build, MatchRequest, Value};

const BATCHES: u32 = 400;
const BATCH: u32 = 2_000;

/// Nanoseconds for one call, in the best batch.
fn best<T>(mut act: impl FnMut() -> T) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..BATCH {
            black_box(act());
        }
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e9 / f64::from(BATCH)
}

fn main() {
    for size in [10, 100, 1_000, 10_000] {
        let (ours, theirs) = rules(size);
        let map = map(&ours);
        let router = matchit_router(&theirs);
        for (name, path) in paths(size) {
            let own = best(|| map.match_path(&MatchRequest::new("GET", black_box(&path))));
            let other = best(|| router.at(black_box(&path)).map(|found| *found.value));
            println!("router_best/{name}/{size}: bustapi {own:.1} ns, matchit {other:.1} ns");
        }
        let adapter = map
            .bind(&Bind::new("example.org"))
            .expect("the name is valid");
        let endpoint = "/api/v1/resource1/<int:id>/tags/<tag>";
        let values = [("id", Value::Int(7)), ("tag", Value::from("rust lang"))];
        let build = Build::new(endpoint, &values);
        let own = best(|| adapter.build(black_box(&build)));
        println!("router_best/build/{size}: bustapi {own:.1} ns");
    }
}

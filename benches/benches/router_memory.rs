//! How much memory does a map take per rule, and matchit per route?
//!
//! Prints the bytes that are live after adding the rules; no timing.
#![expect(
    clippy::print_stdout,
    reason = "this benchmark prints what it measures"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bustapi_router::{Map, Rule};

/// Counts live bytes on their way to the system's allocator.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to `System` unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live_after<T>(make: impl FnOnce() -> T) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    let value = make();
    let after = LIVE.load(Ordering::Relaxed);
    drop(value);
    after - before
}

fn main() {
    // Tables that are made once, whatever the number of rules, are not the rules'.
    Map::default()
        .add(Rule::new("/<int(min=1):id>"))
        .expect("the rule is valid");
    for size in [10, 100, 1_000, 10_000] {
        for (kind, ours, theirs) in [
            ("static", "/page", "/page"),
            ("typed", "/<int:id>", "/{id}"),
            ("mixed", "/<name>.<kind>", "/{name}"),
        ] {
            let map = live_after(|| {
                let mut map = Map::default();
                for index in 0..size {
                    let rule = format!("/api/v1/resource{index}{ours}");
                    map.add(Rule::new(rule).endpoint("page"))
                        .expect("the rule is valid");
                }
                map
            });
            let router = live_after(|| {
                let mut router = matchit::Router::new();
                for index in 0..size {
                    let route = format!("/api/v1/resource{index}{theirs}");
                    router
                        .insert(route, index)
                        .expect("the routes do not conflict");
                }
                router
            });
            println!(
                "router_memory/{kind}/{size}: bustapi {} bytes a rule, matchit {}",
                map / size,
                router / size
            );
        }
    }
}

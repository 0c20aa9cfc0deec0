//! Matching a static rule, or a typed one, takes no memory.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use bustapi_router::{Map, MatchError, MatchRequest, Rule, Value};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: every call is handed on to `System` unchanged; the counter is a plain cell of the
// thread, without a destructor, so counting never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(act: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    act();
    ALLOCATIONS.with(Cell::get) - before
}

fn map() -> Map {
    let mut map = Map::default();
    for index in 0..1_000 {
        map.add(Rule::new(format!("/page{index}/about")).methods(["GET"]))
            .unwrap();
        map.add(Rule::new(format!("/page{index}/<int:id>")))
            .unwrap();
        map.add(Rule::new(format!("/page{index}/<int:a>/<float:b>")))
            .unwrap();
    }
    map.add(Rule::new("/defaults").default("name", "a text of some length"))
        .unwrap();
    map
}

#[test]
fn static_and_typed_matches_do_not_allocate() {
    let map = map();
    for path in [
        "/page500/about",
        "/page7/42",
        "/page7/42/1.5",
        "/defaults",
        "//page7/about",
    ] {
        let request = MatchRequest::new("GET", path);
        let count = allocations(|| {
            let found = black_box(map.match_raw_path(&request));
            assert!(found.is_ok());
        });
        assert_eq!(count, 0, "{path}");
    }
}

#[test]
fn misses_do_not_allocate() {
    let map = map();
    let request = MatchRequest::new("GET", "/page7/nothing/here");
    let count = allocations(|| {
        assert!(matches!(
            map.match_path(&request),
            Err(MatchError::NotFound)
        ));
    });
    assert_eq!(count, 0);
}

#[test]
fn a_text_takes_one_allocation() {
    let mut map = Map::default();
    map.add(Rule::new("/<name>")).unwrap();
    let request = MatchRequest::new("GET", "/somebody");
    let count = allocations(|| {
        let found = black_box(map.match_path(&request)).unwrap();
        assert_eq!(found.values[0].as_str(), Some("somebody"));
    });
    assert_eq!(count, 1);
    assert_ne!(allocations(|| drop(black_box(Value::from("counts")))), 0);
}

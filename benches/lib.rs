//! Criterion benchmarks of the BustAPI crates; one file per question, see `Cargo.toml`.

pub mod router_rules;

//! Criterion benchmarks of the BustAPI crates; one file per question, see `Cargo.toml`.

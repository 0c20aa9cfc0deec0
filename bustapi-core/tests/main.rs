//! What the server does, seen through real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail by panicking, and handlers take what they are given"
)]

mod access_log;
mod drain;
mod executor;
mod faults;
mod gathered;
mod leaving;
mod overdue;
mod refused;
mod requests;
mod routes;
mod sockets;
mod static_files;
mod support;
mod timeouts;
mod unread;

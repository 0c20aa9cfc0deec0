//! The server's own messages.

use std::sync::OnceLock;

/// Where the server's own messages go: set once by the embedding program.
static LOGGER: OnceLock<fn(&str)> = OnceLock::new();

/// Sends the server's own messages to `logger` instead of standard error. Only the first
/// call has an effect; it returns whether this was it.
pub fn set_logger(logger: fn(&str)) -> bool {
    LOGGER.set(logger).is_ok()
}

/// Reports a fault of the server's own.
pub fn log(message: &str) {
    match LOGGER.get() {
        Some(logger) => logger(message),
        None => write_stderr(message),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last resort, when no logger is set"
)]
fn write_stderr(message: &str) {
    eprintln!("bustapi: {message}");
}

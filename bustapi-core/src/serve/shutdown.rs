//! The usual way to stop a server: a signal.

use std::future::Future;

use crate::log::log;

/// Tells of the signals that ask a process to end.
pub trait StopSignals: Send + 'static {
    /// Waits for the next one; its number.
    fn next(&mut self) -> impl Future<Output = i32> + Send;
}

/// Completes with the first of `signals`. A second one does not wait for open requests: it ends
/// the process at once, with the status that a shell gives to the signal. To be awaited within a
/// tokio runtime.
pub async fn first_of(mut signals: impl StopSignals) {
    signals.next().await;
    tokio::spawn(async move {
        let number = signals.next().await;
        std::process::exit(128 + number);
    });
}

/// Completes when the process is asked to end, by SIGINT or SIGTERM (on Windows by Ctrl-C); a
/// second signal ends it at once, see [`first_of`].
///
/// ```no_run
/// # use bustapi_core::{Address, Config, Dispatcher, Listener, Server, shutdown, Routed, Responder};
/// # fn main() -> Result<(), bustapi_core::ServerError> {
/// # let hello = |_: Routed, responder: Responder| responder.complete(bustapi_http::Response::default());
/// let listener = Listener::bind(&Address::Tcp("127.0.0.1".into(), 8000), 1024)?;
/// Server::new(Config::default(), Dispatcher::to(hello)).run(listener, shutdown::stop_signal)
/// # }
/// ```
pub async fn stop_signal() {
    match Signals::new() {
        Ok(signals) => first_of(signals).await,
        Err(error) => {
            // The server is of use all the same: the signals then end it as they always do.
            log(&format!("cannot wait for signals: {error}"));
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

#[cfg(unix)]
impl StopSignals for Signals {
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }
}

#[cfg(not(unix))]
impl StopSignals for Signals {
    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}

//! The timers of a server, on a thread of their own.
//!
//! A runtime with timers reads the clock twice and walks through its timers each time that it looks
//! at its sockets. A server has few, and none that is set for a request: a tick (`deadlines.rs`),
//! a pause, the drain. So the runtime of the connections has none, and these wait here.

use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Timers, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Clock {
    handle: Handle,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl Clock {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Where the system gives no thread or no event queue.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("bustapi-clock".to_owned())
            .spawn(move || {
                // Nothing is sent: the sender's end is the end.
                drop(runtime.block_on(stopped));
            })?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    /// Waits for `duration`, on any runtime.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let sleeping = self.handle.spawn(async move {
            tokio::time::sleep(duration).await;
        });
        // It fails when the clock has ended, and with it whatever waits.
        drop(sleeping.await);
    }

    /// Waits for `future`; `None` if it has not completed within `duration`.
    pub(crate) async fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(duration) => None,
        }
    }
}

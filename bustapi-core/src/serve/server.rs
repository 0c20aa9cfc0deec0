//! A server: listeners, connections, and an orderly end.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bustapi_http::{ConnInfo, Scheme};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::connection::http1::{Shared, protocol, serve};
use crate::connection::socket::{Socket, peers};
use crate::connection::stream::Stream;
use crate::dispatch::routes::Dispatcher;
use crate::error::ServerError;
use crate::exchange::access_log::{AccessHook, AccessRecord, write_to_stderr};
use crate::exchange::deadlines::{Deadlines, TICK};
use crate::executor::io_role::runtime;
use crate::executor::{Executor, Work};
use crate::log::{flush_log, set_capacity};
use crate::serve::clock::Clock;
use crate::serve::entrance::Entrance;
use crate::serve::listener::Listener;
use crate::serve::running::{FLUSH_TIME, Interrupter, Running, course};

/// Serves requests that come on a listener.
pub struct Server {
    config: Config,
    dispatcher: Arc<Dispatcher>,
    access_hook: Option<AccessHook>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .field("dispatcher", &self.dispatcher)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server with these limits, whose requests go to `dispatcher`.
    #[must_use]
    pub fn new(config: Config, dispatcher: Dispatcher) -> Self {
        set_capacity(config.log_lines);
        Self {
            access_hook: config
                .access_log
                .then(|| Arc::new(write_to_stderr) as AccessHook),
            config,
            dispatcher: Arc::new(dispatcher),
        }
    }

    /// Gives each answered request to `hook` instead of writing it to standard error; also
    /// where the configuration turned the access log off.
    #[must_use]
    pub fn with_access_log(mut self, hook: impl Fn(&AccessRecord) + Send + Sync + 'static) -> Self {
        self.access_hook = Some(Arc::new(hook));
        self
    }

    /// Makes a runtime on this thread and serves until `shutdown` completes and the open
    /// requests are done, or the drain time is over. For handlers that never wait: one that does
    /// holds up all connections. See [`Server::start`].
    ///
    /// # Errors
    ///
    /// [`ServerError::Runtime`] where the system gives no event queue, and
    /// [`ServerError::Accept`] where the listener cannot be used.
    pub fn run<S>(self, listener: Listener, start: impl FnOnce() -> S) -> Result<(), ServerError>
    where
        S: Future<Output = ()>,
    {
        // `start` and what it gives may wait for time, so there are timers here.
        let runtime = runtime()
            .enable_time()
            .build()
            .map_err(ServerError::Runtime)?;
        let result = runtime.block_on(async {
            let shutdown = start();
            self.serve(listener, shutdown).await
        });
        // Threads that still wait for a disk must not hold up the end of the process.
        runtime.shutdown_background();
        flush_log(FLUSH_TIME);
        result
    }

    /// Serves as [`Server::run`] does, on the threads that run the quick calls of `executor`: none
    /// of these calls holds up the server. `start` is called on the runtime, which has no timers,
    /// with what interrupts a thread that waits for the server.
    ///
    /// # Errors
    ///
    /// [`ServerError::Runtime`] where the system gives no event queue or no threads.
    pub fn start<W, S>(
        self,
        listener: Listener,
        executor: &Executor<W>,
        start: impl FnOnce(Interrupter) -> S + Send + 'static,
    ) -> Result<Running, ServerError>
    where
        W: Work,
        S: Future<Output = ()> + Send,
    {
        let (running, interrupter, ending) = course();
        executor
            .start(async move {
                let shutdown = start(interrupter);
                let result = self.serve(listener, shutdown).await;
                ending.end(result);
            })
            .map_err(ServerError::Runtime)?;
        Ok(running)
    }

    /// Serves on the current runtime until `shutdown` completes and the open requests are
    /// done, or the drain time is over.
    ///
    /// # Errors
    ///
    /// [`ServerError::Accept`] where the listener cannot be used, and [`ServerError::Runtime`]
    /// where the system gives no thread for the timers.
    pub async fn serve(
        self,
        listener: Listener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let clock = Arc::new(Clock::start().map_err(ServerError::Runtime)?);
        let acceptor = listener.into_acceptor().map_err(ServerError::Accept)?;
        let drain_timeout = self.config.drain_timeout;
        let deadlines = Arc::new(Deadlines::new(&self.config));
        let mut entrance = Entrance::new(
            acceptor,
            &self.config,
            Arc::clone(&clock),
            Arc::clone(&deadlines),
        );
        // Ends with this future.
        let mut ticking = JoinSet::new();
        ticking.spawn(tick(Arc::clone(&clock), Arc::clone(&deadlines)));
        let reception = Reception {
            deadlines: Arc::clone(&deadlines),
            shared: Arc::new(Shared {
                protocol: protocol(&self.config),
                config: self.config,
                dispatcher: self.dispatcher,
                access_hook: self.access_hook,
            }),
        };
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                (socket, place) = entrance.next() => reception.receive(socket, place),
            }
        }
        // Clients in the listen queue have connected in time, and may have sent a request already.
        // The runtime learns of them at its next look at the sockets.
        tokio::task::yield_now().await;
        loop {
            tokio::select! {
                biased;
                (socket, place) = entrance.next() => reception.receive(socket, place),
                () = std::future::ready(()) => break,
            }
        }
        drop(entrance);
        // The new connections look at their sockets, and the runtime after them.
        tokio::task::yield_now().await;
        deadlines.drain();
        if clock
            .timeout(drain_timeout, deadlines.empty())
            .await
            .is_none()
        {
            crate::log::log(&format!(
                "{} connections were still busy at the end of the drain time",
                deadlines.count()
            ));
            // Each connection ends when its task is next polled, which happens before the runtime
            // ends.
            deadlines.abort();
            deadlines.empty().await;
        }
        Ok(())
    }
}

/// Puts accepted sockets to work.
struct Reception {
    deadlines: Arc<Deadlines>,
    shared: Arc<Shared>,
}

impl Reception {
    fn receive(&self, socket: Socket, place: OwnedSemaphorePermit) {
        let Ok((remote, local)) = peers(&socket) else {
            // The client has gone already.
            return;
        };
        let info = ConnInfo {
            remote,
            local,
            scheme: Scheme::Http,
        };
        let admission = self.deadlines.admit();
        let stream = Stream::new(socket, Arc::clone(&admission.state));
        let connection = serve(stream, info, admission, &self.shared);
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

async fn tick(clock: Arc<Clock>, deadlines: Arc<Deadlines>) {
    let mut last = Instant::now();
    let mut passed = Duration::ZERO;
    loop {
        clock.sleep(TICK).await;
        let now = Instant::now();
        // On a busy machine every tick is late by a little, which adds up. A long delay is the
        // server's own, during which it has not looked at what clients sent: it does not count.
        passed += (now - last).min(TICK * 2);
        last = now;
        let whole = if passed >= TICK * 2 { 2 } else { 1 };
        passed = passed.saturating_sub(TICK * whole);
        deadlines.tick(whole);
    }
}

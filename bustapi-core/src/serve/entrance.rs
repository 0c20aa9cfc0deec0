//! Lets connections in, as many as there is room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::connection::socket::Socket;
use crate::exchange::deadlines::{Deadlines, TICK};
use crate::log::log;
use crate::serve::clock::Clock;
use crate::serve::listener::Acceptor;

/// Pause while there are no file descriptors left, or no memory.
const PAUSE: Duration = Duration::from_millis(100);

/// The door of a server: makes room for newcomers where there is none.
pub(crate) struct Entrance {
    acceptor: Acceptor,
    clock: Arc<Clock>,
    deadlines: Arc<Deadlines>,
    places: Arc<Semaphore>,
    max_connections: usize,
    reserved_descriptors: usize,
    /// Accepted, while there is no place for it.
    waiting: Option<Socket>,
    /// The highest number of a descriptor that was accepted: the system gives the lowest that is
    /// free, so that no more can be in use while this is far from the limit.
    highest: usize,
    told_of_places: bool,
    told_of_descriptors: bool,
}

impl Entrance {
    pub(crate) fn new(
        acceptor: Acceptor,
        config: &Config,
        clock: Arc<Clock>,
        deadlines: Arc<Deadlines>,
    ) -> Self {
        Self {
            acceptor,
            clock,
            deadlines,
            places: Arc::new(Semaphore::new(config.max_connections)),
            max_connections: config.max_connections,
            reserved_descriptors: config.reserved_descriptors,
            waiting: None,
            highest: 0,
            told_of_places: false,
            told_of_descriptors: false,
        }
    }

    /// The next connection and its place; may be dropped before it has come.
    pub(crate) async fn next(&mut self) -> (Socket, OwnedSemaphorePermit) {
        loop {
            if self.waiting.is_none() {
                let socket = self.accept().await;
                self.waiting = Some(socket);
            }
            let place = self.find_place().await;
            if let Some(socket) = self.waiting.take() {
                return (socket, place);
            }
        }
    }

    async fn accept(&mut self) -> Socket {
        loop {
            if self.is_short_of_descriptors() {
                self.make_room("few file descriptors are left (see `ulimit -n`)");
                self.clock.sleep(PAUSE).await;
                continue;
            }
            match self.acceptor.accept().await {
                Ok(socket) => {
                    self.highest = self.highest.max(socket.number());
                    return socket;
                }
                Err(error) => {
                    self.make_room(&error.to_string());
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    fn make_room(&mut self, reason: &str) {
        if !self.told_of_descriptors {
            log(&format!(
                "cannot accept further connections: {reason}; idle ones are closed to make room"
            ));
            self.told_of_descriptors = true;
        }
        self.deadlines.end_idlest();
    }

    /// Whether a further connection would take what the requests of those that are there need.
    #[cfg(target_os = "linux")]
    fn is_short_of_descriptors(&mut self) -> bool {
        use nix::sys::resource::{Resource, getrlimit};

        let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
            return false;
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // Under a low limit, three quarters of the descriptors are left to connections.
        let reserve = self.reserved_descriptors.min(limit / 4);
        if self.highest.saturating_add(4 * reserve) < limit {
            return false;
        }
        // One more is for the connection itself. With no connection open, there is none to end: the
        // descriptors are in other use, and accepting may as well be tried.
        let is_short =
            !self.acceptor.can_have_descriptors(reserve + 1) && self.deadlines.count() > 0;
        if !is_short {
            self.told_of_descriptors = false;
        }
        is_short
    }

    #[cfg(not(target_os = "linux"))]
    fn is_short_of_descriptors(&mut self) -> bool {
        false
    }

    /// A place for a connection; the one that is idle longest is closed where there is none.
    async fn find_place(&mut self) -> OwnedSemaphorePermit {
        loop {
            let place = Arc::clone(&self.places);
            if let Ok(place) = Arc::clone(&place).try_acquire_owned() {
                return place;
            }
            if !self.told_of_places {
                log(&format!(
                    "all {} connections are in use (`max_connections`): from now on the one that is \
                     idle longest is closed for each further one",
                    self.max_connections
                ));
                self.told_of_places = true;
            }
            self.deadlines.end_idlest();
            // The semaphore is never closed, so an error cannot come; a time-out tries again.
            let waited = self.clock.timeout(TICK, place.acquire_owned()).await;
            if let Some(Ok(place)) = waited {
                return place;
            }
        }
    }
}

//! Bodies of requests while they arrive, between their readers and their connections.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::Body as HttpBody;
use hyper::body::Incoming;

use crate::config::Config;
use crate::error::ReadError;
use crate::exchange::deadlines::ConnState;
use crate::exchange::leftover::Leftover;
use crate::lock::lock;

/// A body on its way, shared by its reader and its connection.
#[derive(Debug)]
pub(crate) struct Arriving {
    state: Arc<ConnState>,
    receiving: Mutex<Receiving>,
}

#[derive(Debug)]
struct Receiving {
    /// `None` once it has been received or was taken back.
    incoming: Option<Incoming>,
    /// What was received before it was asked for.
    ahead: VecDeque<Bytes>,
    /// Whether its reader gets no more of it.
    taken: bool,
    /// Whether its reader has asked for any of it.
    asked: bool,
    /// Whether the client waits to be asked for the body (`Expect: 100-continue`).
    awaits_asking: bool,
    reader: Option<Waker>,
}

impl Arriving {
    pub(crate) fn new(incoming: Incoming, awaits_asking: bool, state: Arc<ConnState>) -> Self {
        state.body_begins();
        Self {
            state,
            receiving: Mutex::new(Receiving {
                incoming: Some(incoming),
                ahead: VecDeque::new(),
                taken: false,
                asked: false,
                awaits_asking,
                reader: None,
            }),
        }
    }

    pub(crate) fn poll_chunk(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        let mut receiving = lock(&self.receiving);
        if let Some(chunk) = receiving.ahead.pop_front() {
            return Poll::Ready(Ok(Some(chunk)));
        }
        if receiving.taken {
            return Poll::Ready(Err(ReadError::Answered));
        }
        if receiving.incoming.is_none() {
            return Poll::Ready(Ok(None));
        }
        receiving.asked = true;
        receiving.awaits_asking = false;
        let polled = receiving.poll_data(context);
        match &polled {
            Poll::Pending => {
                self.state.body_waits();
                receiving.reader = Some(context.waker().clone());
            }
            Poll::Ready(Ok(Some(data))) => self.state.body_came(data.len()),
            Poll::Ready(_) => self.state.body_ends(),
        }
        polled
    }

    /// Notes that nobody waits for more of it.
    pub(crate) fn leave(&self) {
        self.state.body_ends();
    }

    /// The length that the client announced, less what has been read.
    pub(crate) fn length(&self) -> Option<u64> {
        let receiving = lock(&self.receiving);
        let ahead: usize = receiving.ahead.iter().map(Bytes::len).sum();
        match &receiving.incoming {
            Some(incoming) => Some(incoming.size_hint().exact()? + ahead as u64),
            None => Some(ahead as u64),
        }
    }

    /// What is left of the body, if any.
    fn take_rest(&self) -> Option<Incoming> {
        let mut receiving = lock(&self.receiving);
        receiving.take_from_reader();
        let incoming = receiving.incoming.take()?;
        drop(receiving);
        self.state.body_ends();
        Some(incoming)
    }
}

impl Receiving {
    /// Has no more of the body read, if any is left.
    fn take_from_reader(&mut self) {
        self.taken |= self.incoming.is_some() || !self.ahead.is_empty();
        self.ahead.clear();
        self.wake_reader();
    }

    /// Has a reader that waits look again.
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The next data of the body, `None` at its end.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReadError>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(Ok(None));
        };
        loop {
            match ready!(Pin::new(&mut *incoming).poll_frame(context)).transpose()? {
                None => {
                    self.incoming = None;
                    return Poll::Ready(Ok(None));
                }
                // Trailers are dropped: WSGI has no place to show them.
                Some(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                    _ => {}
                },
            }
        }
    }
}

/// How often a body is asked for before it is taken as not there: hyper looks at the socket at each
/// round, and the runtime learns at one of two what has come to the socket.
const ROUNDS: u8 = 3;

/// The connection's side of a body, which it settles when the answer is ready.
#[derive(Debug)]
pub(crate) struct Unread {
    arriving: Arc<Arriving>,
    /// How many bytes are received for nobody.
    allowance: u64,
    rounds: u8,
    /// Whether the connection closes behind the answer.
    closes: bool,
}

impl Unread {
    pub(crate) fn new(arriving: Arc<Arriving>, config: &Config) -> Self {
        Self {
            arriving,
            allowance: config.unread_body_size,
            rounds: 0,
            closes: false,
        }
    }

    /// Receives what has come of the body, for its reader if that may `go_on`, as the body of the
    /// answer may be made from it. Ready with whether the connection can serve another request
    /// behind the answer.
    pub(crate) fn poll_settle(&mut self, context: &mut Context<'_>, go_on: bool) -> Poll<bool> {
        let arriving = Arc::clone(&self.arriving);
        let mut receiving = lock(&arriving.receiving);
        if receiving.incoming.is_none() {
            return Poll::Ready(true);
        }
        if !go_on {
            receiving.take_from_reader();
        }
        // A client that waits to be asked for its body may send it or leave it out (RFC 9110
        // section 10.1.1), so that nobody could tell where the next request begins.
        let settled = if receiving.awaits_asking {
            Poll::Ready(false)
        } else {
            self.poll_receive(&mut receiving, context, go_on)
        };
        // hyper keeps one waker for a body, and this poll has put the connection's there in place
        // of the reader's.
        receiving.wake_reader();
        drop(receiving);
        if let Poll::Ready(is_settled) = settled {
            self.closes = !is_settled;
            self.arriving.state.unread_came();
            if !go_on {
                self.arriving.leave();
                self.give_up();
            }
        }
        settled
    }

    fn poll_receive(
        &mut self,
        receiving: &mut Receiving,
        context: &mut Context<'_>,
        go_on: bool,
    ) -> Poll<bool> {
        loop {
            let length = (receiving.incoming.as_ref()).and_then(|body| body.size_hint().exact());
            if length.is_some_and(|length| length > self.allowance) {
                return Poll::Ready(false);
            }
            match receiving.poll_data(context) {
                Poll::Ready(Ok(Some(data))) => {
                    let length = data.len();
                    if go_on {
                        receiving.ahead.push_back(data);
                    }
                    match self.allowance.checked_sub(length as u64) {
                        Some(left) => self.allowance = left,
                        None => return Poll::Ready(false),
                    }
                    self.arriving.state.body_came(length);
                    self.arriving.state.unread_came();
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(true),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {
                    self.arriving.state.body_waits();
                    ready!(self.poll_pause(context, go_on && receiving.asked));
                    // What has been announced can come behind the answer.
                    return Poll::Ready(length.is_some() && !self.arriving.state.is_draining());
                }
            }
        }
    }

    /// Ready when no more of the body is waited for. Clients that are answered before they have
    /// sent all of it, as some do, close the connection (curl). One that waits for its answer first
    /// is not waited for long, and with a body that is being `read` not at all: then only what is
    /// there counts.
    fn poll_pause(&mut self, context: &mut Context<'_>, read: bool) -> Poll<()> {
        if self.rounds < ROUNDS {
            self.rounds += 1;
            // Comes back when the runtime has looked at its sockets.
            let mut pause = std::pin::pin!(tokio::task::yield_now());
            return pause.as_mut().poll(context);
        }
        if !read && self.arriving.state.has_patience_for_unread() {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Takes the body from its reader and leaves the rest to the connection.
    pub(crate) fn give_up(&self) {
        if let Some(incoming) = self.arriving.take_rest()
            && !self.closes
        {
            let leftover = Leftover::new(incoming, self.allowance);
            self.arriving.state.set_leftover(leftover);
        }
    }
}

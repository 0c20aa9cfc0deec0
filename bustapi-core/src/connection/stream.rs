//! The byte stream beneath a connection: TCP or unix socket. It notes progress for time-outs,
//! keeps from hyper what the [`Guard`] refuses, and closes without losing the last answer.
//!
//! # Clients that end their sending
//!
//! A client may end its side of the connection after its last request and wait for the answers
//! (RFC 9112 section 9.6 has servers do so; `nc -N` is such a client). On the wire that is the
//! same as a client that has gone: only what is written to it tells, as the system of a client
//! that has gone answers with a reset. So the end is kept from hyper, which would drop the
//! request, until the answer is written. Where somebody wants to know of a client's going, as
//! for a coroutine that would be cancelled, the client is asked by an interim answer, which
//! every client of HTTP/1.1 passes over (RFC 9110 section 15.2). It is `100`, as some libraries
//! know no other, and it is sent a tick after the end, so that quick answers come alone.
//!
//! # Requests that are refused
//!
//! Where the guard refuses a head, hyper is told that the client has ended its sending, once the
//! requests before it have been answered. Where hyper refuses one, its answer is swallowed: it is
//! known by being written while no request is open and none is left to be answered. Either way the
//! connection gives the answer, which says why, and notes the request in the access log.
//!
//! # Targets that are mended
//!
//! Some clients send characters raw that have to be percent-encoded. hyper refuses them, others do
//! not. So they are encoded before hyper sees them, and the target as it was is handed on beside
//! the request. For that the beginning of a request line is held back until its end has come.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use bustapi_http::RawTarget;
use bytes::{Bytes, BytesMut};
use http::StatusCode;

use crate::connection::framing::{Fault, Guard, Refusal};
use crate::connection::rejection::{Rejection, mend_target};
use crate::connection::socket::Socket;
use crate::exchange::access_log::RequestLine;
use crate::exchange::deadlines::ConnState;
#[cfg(target_os = "linux")]
use crate::exchange::file_body::is_stand_in;
#[cfg(target_os = "linux")]
use crate::log::log;

/// An interim answer that is sent to learn whether a client is still there: the system of one that
/// has gone refuses it, and to others it means nothing.
const ARE_YOU_THERE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What the guard has refused.
#[derive(Debug)]
enum Refused {
    /// A head; what came of the line with the fault. hyper reads an end.
    Head(Fault, Bytes),
    /// A body. hyper reads an error.
    Body,
    /// A head that hyper refuses with this status, which nobody has been told yet.
    ByParser(StatusCode),
}

/// A socket whose progress is noted.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: Socket,
    state: Arc<ConnState>,
    guard: Guard,
    refused: Option<Refused>,
    /// Whether the client has ended its sending.
    ended: bool,
    /// Whether it has done so in the midst of a head.
    ended_within_head: bool,
    /// Whether it has been asked since if it is still there.
    asked: bool,
    /// What is read before anything else of the socket.
    pending: Bytes,
    /// The beginning of a request line, held back as its target may have to be mended.
    held: BytesMut,
}

/// Longer beginnings of request lines are not held back: hyper refuses such a line.
const MAX_HELD: usize = 8 * 1024;

impl Stream {
    pub(crate) fn new(socket: Socket, state: Arc<ConnState>) -> Self {
        Self {
            socket,
            state,
            guard: Guard::default(),
            refused: None,
            ended: false,
            ended_within_head: false,
            asked: false,
            pending: Bytes::new(),
            held: BytesMut::new(),
        }
    }

    /// Keeps what is needed for the access log.
    pub(crate) fn with_request_lines(mut self) -> Self {
        self.guard.keep_request_lines();
        self
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.state.write_waits(),
            Poll::Ready(_) => self.state.wrote(),
        }
    }

    /// Writes what comes before the first stand-in for a piece of a file, or has the piece sent.
    #[cfg(target_os = "linux")]
    fn poll_write_chunks(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().take_while(|slice| !is_stand_in(slice));
        let count = bytes.count();
        if count > 0 || slices.is_empty() {
            return self.socket.poll_write_vectored(context, &slices[..count]);
        }
        let sent = ready!(
            self.socket
                .poll_send_file(context, &self.state.file_pieces())
        );
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::UnexpectedEof
        {
            // The head is made: closing the connection is all that can tell the client.
            log(&format!("an answer broke off: {error}"));
        }
        Poll::Ready(sent)
    }

    #[cfg(not(target_os = "linux"))]
    fn poll_write_chunks(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write_vectored(context, slices)
    }

    /// Takes in what has been read into `buffer` behind the first `before` bytes.
    fn take_in(&mut self, before: usize, buffer: &mut ReadBuf<'_>) {
        let checked = self.guard.check(&buffer.filled()[before..]);
        match checked {
            Ok(()) => self.hold_back(before, buffer),
            Err(refusal) => self.refuse(refusal, before, buffer),
        }
        let within_head = self.guard.is_within_head() || !self.held.is_empty();
        self.state.received(within_head);
    }

    /// Holds back a request line whose end has not come.
    fn hold_back(&mut self, before: usize, buffer: &mut ReadBuf<'_>) {
        // Where bytes are pending, the buffer's size has cut the line, and its end is at hand.
        if !self.pending.is_empty() {
            return;
        }
        let filled = buffer.filled().len();
        let most = (filled - before).min(MAX_HELD);
        let length = self.guard.take_back_request_line(most);
        if length > 0 {
            let start = filled - length;
            self.held.extend_from_slice(&buffer.filled()[start..]);
            buffer.set_filled(start);
        }
    }

    /// Takes back the bytes from the fault on. A target is mended and read again.
    fn refuse(&mut self, refusal: Refusal, before: usize, buffer: &mut ReadBuf<'_>) {
        let end = before + refusal.allowed;
        let rest = &buffer.filled()[end..];
        if refusal.fault == Fault::Target {
            let mut head = BytesMut::from(rest);
            head.extend_from_slice(&self.pending);
            if let Some(mended) = mend_target(&head.freeze()) {
                let number = self.guard.heads() + 1;
                self.state.note_raw_target(number, RawTarget(mended.target));
                self.pending = mended.head;
                buffer.set_filled(end);
                return;
            }
        }
        self.refused = Some(if refusal.in_head {
            let line = &rest[..rest.len().min(RequestLine::MAX_UNREAD)];
            Refused::Head(refusal.fault, Bytes::copy_from_slice(line))
        } else {
            Refused::Body
        });
        buffer.set_filled(end);
    }

    /// What hyper reads after what the guard has refused.
    fn poll_refused(&self) -> Poll<io::Result<()>> {
        match &self.refused {
            Some(Refused::Body) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the framing of the body is broken",
            ))),
            _ if self.state.owes_answer() => {
                self.state.wait_for_flush();
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Why the request is refused whose head hyper holds in `head`, if it is: `error` is how hyper
    /// ended.
    pub(crate) fn rejection(&self, error: Option<&hyper::Error>, head: &[u8]) -> Option<Rejection> {
        match (&self.refused, error) {
            (Some(Refused::Head(fault, line)), _) => {
                let seen = if head.is_empty() { line } else { head };
                Some(Rejection::of_fault(*fault, seen))
            }
            (Some(Refused::ByParser(status)), Some(error)) => {
                Some(Rejection::of_parser(*status, error, head))
            }
            (None, Some(error)) if error.is_parse() => {
                Some(Rejection::of_parser(StatusCode::BAD_REQUEST, error, head))
            }
            (None, _) if self.ended_within_head && !self.state.owes_answer() => {
                Some(Rejection::of_broken_head())
            }
            _ => None,
        }
    }

    /// The first line of a request that was refused, as far as it came; hyper holds `head`.
    pub(crate) fn refused_line(&self, head: &[u8]) -> RequestLine {
        let line = match &self.refused {
            _ if !head.is_empty() => head,
            Some(Refused::Head(_, line)) => line,
            _ if !self.held.is_empty() => &self.held,
            _ => self.guard.request_line(),
        };
        RequestLine::of_unread(line)
    }

    /// Swallows hyper's own answer to a head that it refuses, and keeps its status.
    fn swallow(&mut self, slices: &[io::IoSlice<'_>]) -> usize {
        if self.refused.is_none() {
            let status = slices.iter().find(|slice| !slice.is_empty());
            let status = status.and_then(|slice| StatusCode::from_bytes(slice.get(9..12)?).ok());
            self.refused = Some(Refused::ByParser(status.unwrap_or(StatusCode::BAD_REQUEST)));
        }
        slices.iter().map(|slice| slice.len()).sum()
    }

    /// Whether the client may still be sending, so that it would lose what it has not read of the
    /// last answer if the connection was closed: closing with bytes unread resets it.
    pub(crate) fn may_receive(&self) -> bool {
        self.refused.is_some() || !self.guard.is_between_requests()
    }

    /// Ends the writing side, then reads and drops what comes until the client ends, too.
    /// `Deadlines` end the connection if this takes long.
    pub(crate) fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(Err(_)) = self.socket.poll_shutdown(context) {
            return Poll::Ready(());
        }
        let mut scratch = [MaybeUninit::uninit(); 8192];
        loop {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match ready!(self.socket.poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// The end of the client's sending, which is held back while a request is served that has
    /// arrived whole. A tick of the `Deadlines` and the end of the answer wake the connection.
    ///
    /// # Errors
    ///
    /// The system's, once it knows that the client has gone.
    fn poll_end(&mut self) -> Poll<io::Result<()>> {
        let within_head = self.guard.is_within_head() || !self.held.is_empty();
        if !((within_head || self.guard.is_between_requests()) && self.state.owes_answer()) {
            self.ended_within_head = within_head;
            return Poll::Ready(Ok(()));
        }
        if !self.ended {
            self.ended = true;
            self.state.client_ends();
        }
        self.state.wait_for_flush();
        if !self.asked && self.state.is_time_to_ask() {
            self.asked = true;
            if self.socket.try_write(ARE_YOU_THERE)? != ARE_YOU_THERE.len() {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        match self.socket.take_error()? {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let before = buffer.filled().len();
            if !self.pending.is_empty() {
                let length = self.pending.len().min(buffer.remaining());
                buffer.put_slice(&self.pending.split_to(length));
            } else if self.refused.is_some() {
                return self.poll_refused();
            } else if self.ended {
                return self.poll_end();
            } else {
                ready!(self.socket.poll_read(context, buffer))?;
                if buffer.filled().len() == before {
                    return self.poll_end();
                }
                if !self.held.is_empty() {
                    let mut line = std::mem::take(&mut self.held);
                    line.extend_from_slice(&buffer.filled()[before..]);
                    buffer.set_filled(before);
                    self.pending = line.freeze();
                    continue;
                }
            }
            self.take_in(before, buffer);
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            // To return without a byte would tell hyper that the client has ended.
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.state.owes_answer() {
            return Poll::Ready(Ok(self.swallow(slices)));
        }
        let polled = self.poll_write_chunks(context, slices);
        self.note(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets keep nothing back. hyper comes here when it has written all that it has.
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    /// Ends the writing side, unless a refused request has yet to be answered.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.refused {
            Some(Refused::Head(..) | Refused::ByParser(_)) => Poll::Ready(Ok(())),
            _ => self.socket.poll_shutdown(context),
        }
    }
}

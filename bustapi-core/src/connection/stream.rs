//! The byte stream beneath a connection: TCP or unix socket. It notes progress for the watch,
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

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::framing::{Guard, Refusal};
use crate::connection::socket::Socket;
use crate::exchange::deadlines::{ConnState, Phase};
#[cfg(target_os = "linux")]
use crate::exchange::file_body::is_stand_in;
#[cfg(target_os = "linux")]
use crate::log::log;

/// Given to hyper in place of the rest of a refused head: no head may hold a NUL, so hyper
/// answers 400 once the requests before it are answered, and closes.
const REFUSED_HEAD: &[u8] = b"\0\r\n\r\n";

/// What makes the system of a client that has gone answer, and means nothing to one that has not.
const ARE_YOU_THERE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What hyper reads after a refusal.
#[derive(Debug)]
enum Refused {
    /// What is left of [`REFUSED_HEAD`].
    Head(&'static [u8]),
    /// An error.
    Body,
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
    /// Whether it has been asked since if it is still there.
    asked: bool,
    /// Whether no more will be written and only the client's last bytes are awaited.
    lingers: bool,
}

impl Stream {
    pub(crate) fn new(socket: Socket, state: Arc<ConnState>) -> Self {
        Self {
            socket,
            state,
            guard: Guard::default(),
            refused: None,
            ended: false,
            asked: false,
            lingers: false,
        }
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

    /// Takes back the bytes from the fault on, and puts in their place what makes hyper refuse.
    fn refuse(
        &mut self,
        refusal: Refusal,
        before: usize,
        buffer: &mut ReadBuf<'_>,
    ) -> io::Result<()> {
        buffer.set_filled(before + refusal.allowed);
        if refusal.in_head {
            self.refused = Some(Refused::Head(REFUSED_HEAD));
            // There is room, as at least one byte was taken back.
            return self.read_refused(buffer);
        }
        self.refused = Some(Refused::Body);
        if refusal.allowed > 0 {
            return Ok(());
        }
        self.read_refused(buffer)
    }

    /// The end of the client's sending, which is held back while a request is served that has
    /// arrived whole. The watch and the end of the answer wake the connection.
    ///
    /// # Errors
    ///
    /// The system's, once it knows that the client has gone.
    fn poll_end(&mut self) -> Poll<io::Result<()>> {
        if !(self.guard.is_between_requests() && self.state.is_serving()) {
            return Poll::Ready(Ok(()));
        }
        if !self.ended {
            self.ended = true;
            self.state.client_ends();
        }
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

    fn read_refused(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        match &mut self.refused {
            Some(Refused::Head(rest)) => {
                let (now, later) = rest.split_at(rest.len().min(buffer.remaining()));
                buffer.put_slice(now);
                *rest = later;
                Ok(())
            }
            Some(Refused::Body) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the framing of the body is broken",
            )),
            None => Ok(()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refused.is_some() {
            return Poll::Ready(self.read_refused(buffer));
        }
        if self.ended {
            return self.poll_end();
        }
        let before = buffer.filled().len();
        ready!(self.socket.poll_read(context, buffer))?;
        let bytes = &buffer.filled()[before..];
        if bytes.is_empty() {
            return self.poll_end();
        }
        let checked = self.guard.check(bytes);
        self.state.received(self.guard.is_within_head());
        Poll::Ready(match checked {
            Ok(()) => Ok(()),
            Err(refusal) => self.refuse(refusal, before, buffer),
        })
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
        let polled = self.poll_write_chunks(context, slices);
        self.note(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets keep nothing back.
        Poll::Ready(Ok(()))
    }

    /// Ends the writing side. Where the client may still be sending, its bytes are then read
    /// and dropped until it ends too or the watch loses patience: closing with bytes unread
    /// resets the connection, and the client would lose the answer that it has not read yet.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.lingers {
            ready!(self.socket.poll_shutdown(context))?;
            if self.refused.is_none() && self.guard.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
            self.lingers = true;
            self.state.enter(Phase::Closing);
        }
        let mut scratch = [MaybeUninit::uninit(); 8192];
        loop {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            ready!(self.socket.poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

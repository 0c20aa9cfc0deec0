//! An accepted socket: TCP or unix.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bustapi_http::Peer;
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

#[cfg(target_os = "linux")]
use crate::exchange::file_body::FilePieces;

/// Head and body of an answer up to this many bytes are joined: to send one buffer takes the
/// system about 0.3 microseconds less than a list of two. What longer ones would gain was not
/// measured.
const JOINED: usize = 2048;

/// An accepted socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Writes what fits without waiting; for a last word before closing.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// The number of its file descriptor; 0 where there are none.
    pub(crate) fn number(&self) -> usize {
        #[cfg(unix)]
        {
            use std::os::fd::AsRawFd;

            let number = match self {
                Self::Tcp(stream) => stream.as_raw_fd(),
                Self::Unix(stream) => stream.as_raw_fd(),
            };
            usize::try_from(number).unwrap_or(0)
        }
        #[cfg(not(unix))]
        0
    }

    /// What the system has learnt of the connection's end.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error(),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [slice] = slices {
            return self.poll_write(context, slice);
        }
        if slices.iter().map(|slice| slice.len()).sum::<usize>() <= JOINED {
            let mut joined = [0; JOINED];
            let mut length = 0;
            for slice in slices {
                joined[length..length + slice.len()].copy_from_slice(slice);
                length += slice.len();
            }
            return self.poll_write(context, &joined[..length]);
        }
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    /// Sends what the socket takes of the first piece of a file.
    #[cfg(target_os = "linux")]
    pub(super) fn poll_send_file(
        &self,
        context: &mut Context<'_>,
        pieces: &FilePieces,
    ) -> Poll<io::Result<usize>> {
        loop {
            let sent = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || pieces.send(stream))
                }
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || pieces.send(stream))
                }
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Both ends of a socket: remote, then local.
pub(crate) fn peers(socket: &Socket) -> io::Result<(Peer, Peer)> {
    match socket {
        Socket::Tcp(stream) => Ok((
            Peer::Tcp(stream.peer_addr()?),
            Peer::Tcp(stream.local_addr()?),
        )),
        #[cfg(unix)]
        Socket::Unix(stream) => {
            let path = |address: tokio::net::unix::SocketAddr| {
                Peer::Unix(address.as_pathname().map(|p| p.display().to_string()))
            };
            Ok((path(stream.peer_addr()?), path(stream.local_addr()?)))
        }
    }
}

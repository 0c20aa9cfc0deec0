//! Listening sockets.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bustapi_http::Peer;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::connection::socket::Socket;
use crate::error::ServerError;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address, and a port; port 0 lets the system choose.
    Tcp(String, u16),
    /// The path of a unix socket; an abandoned one of that name is replaced.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket, not yet part of a runtime, so that it can be made before processes fork.
#[derive(Debug)]
pub struct Listener {
    raw: RawSocket,
    /// The file to remove at the end; only the first handle removes it.
    unix_path: Option<PathBuf>,
}

impl Listener {
    /// Binds and listens. With `shared`, further processes may bind the same TCP address
    /// and the system spreads connections over them (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] where the address is in use, not permitted or not known.
    pub fn bind(address: &Address, backlog: i32, shared: bool) -> Result<Self, ServerError> {
        let bound = match address {
            Address::Tcp(host, port) => bind_tcp(host, *port, backlog, shared),
            Address::Unix(path) => bind_unix(path, backlog),
        };
        bound.map_err(|source| ServerError::Bind {
            address: address.to_string(),
            source,
        })
    }

    /// The address bound to, with the port the system chose.
    ///
    /// # Errors
    ///
    /// The system's, if the socket has none.
    pub fn local(&self) -> io::Result<Peer> {
        let address = self.raw.local_addr()?;
        Ok(match address.as_socket() {
            Some(address) => Peer::Tcp(address),
            #[cfg(unix)]
            None => Peer::Unix(address.as_pathname().map(|path| path.display().to_string())),
            #[cfg(not(unix))]
            None => Peer::Unix(None),
        })
    }

    /// A second handle on the same socket, for another process or thread.
    ///
    /// # Errors
    ///
    /// The system's, if it has no file descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            raw: self.raw.try_clone()?,
            unix_path: None,
        })
    }

    pub(crate) fn into_acceptor(self) -> io::Result<Acceptor> {
        self.raw.set_nonblocking(true)?;
        #[cfg(unix)]
        if self.raw.local_addr()?.is_unix() {
            let listener: std::os::unix::net::UnixListener = self.raw.into();
            return Ok(Acceptor::Unix {
                listener: UnixListener::from_std(listener)?,
                _file: SocketFile(self.unix_path),
            });
        }
        let listener: std::net::TcpListener = self.raw.into();
        Ok(Acceptor::Tcp(TcpListener::from_std(listener)?))
    }
}

fn bind_tcp(host: &str, port: u16, backlog: i32, shared: bool) -> io::Result<Listener> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match bind_address(address, backlog, shared) {
            Ok(raw) => {
                return Ok(Listener {
                    raw,
                    unix_path: None,
                });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn bind_address(address: SocketAddr, backlog: i32, shared: bool) -> io::Result<RawSocket> {
    let raw = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restarted server must not wait for the old one's closed connections.
    #[cfg(unix)]
    raw.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    if shared {
        raw.set_reuse_port(true)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = shared;
    raw.bind(&address.into())?;
    raw.listen(backlog)?;
    Ok(raw)
}

#[cfg(unix)]
fn bind_unix(path: &Path, backlog: i32) -> io::Result<Listener> {
    let raw = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = socket2::SockAddr::unix(path)?;
    if let Err(error) = raw.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_abandoned(path) {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        raw.bind(&address)?;
    }
    raw.listen(backlog)?;
    Ok(Listener {
        raw,
        unix_path: Some(path.to_owned()),
    })
}

/// Whether `path` is a socket that nobody listens on: the file of a server that was killed.
#[cfg(unix)]
fn is_abandoned(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(not(unix))]
fn bind_unix(_: &Path, _: i32) -> io::Result<Listener> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "unix sockets need a unix system",
    ))
}

/// Removes a unix socket's file when the server ends.
#[derive(Debug)]
pub(crate) struct SocketFile(Option<PathBuf>);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Somebody else may have removed it already.
            drop(std::fs::remove_file(path));
        }
    }
}

/// A listener as part of the runtime.
#[derive(Debug)]
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

/// Pause after an error that will last a while, such as no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Acceptor {
    /// The next connection. Errors of single connections are passed over; lack of file
    /// descriptors or memory is waited out.
    pub(crate) async fn accept(&self) -> Socket {
        let mut told = false;
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| Socket::Tcp(stream)),
                #[cfg(unix)]
                Self::Unix { listener, .. } => listener
                    .accept()
                    .await
                    .map(|(stream, _)| Socket::Unix(stream)),
            };
            match accepted {
                Ok(socket) => {
                    if let Socket::Tcp(stream) = &socket {
                        // Fails only on a connection that is gone already.
                        drop(stream.set_nodelay(true));
                    }
                    return socket;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !told {
                        crate::log::log(&format!("cannot accept a connection: {error}"));
                        told = true;
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

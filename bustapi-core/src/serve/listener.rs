//! Listening sockets.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use bustapi_http::Peer;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::connection::socket::Socket;
use crate::error::ServerError;
use crate::log::hold_standard_streams;

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

/// Who may connect to a unix socket, unless the server says otherwise: everybody who reaches its
/// folder, such as a proxy that runs as another user.
pub const UNIX_MODE: u32 = 0o777;

/// A bound socket, not yet part of a runtime, so that it can be made before processes fork.
#[derive(Debug)]
pub struct Listener {
    raw: RawSocket,
    /// Removed with the first handle, if this is it.
    file: SocketFile,
}

impl Listener {
    /// Binds and listens; on a unix socket with [`UNIX_MODE`]. Whoever listens on the address
    /// already has it for himself, and so has this listener from now on.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] where the address is in use, not permitted or not known.
    pub fn bind(address: &Address, backlog: i32) -> Result<Self, ServerError> {
        match address {
            Address::Tcp(host, port) => {
                bind_tcp(host, *port, backlog).map_err(|source| ServerError::Bind {
                    address: address.to_string(),
                    source,
                })
            }
            Address::Unix(path) => Self::bind_unix(path, backlog, UNIX_MODE),
        }
    }

    /// As [`bind`](Self::bind), on a unix socket whose file has these permissions (`0o660`), whatever
    /// the process's umask is.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] where the path is in use or not permitted.
    pub fn bind_unix(path: &Path, backlog: i32, mode: u32) -> Result<Self, ServerError> {
        bind_unix(path, backlog, mode).map_err(|source| ServerError::Bind {
            address: Address::Unix(path.to_owned()).to_string(),
            source,
        })
    }

    /// A listener on the same address for another process or thread. On TCP it is a socket of its
    /// own where the system spreads connections over several (`SO_REUSEPORT`): those who wait on one
    /// socket race for each connection, and the same ones win. Elsewhere it is a second handle.
    ///
    /// # Errors
    ///
    /// The system's, if it has no file descriptors left.
    pub fn another(&self, backlog: i32) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(address) = self.raw.local_addr()?.as_socket() {
            // The first one was bound and listened without it, and so found out that nobody else
            // has the address: a second server must not take part in silence.
            self.raw.set_reuse_port(true)?;
            return Ok(Self {
                raw: listen(address, backlog, true)?,
                file: SocketFile(None),
            });
        }
        let _ = backlog;
        self.try_clone()
    }

    /// A handle on a socket that listens already, made by another program or process.
    #[cfg(unix)]
    #[must_use]
    pub fn adopt(socket: std::os::fd::OwnedFd) -> Self {
        Self {
            raw: RawSocket::from(socket),
            file: SocketFile(None),
        }
    }

    /// Leaves the file of a unix socket to another process, which removes it at the end.
    pub fn leave_file(&mut self) {
        self.file.0 = None;
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
            file: SocketFile(None),
        })
    }

    pub(crate) fn into_acceptor(self) -> io::Result<Acceptor> {
        self.raw.set_nonblocking(true)?;
        #[cfg(unix)]
        if self.raw.local_addr()?.is_unix() {
            let listener: std::os::unix::net::UnixListener = self.raw.into();
            return Ok(Acceptor::Unix {
                listener: UnixListener::from_std(listener)?,
                _file: self.file,
            });
        }
        let listener: std::net::TcpListener = self.raw.into();
        Ok(Acceptor::Tcp(TcpListener::from_std(listener)?))
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

fn bind_tcp(host: &str, port: u16, backlog: i32) -> io::Result<Listener> {
    hold_standard_streams();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match listen(address, backlog, false) {
            Ok(raw) => {
                return Ok(Listener {
                    raw,
                    file: SocketFile(None),
                });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen(address: SocketAddr, backlog: i32, shared: bool) -> io::Result<RawSocket> {
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
fn bind_unix(path: &Path, backlog: i32, mode: u32) -> io::Result<Listener> {
    use std::os::unix::fs::PermissionsExt;

    hold_standard_streams();
    let raw = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = socket2::SockAddr::unix(path)?;
    if let Err(error) = raw.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_abandoned(path) {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        raw.bind(&address)?;
    }
    let file = SocketFile(Some(path.to_owned()));
    // Nobody can connect before it listens, so that nobody does with what the umask has left.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    raw.listen(backlog)?;
    Ok(Listener { raw, file })
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
fn bind_unix(_: &Path, _: i32, _: u32) -> io::Result<Listener> {
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

impl Acceptor {
    /// The next connection; may be dropped before it has come. Errors of single connections are
    /// passed over.
    ///
    /// # Errors
    ///
    /// The system's, for lack of file descriptors or memory.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
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
                    return Ok(socket);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether so many more file descriptors can be had.
    #[cfg(unix)]
    pub(crate) fn can_have_descriptors(&self, count: usize) -> bool {
        use std::os::fd::AsFd;

        let own = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix { listener, .. } => listener.as_fd(),
        };
        let mut had = Vec::with_capacity(count);
        for _ in 0..count {
            match own.try_clone_to_owned() {
                Ok(descriptor) => had.push(descriptor),
                Err(_) => return false,
            }
        }
        true
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

//! A server on a thread of its own, and a client that speaks bytes. Every wait has a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bustapi_core::{Address, Config, Dispatcher, Handler, Listener, Responder, Routed, Server};
use bustapi_http::{Body, BodyError, Peer, Response, text_response};
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::oneshot;

/// Long enough for a loaded machine, short enough not to stop the suite.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server, stopped and joined when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
}

/// Serves `handler` on a free port of the loopback device.
pub(crate) fn serve(config: Config, handler: impl Handler) -> Running {
    let address = Address::Tcp("127.0.0.1".to_owned(), 0);
    let listener = Listener::bind(&address, 128).unwrap();
    serve_on(listener, Server::new(config, Dispatcher::to(handler)))
}

pub(crate) fn serve_on(listener: Listener, server: Server) -> Running {
    let address = match listener.local().unwrap() {
        Peer::Tcp(address) => address,
        Peer::Unix(_) => "0.0.0.0:0".parse().unwrap(),
    };
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        server
            .run(listener, || async {
                drop(stopped.await);
            })
            .unwrap();
        drop(end);
    });
    Running {
        address,
        stop: Some(stop),
        thread: Some(thread),
        ended,
    }
}

impl Running {
    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, request: &str) -> Reply {
        let mut client = self.connect();
        client.send(request);
        client.reply()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask(&get(path))
    }

    /// Asks the server to stop; it drains in the background.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself.
            let _ = stop.send(());
        }
    }

    /// Waits until the server has ended.
    pub(crate) fn join(&mut self) {
        self.stop();
        let ended = self.ended.recv_timeout(DEADLINE);
        assert_eq!(
            ended,
            Err(mpsc::RecvTimeoutError::Disconnected),
            "the server goes on"
        );
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.try_recv() == Err(mpsc::TryRecvError::Disconnected)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if !std::thread::panicking() {
            self.join();
        }
    }
}

/// A request for `path` on a connection that stays open.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// As `send`, where the server may have closed already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer to anything but HEAD.
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to(false)
    }

    pub(crate) fn reply_to(&mut self, head: bool) -> Reply {
        let mut reply = self.reply_head();
        if head || matches!(reply.status, 100..=199 | 204 | 304) {
            return reply;
        }
        if let Some(length) = reply.field("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            self.reader.read_exact(&mut reply.body).unwrap();
        } else if reply.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                reply.body.extend(chunk);
            }
        } else {
            self.reader.read_to_end(&mut reply.body).unwrap();
        }
        reply
    }

    pub(crate) fn reply_head(&mut self) -> Reply {
        let line = self.line();
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap().to_owned();
        let status = words.next().unwrap().parse().unwrap();
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Reply {
            status,
            version,
            fields,
            body: Vec::new(),
        }
    }

    /// The next chunk of a chunked body, `None` at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut chunk = vec![0; size];
        self.reader.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line(), "");
        (size > 0).then_some(chunk)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "broken off in {line:?}");
        line.truncate(line.len() - 2);
        line
    }

    /// What comes until the server closes; a reset counts as closing.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut piece = [0; 16384];
        loop {
            match self.reader.read(&mut piece) {
                Ok(0) => return rest,
                Ok(length) => rest.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("the connection stays open: {error}"),
            }
        }
    }

    /// Asserts that the server closes without another byte.
    pub(crate) fn assert_closed(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.rest()), "");
    }
}

/// A handler that answers every request with the same text.
pub(crate) fn hello(_: Routed, responder: Responder) {
    responder.complete(text_response(StatusCode::OK, "hello"));
}

/// Answers with the request's body, read as it comes; 413 and 400 where that fails.
pub(crate) fn echo(mut routed: Routed, responder: Responder) {
    tokio::spawn(async move {
        let body = std::mem::replace(&mut routed.request.body, bustapi_core::RequestBody::Empty);
        responder.complete(match body.read_all().await {
            Ok(bytes) => Response::new(Body::from(bytes)),
            Err(bustapi_core::ReadError::TooLarge { .. }) => {
                text_response(StatusCode::PAYLOAD_TOO_LARGE, "too large")
            }
            Err(_) => text_response(StatusCode::BAD_REQUEST, "broken"),
        });
    });
}

/// A body whose pieces come through a channel.
pub(crate) struct Channel(
    pub(crate) tokio::sync::mpsc::UnboundedReceiver<Result<Bytes, BodyError>>,
);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map(http_body::Frame::data)))
    }
}

pub(crate) type Pieces = tokio::sync::mpsc::UnboundedSender<Result<Bytes, BodyError>>;

/// A streamed response and what its pieces are sent through.
pub(crate) fn streamed() -> (Response, Pieces) {
    let (pieces, receiver) = tokio::sync::mpsc::unbounded_channel();
    (
        Response::new(Body::Stream(Box::pin(Channel(receiver)))),
        pieces,
    )
}

/// Waits until `condition` holds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Collects what servers of this process log.
pub(crate) fn collect_log() {
    bustapi_core::set_logger(|message| log().push(message.to_owned()));
}

pub(crate) fn log() -> MutexGuard<'static, Vec<String>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn logged(text: &str) -> usize {
    log().iter().filter(|line| line.contains(text)).count()
}

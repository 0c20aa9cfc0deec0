//! One connection: hyper's HTTP/1.1 with limits, driving the dispatcher.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bustapi_http::{ConnInfo, Request, Response, text_response};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;

use crate::body::{IncomingBody, RequestBody, WireBody};
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::error::ReadError;
use crate::fault;
use crate::handler::{Answer, responder};
use crate::stream::Stream;
use crate::watch::{ConnState, Phase, Watched};

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) dispatcher: Arc<Dispatcher>,
}

/// hyper's settings for a server with these limits.
pub(crate) fn protocol(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The watch sees to time-outs; hyper's own costs a timer per request.
        .header_read_timeout(None)
        .max_header_size(config.max_head_size)
        .max_buf_size((config.max_head_size * 2).max(MIN_BUFFER))
        .half_close(false);
    if config.max_headers != HYPER_MAX_HEADERS {
        builder.max_headers(config.max_headers);
    }
    builder
}

/// The number of header fields for which hyper has room on the stack.
const HYPER_MAX_HEADERS: usize = 100;
/// A write buffer below this would split ordinary answers.
const MIN_BUFFER: usize = 64 * 1024;

/// Serves one connection to its end.
pub(crate) fn serve(
    builder: &http1::Builder,
    stream: Stream,
    info: ConnInfo,
    watched: Watched,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send + use<> {
    let state = Arc::clone(&watched.state);
    let service = RequestService {
        shared,
        info: Arc::new(info),
        state: Arc::clone(&state),
    };
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    Connection {
        protocol: Some(connection),
        state,
        registered: false,
        draining: false,
        _watched: watched,
    }
}

struct Connection {
    protocol: Option<http1::Connection<TokioIo<Stream>, RequestService>>,
    state: Arc<ConnState>,
    registered: bool,
    draining: bool,
    _watched: Watched,
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.registered {
            // A tokio task keeps one waker for its whole life.
            self.state.set_waker(context.waker());
            self.registered = true;
        }
        if self.state.is_expired() {
            if let Some(connection) = self.protocol.take() {
                expire(connection, &self.state);
            }
            return Poll::Ready(());
        }
        let begin_drain = self.state.is_draining() && !self.draining;
        self.draining |= begin_drain;
        let Some(connection) = &mut self.protocol else {
            return Poll::Ready(());
        };
        let mut connection = Pin::new(connection);
        if begin_drain {
            connection.as_mut().graceful_shutdown();
        }
        // Errors here are the client's: it went away, or sent what hyper has answered with 400.
        connection.poll(context).map(|_| ())
    }
}

/// Ends a connection whose time is up; one that was sending a head is told so.
fn expire(connection: http1::Connection<TokioIo<Stream>, RequestService>, state: &ConnState) {
    if state.phase() == Phase::Head {
        let stream = connection.into_parts().io.into_inner();
        // Best effort: a client that does not read its answers is not waited for.
        drop(stream.socket.try_write(fault::HEAD_TIMEOUT_ANSWER));
    }
}

/// hyper's service: makes a `Request` and gives it to the dispatcher.
#[derive(Debug)]
struct RequestService {
    shared: Arc<Shared>,
    info: Arc<ConnInfo>,
    state: Arc<ConnState>,
}

impl Service<http::Request<Incoming>> for RequestService {
    type Response = http::Response<WireBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: http::Request<Incoming>) -> Answering {
        self.state.enter(Phase::Open);
        let (head, incoming) = request.into_parts();
        let step = if hyper::body::Body::is_end_stream(&incoming) {
            self.dispatch(head, RequestBody::Empty)
        } else {
            self.receive(head, incoming)
        };
        Answering {
            step,
            state: Arc::clone(&self.state),
        }
    }
}

impl RequestService {
    fn dispatch(&self, head: http::request::Parts, body: RequestBody) -> Step {
        let (responder, answer) = responder();
        let request = Request {
            head,
            conn: Arc::clone(&self.info),
            body,
        };
        self.shared.dispatcher.dispatch(request, responder);
        Step::Answer(answer)
    }

    /// Decides how a body is read: refused, whole and beforehand, or as the handler asks.
    fn receive(&self, head: http::request::Parts, incoming: Incoming) -> Step {
        let config = &self.shared.config;
        let size = hyper::body::Body::size_hint(&incoming).exact();
        let limit = config.max_body_size;
        if let (Some(size), Some(limit)) = (size, limit)
            && size > limit
        {
            let error = ReadError::TooLarge { limit };
            return Step::Refused(Some(fault::unreadable_body(&error)));
        }
        if head.version < Version::HTTP_11 && !head.headers.contains_key(CONTENT_LENGTH) {
            // RFC 9112 section 6.1: a coding that the client's version does not have.
            let mut response = text_response(StatusCode::BAD_REQUEST, "Bad Request\n");
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
            return Step::Refused(Some(response));
        }
        let body = IncomingBody::new(incoming, limit, Arc::clone(&self.state));
        match size {
            Some(size) if size <= config.buffered_body_size as u64 => {
                let shared = Arc::clone(&self.shared);
                let conn = Arc::clone(&self.info);
                Step::Buffering(Box::pin(async move {
                    match RequestBody::Stream(body).read_all().await {
                        Ok(bytes) => {
                            let (responder, answer) = responder();
                            let body = RequestBody::Full(bytes);
                            let request = Request { head, conn, body };
                            shared.dispatcher.dispatch(request, responder);
                            answer.await
                        }
                        Err(error) => fault::unreadable_body(&error),
                    }
                }))
            }
            _ => self.dispatch(head, RequestBody::Stream(body)),
        }
    }
}

enum Step {
    Answer(Answer),
    Buffering(Pin<Box<dyn Future<Output = Response> + Send>>),
    Refused(Option<Response>),
}

/// A request on its way to its response.
struct Answering {
    step: Step,
    state: Arc<ConnState>,
}

impl Future for Answering {
    type Output = Result<http::Response<WireBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut self.step {
            Step::Answer(answer) => std::task::ready!(Pin::new(answer).poll(context)),
            Step::Buffering(future) => std::task::ready!(future.as_mut().poll(context)),
            Step::Refused(response) => response.take().unwrap_or_else(fault::internal_error),
        };
        self.state.enter(Phase::Idle);
        Poll::Ready(Ok(response.map(WireBody::from)))
    }
}

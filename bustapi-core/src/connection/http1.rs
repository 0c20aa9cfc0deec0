//! One connection: hyper's HTTP/1.1 with limits, driving the dispatcher.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bustapi_http::{Body, ConnInfo, ReasonPhrase, Request, Response};
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;

use crate::config::Config;
use crate::connection::framing::is_host;
use crate::connection::rejection::Rejection;
use crate::connection::stream::Stream;
use crate::dispatch::routes::Dispatcher;
use crate::error::ReadError;
use crate::exchange::access_log::{AccessEntry, AccessHook, RequestLine};
use crate::exchange::arriving::{Arriving, Unread};
use crate::exchange::deadlines::{Admission, ConnState, Phase};
use crate::exchange::incoming::IncomingBody;
use crate::exchange::own_answers;
use crate::exchange::request_body::RequestBody;
use crate::exchange::responder::{Answer, responder};
use crate::exchange::sendable;
use crate::exchange::wire_body::{Tail, WireBody};
use crate::log::log;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) protocol: http1::Builder,
    pub(crate) config: Config,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) access_hook: Option<AccessHook>,
}

/// hyper's settings for a server with these limits.
pub(crate) fn protocol(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // `Deadlines` sees to time-outs; hyper's own costs a timer per request.
        .header_read_timeout(None)
        .max_header_size(config.max_head_size)
        .max_buf_size((config.max_head_size * 2).max(MIN_BUFFER))
        // So that hyper goes on reading while a request is open and learns of a client that has
        // gone; one that only ended its sending is the stream's matter.
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
    stream: Stream,
    info: ConnInfo,
    admission: Admission,
    shared: &Arc<Shared>,
) -> impl Future<Output = ()> + Send + use<> {
    let state = Arc::clone(&admission.state);
    let stream = match shared.access_hook {
        Some(_) => stream.with_request_lines(),
        None => stream,
    };
    let service = RequestService {
        shared: Arc::clone(shared),
        info: Arc::new(info),
        state: Arc::clone(&state),
        requests: Cell::new(0),
    };
    let connection = (shared.protocol).serve_connection(TokioIo::new(stream), service);
    Connection {
        protocol: Some(connection),
        lingering: None,
        state,
        registered: false,
        draining: false,
        _admission: admission,
    }
}

type Protocol = http1::Connection<TokioIo<Stream>, RequestService>;

struct Connection {
    /// `None` once hyper is done.
    protocol: Option<Protocol>,
    /// The stream while only the client's last bytes are awaited.
    lingering: Option<Stream>,
    state: Arc<ConnState>,
    registered: bool,
    draining: bool,
    _admission: Admission,
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.registered {
            // A tokio task keeps one waker for its whole life.
            this.state.set_waker(context.waker());
            this.registered = true;
        }
        if this.state.is_expired() {
            if let Some(connection) = this.protocol.take() {
                expire(connection, &this.state);
            }
            return Poll::Ready(());
        }
        this.state.poll_leftover(context);
        if this.protocol.is_some() {
            let Ok(polled) = this.poll_protocol(context) else {
                log("an answer panicked while it was sent");
                return Poll::Ready(());
            };
            let result = ready!(polled);
            if let Some(connection) = this.protocol.take() {
                // Errors here are the client's (it went away, or sent what is refused) or a
                // body's, which has been logged.
                this.end(connection, result.err().as_ref());
            }
        }
        match &mut this.lingering {
            Some(stream) => stream.poll_linger(context),
            None => Poll::Ready(()),
        }
    }
}

impl Connection {
    /// Has hyper go on; `Err` where something panicked.
    fn poll_protocol(
        &mut self,
        context: &mut Context<'_>,
    ) -> std::thread::Result<Poll<hyper::Result<()>>> {
        let begin_drain = self.state.is_draining() && !self.draining;
        self.draining |= begin_drain;
        let waits_for_request = self.state.waits_for_request();
        let Some(connection) = &mut self.protocol else {
            return Ok(Poll::Ready(Ok(())));
        };
        let mut connection = Pin::new(connection);
        let poll = || {
            if begin_drain {
                // hyper drops an idle connection without another look, but a request that has
                // come already is to be served. (One that is open learns of the end first, so
                // that its answer says so.)
                if waits_for_request
                    && let ended @ Poll::Ready(_) = connection.as_mut().poll(context)
                {
                    return ended;
                }
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(context)
        };
        catch_unwind(AssertUnwindSafe(poll))
    }

    /// Does what is left when hyper is done: refuses a request that could not be read, and waits
    /// for the client to have read its last answer.
    fn end(&mut self, connection: Protocol, error: Option<&hyper::Error>) {
        let parts = connection.into_parts();
        let (stream, service) = (parts.io.into_inner(), parts.service);
        if let Some(rejection) = stream.rejection(error, &parts.read_buf) {
            let request = stream.refused_line(&parts.read_buf);
            service.reject(&stream, &rejection, request);
        }
        if stream.may_receive() {
            self.state.enter(Phase::Closing);
            self.lingering = Some(stream);
        }
    }
}

/// Ends a connection whose time is up; one that still owes its request is told so.
fn expire(connection: Protocol, state: &ConnState) {
    let owes_head = state.phase() == Phase::Head;
    if state.owes_request() && !state.is_draining() {
        let parts = connection.into_parts();
        let rejection = Rejection::of_late_request();
        let stream = parts.io.into_inner();
        if owes_head {
            let request = stream.refused_line(&parts.read_buf);
            parts.service.reject(&stream, &rejection, request);
        } else {
            // The request is open: it is noted when it is dropped.
            drop(stream.socket.try_write(&rejection.to_bytes()));
        }
    }
}

/// hyper's service: makes a `Request` and gives it to the dispatcher.
struct RequestService {
    shared: Arc<Shared>,
    info: Arc<ConnInfo>,
    state: Arc<ConnState>,
    /// How many have come.
    requests: Cell<u64>,
}

impl Service<http::Request<Incoming>> for RequestService {
    type Response = http::Response<WireBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: http::Request<Incoming>) -> Answering {
        self.state.open();
        let (mut head, incoming) = request.into_parts();
        self.requests.update(|count| count + 1);
        if let Some(raw_target) = self.state.take_raw_target(self.requests.get()) {
            head.extensions.insert(raw_target);
        }
        let is_head = head.method == Method::HEAD;
        let takes_interim = head.version == Version::HTTP_11;
        let entry = self
            .shared
            .access_hook
            .as_ref()
            .map(|hook| AccessEntry::begin(hook, &head, &self.info));
        let mut unread = None;
        let stage = if let Some(refusal) = self.refuse(&head) {
            Stage::Given(Some(refusal))
        } else if hyper::body::Body::is_end_stream(&incoming) {
            dispatch(&self.shared, head, &self.info, RequestBody::Empty)
        } else {
            self.receive(head, incoming, &mut unread)
        };
        Answering {
            stage,
            unread,
            is_head,
            takes_interim,
            state: Arc::clone(&self.state),
            entry,
        }
    }
}

/// Gives a request to the dispatcher, whose panic ends the request and nothing else.
fn dispatch(shared: &Shared, head: Parts, conn: &Arc<ConnInfo>, body: RequestBody) -> Stage {
    let (responder, answer) = responder();
    let request = Request {
        head,
        conn: Arc::clone(conn),
        body,
    };
    let call = || shared.dispatcher.dispatch(request, responder);
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        // The responder has answered 500 as it was dropped, if the handler had not answered.
        log("a handler panicked");
    }
    Stage::Answer(answer)
}

impl RequestService {
    /// Answers a request that was not read, and notes it.
    fn reject(&self, stream: &Stream, rejection: &Rejection, request: RequestLine) {
        // Best effort: a client that does not read its answers is not waited for.
        drop(stream.socket.try_write(&rejection.to_bytes()));
        if let Some(hook) = &self.shared.access_hook {
            let sent = rejection.body_length() as u64;
            AccessEntry::write_refused(hook, &self.info, request, rejection.status, sent);
        }
    }

    /// The answer to a head that no handler should see.
    fn refuse(&self, head: &Parts) -> Option<Response> {
        let uri = &head.uri;
        if head.method == Method::CONNECT {
            return Some(own_answers::no_tunnel());
        }
        if uri.path().as_bytes().first() != Some(&b'/') {
            let asks_server = head.method == Method::OPTIONS && uri.path() == "*";
            return (!asks_server).then(own_answers::bad_target);
        }
        if target_length(uri) > self.shared.config.max_target_size {
            return Some(own_answers::target_too_long());
        }
        // It takes the place of the Host field. User information is for clients to keep (RFC 9110
        // section 4.2.4).
        let authority = uri.authority()?.as_str();
        (!is_host(authority.as_bytes())).then(own_answers::bad_authority)
    }

    /// Decides how a body is read: refused, whole and beforehand, or as the handler asks.
    /// One that the handler may leave unread is noted in `unread`.
    fn receive(&self, head: Parts, incoming: Incoming, unread: &mut Option<Box<Unread>>) -> Stage {
        let config = &self.shared.config;
        let size = hyper::body::Body::size_hint(&incoming).exact();
        let limit = config.max_body_size;
        if let (Some(size), Some(limit)) = (size, limit)
            && size > limit
        {
            let error = ReadError::TooLarge { limit };
            return Stage::Given(Some(own_answers::unreadable_body(&error)));
        }
        let expects = head.version != Version::HTTP_10 && head.headers.contains_key(EXPECT);
        let arriving = Arc::new(Arriving::new(incoming, expects, Arc::clone(&self.state)));
        let body = IncomingBody::new(Arc::clone(&arriving), limit);
        // Reading makes hyper ask an expecting client for the body; that is the handler's to do.
        let may_read =
            size.is_some_and(|size| size <= config.buffered_body_size as u64) && !expects;
        if !may_read {
            *unread = Some(Box::new(Unread::new(arriving, config)));
            return dispatch(&self.shared, head, &self.info, RequestBody::Stream(body));
        }
        let shared = Arc::clone(&self.shared);
        let conn = Arc::clone(&self.info);
        Stage::Buffering(Box::pin(async move {
            match RequestBody::Stream(body).read_all().await {
                Ok(bytes) => dispatch(&shared, head, &conn, RequestBody::Full(bytes)),
                Err(error) => Stage::Given(Some(own_answers::unreadable_body(&error))),
            }
        }))
    }
}

/// The length of a target's path and query.
fn target_length(uri: &Uri) -> usize {
    uri.path_and_query()
        .map_or(0, |target| target.as_str().len())
}

/// How far a request is on its way to its response.
enum Stage {
    Answer(Answer),
    /// Becomes one of the others when the body has been read.
    Buffering(Pin<Box<dyn Future<Output = Stage> + Send>>),
    /// An answer that is there: a refusal, or one that waits until the rest of the request's body
    /// has been dealt with.
    Given(Option<Response>),
}

/// A request on its way to its response.
struct Answering {
    stage: Stage,
    /// A body that the handler reads as it likes.
    unread: Option<Box<Unread>>,
    is_head: bool,
    /// Whether the client understands answers that are not final.
    takes_interim: bool,
    state: Arc<ConnState>,
    entry: Option<Box<AccessEntry>>,
}

impl Drop for Answering {
    /// Notes a request whose client has gone, or was given up, before it was answered.
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.set_status(if self.state.is_expired() && self.state.is_draining() {
                StatusCode::SERVICE_UNAVAILABLE
            } else if self.state.is_expired() && self.state.owes_request() {
                StatusCode::REQUEST_TIMEOUT
            } else {
                client_closed_request()
            });
            entry.write();
        }
    }
}

/// What other servers note for a request that its client has not waited for.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

impl Answering {
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        loop {
            match &mut self.stage {
                Stage::Answer(answer) => {
                    if let Poll::Ready(response) = Pin::new(&mut *answer).poll(context) {
                        return Poll::Ready(response);
                    }
                    if self.takes_interim && self.state.has_client_ended() && answer.is_notifying()
                    {
                        self.state.ask_for_client();
                    }
                    return Poll::Pending;
                }
                Stage::Buffering(future) => self.stage = ready!(future.as_mut().poll(context)),
                Stage::Given(response) => {
                    let given = response.take().unwrap_or_else(own_answers::internal_error);
                    return Poll::Ready(given);
                }
            }
        }
    }
}

impl Future for Answering {
    type Output = Result<http::Response<WireBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut response = ready!(this.poll_answer(context));
        let mut closes = this.state.is_draining();
        if let Some(unread) = &mut this.unread {
            // Only the body of a streamed answer may have been made from that of the request.
            let go_on = matches!(response.body(), Body::Stream(_)) && !this.is_head;
            let Poll::Ready(is_settled) = unread.poll_settle(context, go_on) else {
                this.stage = Stage::Given(Some(response));
                return Poll::Pending;
            };
            closes |= !is_settled;
            if !go_on {
                this.unread = None;
            }
        }
        sendable::make_sendable(&mut response, self.is_head);
        if closes {
            // hyper does not know yet that a body is left, or if the first request of a connection
            // came after the stop.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if let Some(reason) = response.extensions_mut().remove::<ReasonPhrase>()
            && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason.into_bytes())
        {
            response.extensions_mut().insert(reason);
        }
        if let Some(entry) = &mut self.entry {
            entry.set_status(response.status());
        }
        let tail = if self.entry.is_none() && WireBody::is_whole(response.body()) {
            self.state.answered();
            None
        } else {
            self.state.enter(Phase::Answer);
            Some(Tail {
                state: Arc::clone(&self.state),
                entry: self.entry.take(),
                unread: self.unread.take(),
            })
        };
        let length = match response.body() {
            Body::Empty | Body::Stream(_) => sendable::content_length(&response),
            _ => None,
        };
        let file_pieces = || self.state.file_pieces();
        let wire = |body| WireBody::new(body, tail, file_pieces).with_length(length);
        Poll::Ready(Ok(response.map(wire)))
    }
}

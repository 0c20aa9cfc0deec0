//! Requests as Python sees them before any of Werkzeug's types is made.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bustapi_core::RequestBody;
use bustapi_http::headers::header_name;
use bustapi_http::query::percent_decode_bytes;
use bustapi_http::{ConnInfo, Peer, Request, Scheme, sent_query, wsgi};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::error;
use crate::request::body::RawBody;
use crate::request::environ;

/// A request as it came from the wire. Each attribute is converted when it is asked for.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct RawRequest {
    head: Parts,
    conn: Arc<ConnInfo>,
    /// The body until it is read here, or handed out as `input`.
    body: Mutex<RequestBody>,
    input: OnceLock<Py<RawBody>>,
    environ: OnceLock<Py<PyDict>>,
    /// Whether the application reads its body from a stream of its own.
    stream_replaced: AtomicBool,
}

impl RawRequest {
    pub(crate) fn new(request: Request<RequestBody>) -> Self {
        Self {
            head: request.head,
            conn: request.conn,
            body: Mutex::new(request.body),
            input: OnceLock::new(),
            environ: OnceLock::new(),
            stream_replaced: AtomicBool::new(false),
        }
    }

    pub(crate) fn head(&self) -> &Parts {
        &self.head
    }

    pub(crate) fn is_options(&self) -> bool {
        self.head.method == http::Method::OPTIONS
    }

    /// Whether a cookie of this name may have been sent; true for names that contain it, too.
    pub(crate) fn mentions_cookie(&self, name: &str) -> bool {
        mentions_cookie(&self.head.headers, name)
    }

    /// Breaks the cycle of the environ, if there is one, and the request named in it.
    pub(crate) fn forget_request(&self, py: Python<'_>) -> PyResult<()> {
        match self.made_environ(py) {
            Some(environ) => environ.set_item(intern!(py, "werkzeug.request"), py.None()),
            None => Ok(()),
        }
    }

    /// The environ if it has been made; the application may have changed it since.
    pub(crate) fn made_environ<'a, 'py>(
        &'a self,
        py: Python<'py>,
    ) -> Option<&'a Bound<'py, PyDict>> {
        Some(self.environ.get()?.bind(py))
    }

    pub(crate) fn decoded_path(&self) -> Cow<'_, [u8]> {
        percent_decode_bytes(self.head.uri.path().as_bytes())
    }

    /// The value of a field as the environ has it.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        wsgi::field(&self.head, name)
    }

    /// Name and port of the server's end, as the environ has them.
    pub(crate) fn server_address(&self) -> (String, u16) {
        wsgi::server_address(&self.head, &self.conn)
    }

    /// Whether what Werkzeug would read the body from is the body itself, however far it has
    /// been read.
    pub(crate) fn owns_input(&self, py: Python<'_>) -> PyResult<bool> {
        if self.stream_replaced.load(Relaxed) {
            return Ok(false);
        }
        let Some(environ) = self.made_environ(py) else {
            return Ok(true);
        };
        let (Some(own), Some(input)) = (
            self.input.get(),
            environ.get_item(intern!(py, "wsgi.input"))?,
        ) else {
            return Ok(false);
        };
        Ok(input.is(own) && environ.contains(intern!(py, "wsgi.input_terminated"))?)
    }

    fn lock_body(&self) -> MutexGuard<'_, RequestBody> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left of the body.
    ///
    /// # Errors
    ///
    /// As [`error::from_read`].
    pub(crate) fn read_body(&self, py: Python<'_>) -> PyResult<Bytes> {
        if self.input.get().is_none() {
            let mut body = self.lock_body();
            if !body.is_stream() {
                // The body is in memory, so that this does not wait.
                let chunk = body.chunk_blocking();
                drop(body);
                return chunk
                    .map(Option::unwrap_or_default)
                    .map_err(|error| error::from_read(py, &error));
            }
        }
        self.input(py)?.get().read_all(py)
    }

    /// The next piece of the body as it arrived, `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`error::from_read`].
    pub(crate) fn next_chunk(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        self.input(py)?.get().next_chunk(py)
    }
}

#[pymethods]
impl RawRequest {
    /// A request that did not come from a connection.
    ///
    /// `target` is path and query, percent-encoded, or a whole URL; `remote` and `server` are
    /// addresses with ports, `None` for unix sockets.
    ///
    /// # Errors
    ///
    /// `ValueError` for what no client could send.
    #[new]
    #[pyo3(signature = (
        method="GET", target="/", headers=Vec::new(), body=Vec::new(), *, scheme="http",
        remote=Some(("127.0.0.1".to_owned(), 50000)), server=Some(("127.0.0.1".to_owned(), 80)),
    ))]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what Python's arguments are converted to"
    )]
    fn from_parts(
        method: &str,
        target: &str,
        headers: Vec<(String, Vec<u8>)>,
        body: Vec<u8>,
        scheme: &str,
        remote: Option<(String, u16)>,
        server: Option<(String, u16)>,
    ) -> PyResult<Self> {
        let invalid = |error: String| PyValueError::new_err(error);
        let peer = |end: Option<(String, u16)>| match end {
            None => Ok(Peer::Unix(None)),
            Some((address, port)) => address
                .parse::<IpAddr>()
                .map(|ip| Peer::Tcp(SocketAddr::new(ip, port)))
                .map_err(|error| invalid(error.to_string())),
        };
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in &headers {
            let name: HeaderName = header_name(name).map_err(|error| invalid(error.to_string()))?;
            let value =
                HeaderValue::from_bytes(value).map_err(|error| invalid(error.to_string()))?;
            request = request.header(name, value);
        }
        let (head, ()) = request
            .body(())
            .map_err(|error| invalid(error.to_string()))?
            .into_parts();
        let conn = Arc::new(ConnInfo {
            remote: peer(remote)?,
            local: peer(server)?,
            scheme: if scheme == "https" {
                Scheme::Https
            } else {
                Scheme::Http
            },
        });
        let body = if body.is_empty() {
            RequestBody::Empty
        } else {
            RequestBody::Full(Bytes::from(body))
        };
        Ok(Self::new(Request { head, conn, body }))
    }

    /// The method, as sent.
    #[getter]
    pub(crate) fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.head.method.as_str())
    }

    /// The path with percent-encoding removed; bytes that are not UTF-8 are replaced.
    #[getter]
    pub(crate) fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let path = self.decoded_path();
        PyString::new(py, &String::from_utf8_lossy(&path))
    }

    /// Where the application is mounted: always the root for the native server.
    #[classattr]
    fn root_path() -> &'static str {
        ""
    }

    /// What follows the `?`, as sent.
    #[getter]
    pub(crate) fn query_string<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, sent_query(&self.head))
    }

    /// `http` or `https`, of the connection itself.
    #[getter]
    pub(crate) fn scheme<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.conn.scheme.as_str())
    }

    /// Name and port of the server's end.
    #[getter]
    fn server(&self) -> (String, u16) {
        self.server_address()
    }

    /// The client's address; empty text for a unix socket, as other servers have it.
    #[getter]
    pub(crate) fn remote_addr(&self) -> String {
        let ip = self.conn.remote.ip();
        ip.map_or_else(String::new, |ip| ip.to_string())
    }

    /// The body, to be read as a stream.
    #[getter]
    pub(crate) fn input<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, RawBody>> {
        if let Some(input) = self.input.get() {
            return Ok(input.bind(py).clone());
        }
        let body = std::mem::replace(&mut *self.lock_body(), RequestBody::Empty);
        let input = Bound::new(py, RawBody::new(body))?;
        // No other thread can have set it since it was looked at: nothing above detaches.
        Ok(self.input.get_or_init(|| input.unbind()).bind(py).clone())
    }

    /// The WSGI environment (PEP 3333); the same dictionary each time.
    pub(crate) fn environ<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if let Some(environ) = self.environ.get() {
            return Ok(environ.bind(py).clone());
        }
        let made = environ::make(py, &self.head, &self.conn, self.input(py)?)?;
        Ok(self.environ.get_or_init(|| made.unbind()).bind(py).clone())
    }

    /// Has the body read from whatever stream the request was given.
    fn replace_stream(&self) {
        self.stream_replaced.store(true, Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.environ.get())
    }
}

/// Whether the cookies of a request mention a name, be it only in a value.
pub(crate) fn mentions_cookie(headers: &HeaderMap, name: &str) -> bool {
    let name = name.as_bytes();
    headers.get_all(http::header::COOKIE).iter().any(|value| {
        let value = value.as_bytes();
        name.is_empty() || value.windows(name.len()).any(|window| window == name)
    })
}

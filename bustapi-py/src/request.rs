//! Requests as Python sees them before any of Werkzeug's types is made.

use std::borrow::Cow;
use std::sync::Mutex;

use bustapi_core::RequestBody;
use bustapi_http::{ConnInfo, Peer, Request};
use http::Version;
use http::request::Parts;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::sync::Arc;

use crate::body::RawBody;

/// A request as it came from the wire. Each attribute is converted when it is asked for.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct RawRequest {
    head: Parts,
    conn: Arc<ConnInfo>,
    body: Mutex<Option<RequestBody>>,
    input: PyOnceLock<Py<RawBody>>,
    environ: PyOnceLock<Py<PyDict>>,
}

impl RawRequest {
    pub(crate) fn new(request: Request<RequestBody>) -> Self {
        Self {
            head: request.head,
            conn: request.conn,
            body: Mutex::new(Some(request.body)),
            input: PyOnceLock::new(),
            environ: PyOnceLock::new(),
        }
    }

    pub(crate) fn is_options(&self) -> bool {
        self.head.method == http::Method::OPTIONS
    }

    /// Whether a cookie of this name may have been sent; true for names that contain it, too.
    pub(crate) fn mentions_cookie(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.head
            .headers
            .get_all(http::header::COOKIE)
            .iter()
            .any(|value| {
                let value = value.as_bytes();
                name.is_empty() || value.windows(name.len()).any(|window| window == name)
            })
    }

    /// Breaks the cycle of the environ, if there is one, and the request named in it.
    pub(crate) fn forget_request(&self, py: Python<'_>) -> PyResult<()> {
        match self.environ.get(py) {
            Some(environ) => environ
                .bind(py)
                .set_item(intern!(py, "werkzeug.request"), py.None()),
            None => Ok(()),
        }
    }

    fn decoded_path(&self) -> Cow<'_, [u8]> {
        percent_decode(self.head.uri.path())
    }

    fn host(&self) -> Option<&[u8]> {
        match self.head.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => Some(self.head.headers.get(http::header::HOST)?.as_bytes()),
        }
    }

    /// Name and port of the server's end; a unix socket has the name the client asked for.
    fn server_name(&self) -> (String, Option<u16>) {
        match &self.conn.local {
            Peer::Tcp(address) => (address.ip().to_string(), Some(address.port())),
            Peer::Unix(_) => {
                let host = self.host().unwrap_or(b"localhost");
                let host = String::from_utf8_lossy(host);
                (
                    host.split(':').next().unwrap_or("localhost").to_owned(),
                    None,
                )
            }
        }
    }

    fn remote_address(&self) -> Option<String> {
        self.conn.remote.ip().map(|ip| ip.to_string())
    }
}

#[pymethods]
impl RawRequest {
    /// The method, as sent.
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.head.method.as_str())
    }

    /// The path with percent-encoding removed; bytes that are not UTF-8 are replaced.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let path = self.decoded_path();
        PyString::new(py, &String::from_utf8_lossy(&path))
    }

    /// Where the application is mounted: always the root for the native server.
    #[getter]
    fn root_path<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        intern!(py, "").clone()
    }

    /// What follows the `?`, as sent.
    #[getter]
    fn query_string<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.head.uri.query().unwrap_or_default().as_bytes())
    }

    /// `http` or `https`, of the connection itself.
    #[getter]
    fn scheme<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.conn.scheme.as_str())
    }

    /// Name and port of the server's end; the port is `None` for a unix socket.
    #[getter]
    fn server(&self) -> (String, Option<u16>) {
        self.server_name()
    }

    /// The client's address, `None` for a unix socket.
    #[getter]
    fn remote_addr(&self) -> Option<String> {
        self.remote_address()
    }

    /// The body, to be read as a stream.
    #[getter]
    fn input(&self, py: Python<'_>) -> PyResult<Py<RawBody>> {
        self.input
            .get_or_try_init(py, || {
                let body = self
                    .body
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .take()
                    .unwrap_or(RequestBody::Empty);
                Py::new(py, RawBody::new(body))
            })
            .map(|input| input.clone_ref(py))
    }

    /// The header fields in the order they came, names in Title-Case as WSGI shows them.
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pairs = self
            .head
            .headers
            .iter()
            .map(|(name, value)| (title_case(name.as_str()), latin1(py, value.as_bytes())));
        let list = PyList::empty(py);
        for pair in pairs {
            list.append(pair)?;
        }
        Ok(list)
    }

    /// The WSGI environment (PEP 3333); the same dictionary each time.
    pub(crate) fn environ(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.environ
            .get_or_try_init(py, || self.make_environ(py))
            .map(|environ| environ.clone_ref(py))
    }
}

impl RawRequest {
    fn make_environ(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let environ = PyDict::new(py);
        let target = self
            .head
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let (server_name, server_port) = self.server_name();
        let protocol = match self.head.version {
            Version::HTTP_10 => intern!(py, "HTTP/1.0"),
            Version::HTTP_2 => intern!(py, "HTTP/2"),
            _ => intern!(py, "HTTP/1.1"),
        };
        let query = self.head.uri.query().unwrap_or_default();
        environ.set_item(intern!(py, "REQUEST_METHOD"), self.method(py))?;
        environ.set_item(intern!(py, "SCRIPT_NAME"), intern!(py, ""))?;
        environ.set_item(intern!(py, "PATH_INFO"), latin1(py, &self.decoded_path()))?;
        environ.set_item(intern!(py, "QUERY_STRING"), query)?;
        environ.set_item(intern!(py, "REQUEST_URI"), target)?;
        environ.set_item(intern!(py, "RAW_URI"), target)?;
        environ.set_item(intern!(py, "SERVER_NAME"), server_name)?;
        let port = server_port.map_or_else(|| "80".to_owned(), |port| port.to_string());
        environ.set_item(intern!(py, "SERVER_PORT"), port)?;
        environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol)?;
        environ.set_item(intern!(py, "SERVER_SOFTWARE"), intern!(py, "bustapi"))?;
        if let Peer::Tcp(remote) = &self.conn.remote {
            environ.set_item(intern!(py, "REMOTE_ADDR"), remote.ip().to_string())?;
            environ.set_item(intern!(py, "REMOTE_PORT"), remote.port().to_string())?;
        }
        environ.set_item(intern!(py, "wsgi.version"), PyTuple::new(py, [1, 0])?)?;
        environ.set_item(intern!(py, "wsgi.url_scheme"), self.scheme(py))?;
        environ.set_item(intern!(py, "wsgi.input"), self.input(py)?)?;
        environ.set_item(intern!(py, "wsgi.input_terminated"), true)?;
        let stderr = py
            .import(intern!(py, "sys"))?
            .getattr(intern!(py, "stderr"))?;
        environ.set_item(intern!(py, "wsgi.errors"), stderr)?;
        environ.set_item(intern!(py, "wsgi.multithread"), true)?;
        environ.set_item(intern!(py, "wsgi.multiprocess"), true)?;
        environ.set_item(intern!(py, "wsgi.run_once"), false)?;
        self.add_headers(py, &environ)?;
        Ok(environ.unbind())
    }

    /// Adds the header fields; repeats are joined as one list (RFC 9110 section 5.2),
    /// cookies with their own separator (RFC 9113 section 8.2.3).
    fn add_headers(&self, py: Python<'_>, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        for name in self.head.headers.keys() {
            // `X_Y` would pass for `X-Y`, which proxies clean up and this one they do not.
            if name.as_str().contains('_') {
                continue;
            }
            let separator: &[u8] = if name == http::header::COOKIE {
                b"; "
            } else {
                b","
            };
            let mut values = self.head.headers.get_all(name).iter();
            let Some(first) = values.next() else { continue };
            let mut joined = Cow::Borrowed(first.as_bytes());
            for value in values {
                let joined = joined.to_mut();
                joined.extend_from_slice(separator);
                joined.extend_from_slice(value.as_bytes());
            }
            let key = match name.as_str() {
                "content-type" => intern!(py, "CONTENT_TYPE").clone(),
                "content-length" => intern!(py, "CONTENT_LENGTH").clone(),
                "host" => intern!(py, "HTTP_HOST").clone(),
                other => PyString::new(py, &environ_key(other)),
            };
            environ.set_item(key, latin1(py, &joined))?;
        }
        if let Some(authority) = self.head.uri.authority() {
            // The target's authority overrides the field (RFC 9112 section 3.2.2).
            environ.set_item(intern!(py, "HTTP_HOST"), authority.as_str())?;
        }
        Ok(())
    }
}

/// Bytes as WSGI shows them: each byte is one character.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            PyString::new(py, &text)
        }
    }
}

/// `x-forwarded-for` as `X-Forwarded-For`.
fn title_case(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = c == '-';
            shown
        })
        .collect()
}

/// `x-forwarded-for` as `HTTP_X_FORWARDED_FOR`.
fn environ_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 5);
    key.push_str("HTTP_");
    key.extend(name.chars().map(|c| match c {
        '-' => '_',
        other => other.to_ascii_uppercase(),
    }));
    key
}

fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high * 16 + low);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

//! The WSGI environment (PEP 3333) of a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bustapi_http::query::percent_decode_bytes;
use bustapi_http::{ConnInfo, Peer, Scheme, sent_query, sent_target, wsgi};
use http::Version;
use http::request::Parts;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::ground::object::latin1;
use crate::request::body::RawBody;

/// What is the same in all environs of an address of the server.
struct Template {
    local: Peer,
    scheme: Scheme,
    items: Py<PyDict>,
}

/// What is set for every request of a TCP connection.
const EVERY_REQUEST: [&str; 10] = [
    "REQUEST_METHOD",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_URI",
    "RAW_URI",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "wsgi.input",
    "wsgi.errors",
];

/// The template used last; a server has few addresses, and mostly one.
static TEMPLATE: Mutex<Option<Template>> = Mutex::new(None);

/// Whether other processes serve the same application.
static IS_ONE_OF_SEVERAL: AtomicBool = AtomicBool::new(false);

/// Says whether other processes serve the same application.
pub(crate) fn set_multiprocess(is_one_of_several: bool) {
    IS_ONE_OF_SEVERAL.store(is_one_of_several, Ordering::Relaxed);
    *TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// What does not depend on the request; copying it is cheaper than adding each item.
fn constants<'py>(py: Python<'py>, head: &Parts, conn: &ConnInfo) -> PyResult<Bound<'py, PyDict>> {
    let lock = || TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock()
        .as_ref()
        .filter(|known| known.local == conn.local && known.scheme == conn.scheme)
        .map(|known| known.items.clone_ref(py));
    if let Some(known) = known {
        return known.bind(py).copy();
    }
    let dict = PyDict::new(py);
    dict.set_item("SCRIPT_NAME", script_name())?;
    dict.set_item("SERVER_SOFTWARE", "bustapi")?;
    dict.set_item("wsgi.version", PyTuple::new(py, [1, 0])?)?;
    dict.set_item("wsgi.url_scheme", conn.scheme.as_str())?;
    dict.set_item("wsgi.input_terminated", true)?;
    dict.set_item("wsgi.multithread", true)?;
    dict.set_item(
        "wsgi.multiprocess",
        IS_ONE_OF_SEVERAL.load(Ordering::Relaxed),
    )?;
    dict.set_item("wsgi.run_once", false)?;
    let (name, port) = wsgi::server_address(head, conn);
    dict.set_item("SERVER_NAME", name)?;
    dict.set_item("SERVER_PORT", port.to_string())?;
    // A copy has a table of the same size as long as most of it is in use: with the keys that
    // every request sets, and some more for a moment, no request's fields enlarge it.
    for key in EVERY_REQUEST {
        dict.set_item(key, py.None())?;
    }
    let reserved = (0..6).map(|number| format!("reserved {number}"));
    for key in reserved.clone() {
        dict.set_item(key, py.None())?;
    }
    for key in reserved {
        dict.del_item(key)?;
    }
    // On a unix socket, the server's name is what the client calls it (`Host`), so that it differs
    // from request to request and cannot be part of the template.
    if matches!(conn.local, Peer::Tcp(_)) {
        let template = Template {
            local: conn.local.clone(),
            scheme: conn.scheme,
            items: dict.copy()?.unbind(),
        };
        let old = lock().replace(template);
        drop(old);
    }
    Ok(dict)
}

/// Where the application is mounted, as the environment says: what gunicorn's users set it for.
fn script_name() -> &'static str {
    static SCRIPT_NAME: OnceLock<String> = OnceLock::new();
    SCRIPT_NAME.get_or_init(|| std::env::var("SCRIPT_NAME").unwrap_or_default())
}

/// Makes the environ of a request whose body `input` reads.
///
/// # Errors
///
/// `ValueError` if the path is not below `SCRIPT_NAME`; `MemoryError`; `AttributeError` if the
/// program has deleted `sys.stderr`.
pub(crate) fn make<'py>(
    py: Python<'py>,
    head: &Parts,
    conn: &ConnInfo,
    input: Bound<'py, RawBody>,
) -> PyResult<Bound<'py, PyDict>> {
    let environ = constants(py, head, conn)?;
    let target = latin1(py, sent_target(head))?;
    let protocol = match head.version {
        Version::HTTP_10 => intern!(py, "HTTP/1.0"),
        Version::HTTP_2 => intern!(py, "HTTP/2"),
        _ => intern!(py, "HTTP/1.1"),
    };
    environ.set_item(
        intern!(py, "REQUEST_METHOD"),
        PyString::intern(py, head.method.as_str()),
    )?;
    let path = head.uri.path();
    let path = path.strip_prefix(script_name()).ok_or_else(|| {
        PyValueError::new_err(format!(
            "the path {path:?} does not begin with SCRIPT_NAME, which is {:?} in the environment",
            script_name()
        ))
    })?;
    let path = percent_decode_bytes(path.as_bytes());
    environ.set_item(intern!(py, "PATH_INFO"), latin1(py, &path)?)?;
    environ.set_item(intern!(py, "QUERY_STRING"), latin1(py, sent_query(head))?)?;
    environ.set_item(intern!(py, "REQUEST_URI"), &target)?;
    environ.set_item(intern!(py, "RAW_URI"), target)?;
    environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol)?;
    match &conn.remote {
        Peer::Tcp(remote) => {
            environ.set_item(intern!(py, "REMOTE_ADDR"), remote.ip().to_string())?;
            environ.set_item(intern!(py, "REMOTE_PORT"), remote.port().to_string())?;
        }
        Peer::Unix(_) => {
            environ.set_item(intern!(py, "REMOTE_ADDR"), intern!(py, ""))?;
            environ.del_item(intern!(py, "REMOTE_PORT"))?;
        }
    }
    environ.set_item(intern!(py, "wsgi.input"), input)?;
    environ.set_item(intern!(py, "wsgi.errors"), stderr(py)?)?;
    for (name, value) in wsgi::fields(head) {
        environ.set_item(key(py, name.as_str()), latin1(py, &value)?)?;
    }
    Ok(environ)
}

/// `sys.stderr` as the program has it now.
fn stderr(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // The module is kept: importing even a loaded one costs as much as half the environ.
    static SYS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let sys = SYS.get_or_try_init(py, || py.import("sys").map(Bound::unbind))?;
    sys.bind(py).getattr(intern!(py, "stderr"))
}

/// The key of a header field, whose name is in lower case: `x-forwarded-for` has
/// `HTTP_X_FORWARDED_FOR`.
fn key<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyString> {
    // The keys of the fields that most requests have are interned.
    match name {
        "accept" => intern!(py, "HTTP_ACCEPT").clone(),
        "accept-encoding" => intern!(py, "HTTP_ACCEPT_ENCODING").clone(),
        "accept-language" => intern!(py, "HTTP_ACCEPT_LANGUAGE").clone(),
        "authorization" => intern!(py, "HTTP_AUTHORIZATION").clone(),
        "cache-control" => intern!(py, "HTTP_CACHE_CONTROL").clone(),
        "connection" => intern!(py, "HTTP_CONNECTION").clone(),
        "content-length" => intern!(py, "CONTENT_LENGTH").clone(),
        "content-type" => intern!(py, "CONTENT_TYPE").clone(),
        "cookie" => intern!(py, "HTTP_COOKIE").clone(),
        "host" => intern!(py, "HTTP_HOST").clone(),
        "origin" => intern!(py, "HTTP_ORIGIN").clone(),
        "referer" => intern!(py, "HTTP_REFERER").clone(),
        "user-agent" => intern!(py, "HTTP_USER_AGENT").clone(),
        "x-forwarded-for" => intern!(py, "HTTP_X_FORWARDED_FOR").clone(),
        "x-forwarded-proto" => intern!(py, "HTTP_X_FORWARDED_PROTO").clone(),
        "x-requested-with" => intern!(py, "HTTP_X_REQUESTED_WITH").clone(),
        other => PyString::new(py, &wsgi::environ_key(other)),
    }
}

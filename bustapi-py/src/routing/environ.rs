//! Binds a map to a WSGI environment, in the form that nearly all requests have.
//!
//! Everything else (no `Host` header, an upgrade, a host with letters in upper case, text beyond
//! ASCII, a server name to be found in the host) is left to `bustapi.routing`, which describes
//! what binding does.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::bound_map::{Binding, bind};
use super::references::References;
use super::rule_map::RuleMap;

/// The adapter of a request.
///
/// # Errors
///
/// As for [`bind`], and `KeyError` for an environment that is none.
pub(crate) fn bind_to_environ<'py>(
    map: &Bound<'py, RuleMap>,
    environ: &Bound<'py, PyAny>,
    server_name: Option<&Bound<'py, PyAny>>,
    subdomain: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(environ) = environ.cast_exact::<PyDict>()
        && let Some(adapter) = bind_plain(map, environ, server_name, subdomain)?
    {
        return Ok(adapter);
    }
    let known = References::get(map.py())?;
    let call = known.bind_to_environ.bind(map.py());
    call.call1((map, environ, server_name, subdomain))
}

fn bind_plain<'py>(
    map: &Bound<'py, RuleMap>,
    environ: &Bound<'py, PyDict>,
    server_name: Option<&Bound<'py, PyAny>>,
    subdomain: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = map.py();
    let get = |name| environ.get_item(name);
    let (Some(scheme), Some(host), Some(method), None) = (
        get(intern!(py, "wsgi.url_scheme"))?,
        get(intern!(py, "HTTP_HOST"))?,
        get(intern!(py, "REQUEST_METHOD"))?,
        get(intern!(py, "HTTP_UPGRADE"))?,
    ) else {
        return Ok(None);
    };
    let (Some(scheme_text), Some(host_text)) = (ascii(&scheme), ascii(&host)) else {
        return Ok(None);
    };
    if !is_plain_host(host_text, scheme_text) {
        return Ok(None);
    }
    let host_matching = map.get().is_host_matching();
    let empty = intern!(py, "").as_any();
    let (server_name, subdomain) = match (server_name, subdomain) {
        // The request's own host has no subdomain.
        (None, None) if host_matching => (&host, None),
        (None, None) => (&host, Some(empty)),
        (None, given) => (&host, given),
        (Some(name), Some(given)) => match ascii(name) {
            Some(text) if is_plain_host(text, scheme_text) => (name, Some(given)),
            _ => return Ok(None),
        },
        (Some(_), None) => return Ok(None),
    };
    let [script_name, path_info, query_string] = [
        get(intern!(py, "SCRIPT_NAME"))?,
        get(intern!(py, "PATH_INFO"))?,
        get(intern!(py, "QUERY_STRING"))?,
    ];
    for text in [&script_name, &path_info, &query_string] {
        if text.as_ref().is_some_and(|text| ascii(text).is_none()) {
            return Ok(None);
        }
    }
    let binding = Binding {
        script_name: script_name.as_ref(),
        subdomain,
        url_scheme: (scheme_text != "http").then_some(&scheme),
        default_method: Some(&method),
        path_info: path_info.as_ref(),
        query_args: query_string.as_ref(),
    };
    bind(map, server_name, &binding).map(Some)
}

/// The text of a plain string without characters beyond ASCII.
fn ascii<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    let text = object.cast_exact::<PyString>().ok()?.to_str().ok()?;
    text.is_ascii().then_some(text)
}

/// Whether a host is as it will be bound: a name or an address in lower case, and a port only if
/// it is not the scheme's own.
pub(crate) fn is_plain_host(host: &str, scheme: &str) -> bool {
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let own_port = if scheme == "https" { "443" } else { "80" };
    matches!(scheme, "http" | "https")
        && !name.is_empty()
        && name.bytes().all(letter)
        && port.is_none_or(|port| port != own_port && is_port(port))
}

/// Whether a host with this port is one to Werkzeug: 1 to 65535, without leading zeros.
fn is_port(port: &str) -> bool {
    port.starts_with(|first: char| matches!(first, '1'..='9')) && port.parse::<u16>().is_ok()
}

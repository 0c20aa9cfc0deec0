//! The cookies of sessions.

use bustapi_http::signed_cookie::TimestampSigner;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use crate::json::read;
use crate::json::write;

/// How a tagged value begins in Flask's serialization: an object whose one key is the tag.
const TAG: &[u8] = b"{\" ";

/// What a cookie holds; `None` if it was not signed in the last `max_age` seconds before `now`
/// (seconds since 1970), or is not plain.
pub(crate) fn read<'py>(
    py: Python<'py>,
    signer: &TimestampSigner,
    cookie: &str,
    max_age: u64,
    now: u64,
) -> Option<Bound<'py, PyDict>> {
    let payload = signer.unsign(cookie, max_age, now).ok()?;
    if payload.windows(TAG.len()).any(|window| window == TAG) {
        return None;
    }
    // JSON that is not read natively counts as not plain: Python reads or refuses it.
    read::parse(py, &payload)?.cast_into_exact::<PyDict>().ok()
}

/// The cookie of a session, signed at `now`; `None` for values that are not plain.
///
/// # Errors
///
/// What compressing raises.
pub(crate) fn write(
    session: &Bound<'_, PyDict>,
    signer: &TimestampSigner,
    now: u64,
) -> PyResult<Option<String>> {
    let mut payload = Vec::with_capacity(64);
    if write::dumps_untagged(session, &mut payload).is_none() {
        return Ok(None);
    }
    // With Python's own zlib, so that the cookie is the very one that Flask would set.
    let mut failure = None;
    let cookie = signer.sign_compressed_by(&payload, now, |payload| {
        compress(session.py(), payload)
            .map_err(|error| failure = Some(error))
            .ok()
    });
    failure.map_or(Ok(Some(cookie)), Err)
}

fn compress(py: Python<'_>, payload: &[u8]) -> PyResult<Vec<u8>> {
    static COMPRESS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    COMPRESS
        .import(py, "zlib", "compress")?
        .call1((PyBytes::new(py, payload),))?
        .extract()
}

/// Reads and writes sessions as Flask's default interface does, where they hold nothing but
/// plain JSON values. Everything else is told by `None`, and left to Python.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct SessionSigner {
    signer: TimestampSigner,
}

#[pymethods]
impl SessionSigner {
    /// A signer with a secret key, which also accepts signatures made with older ones.
    #[new]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments of constructors are owned"
    )]
    fn new(key: PyBackedBytes, older_keys: Vec<PyBackedBytes>, salt: PyBackedBytes) -> Self {
        let older = older_keys.iter().map(|key| &**key);
        Self {
            signer: TimestampSigner::new(&key, older, &salt),
        }
    }

    /// As [`read`].
    fn loads<'py>(
        &self,
        py: Python<'py>,
        cookie: &str,
        max_age: u64,
        now: u64,
    ) -> Option<Bound<'py, PyDict>> {
        read(py, &self.signer, cookie, max_age, now)
    }

    /// As [`write`].
    fn dumps(&self, session: &Bound<'_, PyDict>, now: u64) -> PyResult<Option<String>> {
        write(session, &self.signer, now)
    }
}

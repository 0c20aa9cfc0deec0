//! Which compressed neighbours of static files may be sent, for the Python view.

use pyo3::prelude::*;

/// The codings in which a file may be sent to a client, the one it likes best first, each with
/// the suffix of such files' names.
#[pyfunction]
pub(crate) fn accepted_codings(
    name: &str,
    accept_encoding: &str,
) -> Vec<(&'static str, &'static str)> {
    bustapi_core::accepted_codings(name, accept_encoding)
        .into_iter()
        .map(|coding| (coding.name, coding.suffix))
        .collect()
}

/// Whether a file of this name is compressed itself.
#[pyfunction]
pub(crate) fn is_coded(name: &str) -> bool {
    bustapi_core::is_coded(name)
}

//! Requests that have been matched.

use bustapi_core::RequestBody;
use bustapi_http::Request;

use crate::lifecycle::verdict::Verdict;

/// A request and the server's verdict about its rule, if it could tell.
pub(crate) struct Arrived {
    pub(crate) request: Request<RequestBody>,
    pub(crate) verdict: Option<Verdict>,
}

//! What the server found out about a request's rule before Python is asked for anything.

use std::sync::Arc;

use bustapi_router::{Match, MatchError};

use crate::routing::Snapshot;

/// The rule that a request matched, or why it matched none: data until the lifecycle raises it.
pub(crate) type Verdict = Result<(Arc<Snapshot>, Match), MatchError>;

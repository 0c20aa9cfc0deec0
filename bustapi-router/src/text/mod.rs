//! Text as Python sees it, and as URLs write it.

pub(crate) mod python;
pub(crate) mod quote;
pub(crate) mod redirect_target;

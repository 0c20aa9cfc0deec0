//! From a rule's values to a URL.

pub(crate) mod build_url;
pub(crate) mod site;
pub(crate) mod suggest;

//! Messages of HTTP and their syntax.

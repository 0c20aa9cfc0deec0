//! What a view returns, on its way to the connection: the native half of `bustapi.response`.

pub(crate) mod object;
pub(crate) mod page;
pub(crate) mod plain;
pub(crate) mod reply;
pub(crate) mod streams;
pub(crate) mod value;
pub(crate) mod wsgi;

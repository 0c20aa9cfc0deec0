#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod body;
pub mod conditional;
pub mod cookie;
pub mod date;
mod error;
pub mod form;
pub mod headers;
pub mod media_type;
pub mod multipart;
pub mod python_json;
pub mod query;
pub mod range;
mod request;
mod response;
pub mod session_cookie;
pub mod signed_cookie;
pub mod wsgi;

pub use body::{Body, BodyError, BodyStream, FileRange};
pub use error::HttpError;
pub use request::{ConnInfo, Peer, RawTarget, Request, Scheme, sent_query, sent_target};
pub use response::{ReasonPhrase, Response, text_response};

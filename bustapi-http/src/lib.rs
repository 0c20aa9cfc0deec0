//! Messages of HTTP and their syntax.

mod body;
mod request;
mod response;

pub use body::{Body, BodyError, BodyStream, FileRange};
pub use request::{ConnInfo, Peer, Request, Scheme};
pub use response::{Response, text_response};

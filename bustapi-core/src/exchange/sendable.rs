//! Keeps a handler's response from breaking the framing of the connection.
//!
//! hyper frames what it is given and trusts the header fields that it finds. A length that
//! contradicts the body would make the client take the rest of one answer for the next, so
//! the server's own word on framing replaces the handler's wherever they differ.

use bustapi_http::{Body, Response};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{StatusCode, Version};

use crate::exchange::own_answers;
use crate::log::log;

/// Corrects what contradicts the framing of `response`; `is_head` where the request was HEAD.
pub(crate) fn make_sendable(response: &mut Response, is_head: bool) {
    // hyper lowers it for older clients, and cannot write those it does not know.
    *response.version_mut() = Version::HTTP_11;
    let status = response.status();
    if status.is_informational() {
        log(&format!(
            "a handler answered with status {status}, which is not final"
        ));
        *response = own_answers::internal_error();
        return;
    }
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        *response.body_mut() = Body::Empty;
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().remove(TRANSFER_ENCODING);
        return;
    }
    // One look at a few names is cheaper than two look-ups by hash.
    let frames = |name: &HeaderName| *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING;
    if !response.headers().keys().any(frames) {
        return;
    }
    // Codings are the connection's; the handler's body is not coded.
    response.headers_mut().remove(TRANSFER_ENCODING);
    let Some(declared) = response.headers().get(CONTENT_LENGTH) else {
        return;
    };
    let declared = parse_length(declared);
    if is_head && declared.is_some() {
        // The length is that of the answer to GET; hyper must not compare it with this body.
        *response.body_mut() = Body::Empty;
        return;
    }
    match (declared, response.body().exact_length()) {
        (Some(declared), Some(length)) if declared == length => {}
        (Some(_), None) => {}
        (_, length) => {
            log(&format!(
                "a handler gave a content length that its body does not have: {:?}",
                response.headers().get(CONTENT_LENGTH)
            ));
            match length {
                Some(length) => {
                    let length = HeaderValue::from(length);
                    response.headers_mut().insert(CONTENT_LENGTH, length);
                }
                None => {
                    response.headers_mut().remove(CONTENT_LENGTH);
                }
            }
        }
    }
}

/// The length that the head of a response states.
pub(crate) fn content_length(response: &Response) -> Option<u64> {
    parse_length(response.headers().get(CONTENT_LENGTH)?)
}

fn parse_length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use bustapi_http::text_response;

    fn sendable(status: u16, length: Option<&str>, body: &'static str, is_head: bool) -> Response {
        let mut response = text_response(StatusCode::from_u16(status).unwrap(), body);
        if let Some(length) = length {
            let length = HeaderValue::from_str(length).unwrap();
            response.headers_mut().append(CONTENT_LENGTH, length);
        }
        make_sendable(&mut response, is_head);
        response
    }

    fn length_of(response: &Response) -> Option<&str> {
        response.headers().get(CONTENT_LENGTH)?.to_str().ok()
    }

    #[test]
    fn a_wrong_length_is_replaced_by_the_right_one() {
        for declared in ["4", "6", "+5", "five", "", "99999999999999999999"] {
            let response = sendable(200, Some(declared), "hello", false);
            assert_eq!(length_of(&response), Some("5"), "{declared}");
        }
        assert_eq!(
            length_of(&sendable(200, Some("5"), "hello", false)),
            Some("5")
        );
        assert_eq!(length_of(&sendable(200, None, "hello", false)), None);
    }

    #[test]
    fn an_answer_to_head_keeps_the_length_of_get() {
        let response = sendable(200, Some("50"), "hello", true);
        assert_eq!(length_of(&response), Some("50"));
        assert!(matches!(response.body(), Body::Empty));
    }

    #[test]
    fn statuses_without_content_lose_it() {
        for status in [204, 304] {
            let response = sendable(status, Some("5"), "hello", false);
            assert_eq!(length_of(&response), None);
            assert!(matches!(response.body(), Body::Empty));
        }
    }

    #[test]
    fn an_interim_status_is_an_error() {
        assert_eq!(sendable(100, None, "", false).status(), 500);
    }
}

//! A form of any content type and body yields the same however it is cut into chunks, and keeps to
//! its limits.

#![no_main]

use bustapi_http::HttpError;
use bustapi_http::form::{FormDecoder, FormEvent, FormKind, FormLimits};
use libfuzzer_sys::fuzz_target;

fn read(kind: &FormKind, body: &[u8], chunk: usize) -> Result<Vec<FormEvent>, HttpError> {
    let limits = FormLimits {
        max_memory: None,
        max_parts: Some(5),
    };
    let mut decoder = FormDecoder::new(kind, limits)?;
    let mut events = Vec::new();
    for piece in body.chunks(chunk) {
        decoder.receive(piece, &mut events)?;
    }
    decoder.finish(&mut events)?;
    let mut joined: Vec<FormEvent> = Vec::new();
    let mut content: Vec<u8> = Vec::new();
    for event in events {
        if let FormEvent::FileData(data) = event {
            content.extend_from_slice(&data);
            continue;
        }
        if !content.is_empty() {
            joined.push(FormEvent::FileData(std::mem::take(&mut content).into()));
        }
        joined.push(event);
    }
    Ok(joined)
}

fuzz_target!(|data: &[u8]| {
    // The first line is the content type.
    let at = data.iter().position(|&byte| byte == b'\n');
    let Some((content_type, body)) = at.map(|at| (&data[..at], &data[at + 1..])) else {
        return;
    };
    let content_type = String::from_utf8_lossy(content_type);
    let typed = FormKind::of(&content_type);
    let multipart = FormKind::Multipart {
        boundary: content_type.into_owned(),
    };
    for kind in typed.iter().chain([&FormKind::Urlencoded, &multipart]) {
        let whole = read(kind, body, body.len().max(1));
        assert_eq!(read(kind, body, 1), whole);
        assert_eq!(read(kind, body, 3), whole);
        if let Ok(events) = whole {
            let is_part = |event: &&FormEvent| {
                matches!(event, FormEvent::Field { .. } | FormEvent::FileStart { .. })
            };
            let parts = events.iter().filter(is_part).count();
            assert!(parts <= 5 || *kind == FormKind::Urlencoded);
        }
    }
});

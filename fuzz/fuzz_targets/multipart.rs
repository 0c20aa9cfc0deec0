//! A multipart body yields the same events, and the same verdict, however it is cut into chunks.

#![no_main]

use bustapi_http::HttpError;
use bustapi_http::multipart::{Event, MultipartDecoder, MultipartLimits};
use libfuzzer_sys::fuzz_target;

/// What a body was read as: parts of the description, and the content joined.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    events: Vec<Event>,
    contents: Vec<Vec<u8>>,
}

fn read(body: &[u8], chunk: usize) -> (Option<Reading>, Option<HttpError>) {
    let limits = MultipartLimits {
        max_buffered: None,
        max_parts: Some(100),
    };
    let mut reading = Reading::default();
    let mut run = || -> Result<(), HttpError> {
        let mut decoder = MultipartDecoder::new(b"b", limits)?;
        for piece in body.chunks(chunk).map(Some).chain([None]) {
            match piece {
                Some(piece) => decoder.receive(piece)?,
                None => decoder.finish(),
            }
            loop {
                match decoder.next_event()? {
                    Event::NeedData => break,
                    Event::Data { data, .. } => {
                        let content = reading.contents.last_mut().expect("a part comes first");
                        content.extend_from_slice(&data);
                    }
                    event @ (Event::Field { .. } | Event::File { .. }) => {
                        reading.contents.push(Vec::new());
                        reading.events.push(event);
                    }
                    event @ Event::Epilogue(_) => {
                        reading.events.push(event);
                        return Ok(());
                    }
                    event @ Event::Preamble(_) => reading.events.push(event),
                }
            }
        }
        Ok(())
    };
    match run() {
        Ok(()) => (Some(reading), None),
        Err(error) => (None, Some(error)),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, body)) = data.split_first() else {
        return;
    };
    let whole = read(body, body.len().max(1));
    assert_eq!(read(body, usize::from(first % 16) + 1), whole);
});

//! What holds for every input: nothing panics, what is written is read back, and how a body is
//! cut into chunks does not matter.

use bustapi_http::conditional::{ETag, ETags, IfRange};
use bustapi_http::cookie::{SetCookie, parse_cookies};
use bustapi_http::date::HttpDate;
use bustapi_http::form::{FormDecoder, FormEvent, FormKind, FormLimits};
use bustapi_http::media_type::{Accept, AcceptKind, MediaTypes};
use bustapi_http::multipart::{
    Event, MultipartDecoder, MultipartEncoder, MultipartLimits, PartHeaders,
};
use bustapi_http::query::{
    encode_query, parse_query, percent_decode, percent_decode_lossy, percent_encode,
    percent_encode_plus,
};
use bustapi_http::range::{ContentRange, Range, resolve_range};
use bustapi_http::{HttpError, headers};
use bytes::Bytes;
use proptest::prelude::*;

/// Text made of what means something in some header.
fn header_like() -> impl Strategy<Value = String> {
    let fragments = prop::sample::select(vec![
        "a",
        "bytes",
        "=",
        "-",
        "0",
        "9",
        "99999999999999999999",
        ",",
        ";",
        " ",
        "\t",
        "\"",
        "\\",
        "\\\"",
        "'",
        "*",
        "*0",
        "UTF-8''",
        "%",
        "%41",
        "%ff",
        "é",
        "\u{85}",
        "W/",
        "/",
        "q=0.5",
        "Sun",
        "06",
        "Nov",
        "1994",
        "08:49:37",
        "GMT",
        "+0100",
        "\r",
        "\n",
        "\0",
        "\u{10ffff}",
    ]);
    prop_oneof![
        prop::collection::vec(fragments, 0..24).prop_map(|parts| parts.concat()),
        ".*",
    ]
}

/// A body made of what means something in a multipart body of boundary `b`.
fn body_like() -> impl Strategy<Value = Vec<u8>> {
    let fragments = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "--b",
        "--b--",
        "\r\n--b\r\n",
        "\r\n--b--",
        " ",
        "\t",
        "x",
        "-",
        "--",
        "Content-Disposition: form-data; name=a",
        "; filename=f",
        "\r\n\r\n",
        "\n\n",
        "X: y",
    ]);
    let tail = prop::collection::vec(fragments, 0..20).prop_map(|parts| parts.concat());
    (any::<bool>(), tail).prop_map(|(headed, tail)| {
        let head = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        format!("{}{tail}", if headed { head } else { "" }).into_bytes()
    })
}

/// Cuts `body` at `cuts`, taken modulo its length.
fn chunks<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    let mut start = 0;
    let mut out = Vec::new();
    for cut in cuts.into_iter().chain([body.len()]) {
        out.push(&body[start..cut]);
        start = cut;
    }
    out
}

/// All events, pieces of content joined, and the error that ended them.
fn decode(pieces: &[&[u8]]) -> (Vec<Event>, Option<HttpError>) {
    let mut events: Vec<Event> = Vec::new();
    let mut run = || -> Result<(), HttpError> {
        let mut decoder = MultipartDecoder::new(b"b", MultipartLimits::default())?;
        for piece in pieces.iter().map(Some).chain([None]) {
            match piece {
                Some(piece) => decoder.receive(piece)?,
                None => decoder.finish(),
            }
            loop {
                match (decoder.next_event()?, events.last_mut()) {
                    (Event::NeedData, _) => break,
                    (
                        Event::Data { data: new, more },
                        Some(Event::Data {
                            data,
                            more: before @ true,
                        }),
                    ) => {
                        *data = Bytes::from([data.as_ref(), new.as_ref()].concat());
                        *before = more;
                    }
                    (event @ Event::Epilogue(_), _) => {
                        events.push(event);
                        return Ok(());
                    }
                    (event, _) => events.push(event),
                }
            }
        }
        Ok(())
    };
    let error = run().err();
    if error.is_some() {
        // How much of a content without an end is handed out does depend on the chunks.
        events.pop_if(|last| matches!(last, Event::Data { more: true, .. }));
    }
    (events, error)
}

proptest! {
    #[test]
    fn no_header_panics(text in header_like(), other in header_like(), length: u64) {
        let _ = headers::parse_list(&text);
        let _ = headers::parse_dict(&text);
        let (value, options) = headers::parse_options(&text);
        let _ = headers::dump_options(value, options.iter().map(|(key, value)| (key, value.as_str())));
        let _ = headers::content_length(Some(&text), Some(&other));
        // Either is an answer.
        let _ = headers::header_value(&other, &text);
        let _ = headers::header_name(&text);
        parse_cookies(&text).for_each(drop);
        let _ = HttpDate::parse(&text).map(HttpDate::to_header_value);
        let _ = Range::parse(&text).map(|range| range.to_string());
        let _ = ContentRange::parse(&text).map(|range| range.to_string());
        let _ = resolve_range(&text, length);
        let _ = ETags::parse(&text).contains_weak(&other);
        let _ = ETag::parse(&text).to_header_value();
        let _ = IfRange::parse(&text);
        for kind in [AcceptKind::Word, AcceptKind::MediaType, AcceptKind::Language] {
            let _ = Accept::parse(&text, kind).best_match([other.as_str(), "text/html"]);
        }
        let _ = MediaTypes::new().content_type(&text);
        let _ = FormKind::of(&text);
    }

    #[test]
    fn percent_encoding_is_read_back(text: String, safe in "[!-~]{0,5}") {
        let safe = safe.replace('%', "");
        let encoded = percent_encode(&text, &safe);
        prop_assert_eq!(&percent_decode(&encoded), &text);
        prop_assert_eq!(&percent_decode_lossy(&encoded), &text);
        prop_assert!(encoded.is_ascii() && !encoded.contains(' '));
        prop_assert!(!percent_encode_plus(&text, "").contains(' '));
    }

    #[test]
    fn queries_are_read_back(pairs: Vec<(String, String)>) {
        let query = encode_query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let read: Vec<_> = parse_query(&query)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        prop_assert_eq!(read, pairs);
    }

    #[test]
    fn cookie_values_are_read_back(name in "[a-zA-Z0-9_-]{1,8}", value: String) {
        let header = SetCookie::new(&name, &value).to_header(HttpDate::from_unix(0)).unwrap();
        prop_assert!(header.is_ascii() && !header.contains(|c: char| c.is_ascii_control()));
        let read: Vec<_> = parse_cookies(&header).take(1).collect();
        prop_assert_eq!(read, [(name.as_str(), value.into())]);
    }

    #[test]
    fn options_are_read_back(key in "[a-z]{1,5}", value: String) {
        // What `%22` and line breaks mean differs between writers; headers hold neither raw.
        prop_assume!(!value.contains("%22") && !value.contains(['\r', '\n']));
        let header = headers::dump_options("x/y", [(key.as_str(), value.as_str())]);
        let (first, options) = headers::parse_options(&header);
        prop_assert_eq!(first, "x/y");
        if value.contains('\\') {
            // Werkzeug undoes `\\` and `\"` one after the other, and so confuses their mixture.
            prop_assert!(options.get(&key).is_some());
        } else {
            prop_assert_eq!(options.get(&key), Some(&value));
        }
    }

    #[test]
    fn lists_are_read_back(items: Vec<String>) {
        let items: Vec<_> = items
            .into_iter()
            .filter(|item| !item.contains(['\r', '\n']))
            .collect();
        let header = headers::dump_list(items.iter().map(String::as_str));
        prop_assert_eq!(headers::parse_list(&header), items);
    }

    #[test]
    fn dates_are_read_back(seconds in -59_000_000_000_i64..253_402_300_800) {
        // Years before 100 would be read as of two digits.
        let date = HttpDate::from_unix(seconds);
        prop_assert_eq!(HttpDate::parse(&date.to_string()), Some(date));
    }

    #[test]
    fn any_moment_can_be_written(seconds: i64) {
        let _ = HttpDate::from_unix(seconds).to_header_value();
    }

    #[test]
    fn satisfied_ranges_lie_within(text in "bytes=[0-9]{0,3}-[0-9]{0,3}", length in 0_u64..300) {
        if let Ok(span) = resolve_range(&text, length) {
            prop_assert!(span.start < span.end && span.end <= length);
        }
    }

    #[test]
    fn chunks_do_not_matter(body in body_like(), cuts: Vec<usize>) {
        let whole = decode(&[&body]);
        let pieces: Vec<_> = body.chunks(1).collect();
        prop_assert_eq!(&decode(&pieces), &whole);
        prop_assert_eq!(&decode(&chunks(&body, &cuts)), &whole);
    }

    #[test]
    fn chunks_of_anything_do_not_matter(body: Vec<u8>, cuts: Vec<usize>) {
        prop_assert_eq!(decode(&chunks(&body, &cuts)), decode(&[&body]));
    }

    #[test]
    fn forms_do_not_depend_on_chunks(body in body_like(), cuts: Vec<usize>, limit: Option<u8>) {
        let limits = FormLimits {
            max_memory: limit.map(usize::from),
            max_parts: Some(3),
        };
        for content_type in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"] {
            let kind = FormKind::of(content_type).unwrap();
            let read = |pieces: &[&[u8]]| {
                let mut events = Vec::new();
                let mut decoder = FormDecoder::new(&kind, limits)?;
                for piece in pieces {
                    decoder.receive(piece, &mut events)?;
                }
                decoder.finish(&mut events)?;
                Ok::<_, HttpError>(join(events))
            };
            prop_assert_eq!(read(&chunks(&body, &cuts)).ok(), read(&[&body]).ok());
        }
    }

    #[test]
    fn multipart_is_read_back(
        parts in prop::collection::vec(
            (any::<String>(), prop::option::of(any::<String>()), any::<Vec<Vec<u8>>>()), 0..5),
        cuts: Vec<usize>,
    ) {
        // No random content holds this boundary.
        let boundary = "----4a6e0c8d2f";
        let mut encoder = MultipartEncoder::new(boundary);
        let mut body = encoder.encode(&Event::Preamble(Bytes::new())).unwrap();
        let mut expected = Vec::new();
        for (name, filename, contents) in &parts {
            // What a name cannot carry: see the encoder, and Werkzeug's reading of backslashes.
            let clean = |text: &String| text.replace(['\r', '\n', '\\', '%'], "");
            let (name, filename) = (clean(name), filename.as_ref().map(clean));
            let headers = PartHeaders::from_iter([("X-A".to_owned(), "b c".to_owned())]);
            let event = match filename.clone() {
                Some(filename) => Event::File { name: Some(name.clone()), filename, headers },
                None => Event::Field { name: Some(name.clone()), headers },
            };
            body.extend(encoder.encode(&event).unwrap());
            for data in contents {
                let data = Event::Data { data: Bytes::copy_from_slice(data), more: true };
                body.extend(encoder.encode(&data).unwrap());
            }
            let end = Event::Data { data: Bytes::new(), more: false };
            body.extend(encoder.encode(&end).unwrap());
            expected.push((name, filename, contents.concat()));
        }
        body.extend(encoder.encode(&Event::Epilogue(Bytes::new())).unwrap());

        let kind = FormKind::Multipart { boundary: boundary.to_owned() };
        let limits = FormLimits { max_memory: None, max_parts: None };
        let mut decoder = FormDecoder::new(&kind, limits).unwrap();
        let mut events = Vec::new();
        for piece in chunks(&body, &cuts) {
            decoder.receive(piece, &mut events).unwrap();
        }
        decoder.finish(&mut events).unwrap();
        let mut read = Vec::new();
        for event in join(events) {
            match event {
                FormEvent::Field { name, value } => read.push((name.unwrap(), None, value.into_bytes())),
                FormEvent::FileStart { name, filename, headers } => {
                    prop_assert_eq!(headers.get("x-a"), Some("b c"));
                    read.push((name.unwrap(), Some(filename), Vec::new()));
                }
                FormEvent::FileData(data) => read.last_mut().unwrap().2.extend_from_slice(&data),
                FormEvent::FileEnd => {}
            }
        }
        for part in &mut expected {
            if part.1.is_none() {
                part.2 = String::from_utf8_lossy(&part.2).into_owned().into_bytes();
            }
        }
        prop_assert_eq!(read, expected);
    }
}

/// Joins the pieces of files.
fn join(events: Vec<FormEvent>) -> Vec<FormEvent> {
    let mut joined: Vec<FormEvent> = Vec::new();
    for event in events {
        match (event, joined.last_mut()) {
            (FormEvent::FileData(new), Some(FormEvent::FileData(data))) => {
                *data = Bytes::from([data.as_ref(), new.as_ref()].concat());
            }
            (event, _) => joined.push(event),
        }
    }
    joined
}

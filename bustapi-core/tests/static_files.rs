//! Files as Flask sends them. What is expected was recorded from Flask 3.1.3 (Werkzeug 3.1.9).

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bustapi_core::{Config, FileError, StaticFiles};
use bustapi_http::{Body, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::support::{get, serve};

/// A directory of its own for one test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bustapi-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("sub")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        set_time(&path);
        path
    }

    fn files(&self) -> StaticFiles {
        StaticFiles::new(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Half a second past Tue, 14 Nov 2023 22:13:20 GMT.
fn set_time(path: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

fn request(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn fields(response: &Response) -> Vec<(&str, &str)> {
    let pairs = response.headers().iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect()
}

fn bytes(response: &Response) -> &[u8] {
    match response.body() {
        Body::Empty => b"",
        Body::Bytes(bytes) => bytes,
        other => panic!("not in memory: {other:?}"),
    }
}

fn respond(files: &StaticFiles, path: &str, fields: &[(&str, &str)]) -> Response {
    files.respond(path, &Method::GET, &request(fields)).unwrap()
}

fn adler32(text: &str) -> u32 {
    let (low, high) = text.bytes().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(byte)) % 65521;
        (low, (high + low) % 65521)
    });
    high << 16 | low
}

fn etag(path: &Path, length: usize) -> String {
    format!(
        "\"1700000000.5-{length}-{}\"",
        adler32(path.to_str().unwrap())
    )
}

#[test]
fn a_file_has_the_headers_of_send_file() {
    let directory = Directory::new("headers");
    let path = directory.write("hello.txt", "hello world");
    let files = directory.files();
    let tag = etag(&path, 11);
    let expected = [
        ("content-disposition", "inline; filename=hello.txt"),
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "11"),
        ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("cache-control", "no-cache"),
        ("etag", &tag),
        ("accept-ranges", "bytes"),
    ];
    // From the disk, then from memory.
    for _ in 0..2 {
        let response = respond(&files, "hello.txt", &[]);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(fields(&response), expected);
        assert_eq!(bytes(&response), b"hello world");
    }
    let response = files
        .respond("hello.txt", &Method::HEAD, &HeaderMap::new())
        .unwrap();
    assert_eq!(fields(&response), expected);
    assert_eq!(bytes(&response), b"");
}

#[test]
fn names_and_types_are_werkzeugs() {
    let directory = Directory::new("names");
    let files = directory.files();
    for (name, disposition, media_type, encoding) in [
        (
            "empty.css",
            "inline; filename=empty.css",
            "text/css; charset=utf-8",
            None,
        ),
        (
            "a b.bin",
            "inline; filename=\"a b.bin\"",
            "application/octet-stream",
            None,
        ),
        (
            "noext",
            "inline; filename=noext",
            "application/octet-stream",
            None,
        ),
        (
            "q\"uo.txt",
            "inline; filename=\"q\\\"uo.txt\"",
            "text/plain; charset=utf-8",
            None,
        ),
        (
            "x.tar.gz",
            "inline; filename=x.tar.gz",
            "application/x-tar",
            Some("gzip"),
        ),
        (
            "caf\u{e9}.txt",
            "inline; filename=caf.txt; filename*=UTF-8''caf%C3%A9.txt",
            "text/plain; charset=utf-8",
            None,
        ),
    ] {
        directory.write(name, "");
        let response = respond(&files, name, &[]);
        let field = |name| {
            response
                .headers()
                .get(name)
                .map(|value: &HeaderValue| value.to_str().unwrap())
        };
        assert_eq!(field("content-disposition"), Some(disposition));
        assert_eq!(field("content-type"), Some(media_type), "{name}");
        assert_eq!(field("content-encoding"), encoding, "{name}");
        assert_eq!(field("content-length"), Some("0"), "{name}");
    }
    let files = directory
        .files()
        .with_ascii_name(|name| name.replace('\u{e9}', "e"));
    let response = respond(&files, "caf\u{e9}.txt", &[]);
    let disposition = response.headers()["content-disposition"].to_str().unwrap();
    assert!(
        disposition.starts_with("inline; filename=cafe.txt; "),
        "{disposition}"
    );
}

#[test]
fn conditions_are_werkzeugs() {
    let directory = Directory::new("conditions");
    let path = directory.write("a.txt", "hello world");
    let files = directory.files();
    let tag = etag(&path, 11);
    let weak = format!("W/{tag}");
    let time = "Tue, 14 Nov 2023 22:13:20 GMT";
    let earlier = "Tue, 14 Nov 2023 22:13:19 GMT";
    for (conditions, status) in [
        (&[("if-none-match", tag.as_str())][..], 304),
        (&[("if-none-match", weak.as_str())], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"x\", \"y\"")], 200),
        (&[("if-match", &tag)], 200),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-modified-since", time)], 304),
        (&[("if-modified-since", earlier)], 200),
        (&[("if-modified-since", "yesterday")], 200),
        (
            &[("if-modified-since", time), ("if-none-match", "\"x\"")],
            200,
        ),
        (&[("if-unmodified-since", earlier)], 200),
    ] {
        let response = respond(&files, "a.txt", conditions);
        assert_eq!(response.status(), status, "{conditions:?}");
        let length = if status == 304 { 0 } else { 11 };
        assert_eq!(bytes(&response).len(), length, "{conditions:?}");
    }
    let response = respond(&files, "a.txt", &[("if-none-match", "*")]);
    assert_eq!(
        fields(&response),
        [
            ("content-disposition", "inline; filename=a.txt"),
            ("cache-control", "no-cache"),
            ("etag", &tag),
            ("accept-ranges", "bytes"),
        ]
    );
}

#[test]
fn ranges_are_werkzeugs() {
    let directory = Directory::new("ranges");
    let path = directory.write("a.txt", "hello world");
    directory.write("empty", "");
    let files = directory.files();
    let tag = etag(&path, 11);
    for (range, content, of) in [
        ("bytes=0-4", "hello", "bytes 0-4/11"),
        ("bytes=5-", " world", "bytes 5-10/11"),
        ("bytes=-3", "rld", "bytes 8-10/11"),
        ("bytes=0-100", "hello world", "bytes 0-10/11"),
    ] {
        let response = respond(&files, "a.txt", &[("range", range)]);
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(bytes(&response), content.as_bytes());
        assert_eq!(response.headers()["content-range"], of);
        assert_eq!(
            response.headers()["content-length"],
            content.len().to_string()
        );
    }
    for range in [
        "bytes=0-0,2-3",
        "bytes=11-",
        "x=0-1",
        "bytes=-20",
        "bytes=",
        "bytes=5-4",
    ] {
        let refused = files.respond("a.txt", &Method::GET, &request(&[("range", range)]));
        assert!(
            matches!(refused, Err(FileError::Range { length: 11, .. })),
            "{range}"
        );
    }
    let part = ("range", "bytes=0-4");
    let status = |more: &[(&str, &str)]| respond(&files, "a.txt", more).status().as_u16();
    assert_eq!(status(&[part, ("if-range", &tag)]), 206);
    assert_eq!(status(&[part, ("if-range", "\"x\"")]), 200);
    assert_eq!(status(&[part, ("if-none-match", &tag)]), 206);
    assert_eq!(respond(&files, "empty", &[part]).status(), StatusCode::OK);
}

#[test]
fn ages_are_told_as_flask_does() {
    let directory = Directory::new("ages");
    directory.write("a.txt", "x");
    for (age, control) in [(60, "public, max-age=60"), (0, "no-cache, max-age=0")] {
        let files = directory.files().with_max_age(Some(age));
        for conditions in [&[][..], &[("if-none-match", "*")]] {
            let response = respond(&files, "a.txt", conditions);
            assert_eq!(response.headers()["cache-control"], control);
            assert!(response.headers().contains_key("expires"));
        }
    }
}

#[test]
fn a_changed_file_is_never_answered_from_memory() {
    let directory = Directory::new("changed");
    let files = directory.files();
    directory.write("a.txt", "one");
    assert_eq!(bytes(&respond(&files, "a.txt", &[])), b"one");
    // Of the same length and time, but another file.
    let other = directory.write("b.txt", "two");
    std::fs::rename(other, directory.0.join("a.txt")).unwrap();
    assert_eq!(bytes(&respond(&files, "a.txt", &[])), b"two");
    // Changed in place, again and again within a tick of the clock.
    for content in ["abc", "def", "ghi"] {
        std::fs::write(directory.0.join("a.txt"), content).unwrap();
        assert_eq!(bytes(&respond(&files, "a.txt", &[])), content.as_bytes());
    }
    std::fs::remove_file(directory.0.join("a.txt")).unwrap();
    let gone = files.respond("a.txt", &Method::GET, &HeaderMap::new());
    assert!(matches!(gone, Err(FileError::NotFound { .. })));
}

#[test]
fn what_is_no_file_is_not_found() {
    let directory = Directory::new("missing");
    directory.write("a.txt", "x");
    let files = directory.files();
    let long = "x".repeat(5000);
    for path in [
        "",
        "sub",
        "sub/",
        "missing",
        "a.txt\0",
        "..",
        "../etc/passwd",
        "/etc/passwd",
        &long,
    ] {
        let answer = files.respond(path, &Method::GET, &HeaderMap::new());
        assert!(
            matches!(answer, Err(FileError::NotFound { .. })),
            "{path:.40}"
        );
    }
    // Werkzeug normalizes a path before it looks.
    for path in ["./a.txt", "sub/../a.txt", "sub//../a.txt", "a.txt/"] {
        assert_eq!(
            respond(&files, path, &[]).status(),
            StatusCode::OK,
            "{path}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_unless_forbidden() {
    let directory = Directory::new("links");
    let outside = Directory::new("links-outside");
    let secret = outside.write("secret.txt", "secret");
    directory.write("a.txt", "x");
    std::os::unix::fs::symlink(&secret, directory.0.join("out.txt")).unwrap();
    std::os::unix::fs::symlink(directory.0.join("a.txt"), directory.0.join("in.txt")).unwrap();
    assert_eq!(
        bytes(&respond(&directory.files(), "out.txt", &[])),
        b"secret"
    );
    let files = directory.files().with_links(false);
    assert_eq!(bytes(&respond(&files, "in.txt", &[])), b"x");
    let answer = files.respond("out.txt", &Method::GET, &HeaderMap::new());
    assert!(matches!(answer, Err(FileError::NotFound { .. })));
}

#[test]
fn compressed_neighbours_go_to_who_takes_them() {
    let directory = Directory::new("compressed");
    for name in ["a.css", "a.css.gz", "a.css.br", "b.css"] {
        directory.write(name, name);
    }
    let files = directory.files().with_precompressed(true);
    for (path, accepts, content, encoding) in [
        ("a.css", "gzip, deflate, br", "a.css.br", Some("br")),
        ("a.css", "gzip", "a.css.gz", Some("gzip")),
        ("a.css", "br;q=0, gzip;q=0.5", "a.css.gz", Some("gzip")),
        ("a.css", "br;q=0.5, gzip", "a.css.gz", Some("gzip")),
        ("a.css", "*", "a.css.br", Some("br")),
        ("a.css", "*;q=0.5, br;q=0", "a.css.gz", Some("gzip")),
        ("a.css", "BR", "a.css.br", Some("br")),
        ("a.css", "identity", "a.css", None),
        ("a.css", "gzip;q=0.5, identity", "a.css", None),
        ("a.css", "gzip;q=0, *;q=0", "a.css", None),
        ("a.css", "", "a.css", None),
        ("b.css", "gzip, br", "b.css", None),
    ] {
        let response = respond(&files, path, &[("accept-encoding", accepts)]);
        assert_eq!(bytes(&response), content.as_bytes(), "{accepts}");
        let headers = response.headers();
        assert_eq!(
            headers.get("content-encoding").map(HeaderValue::as_bytes),
            encoding.map(str::as_bytes)
        );
        assert_eq!(headers["content-type"], "text/css; charset=utf-8");
        assert_eq!(
            headers["content-disposition"],
            format!("inline; filename={path}")
        );
        assert_eq!(headers["vary"], "Accept-Encoding");
    }
    let accepts = ("accept-encoding", "gzip, br");
    let coded = respond(&files, "a.css", &[accepts]);
    let plain = respond(&files, "a.css", &[]);
    assert_ne!(coded.headers()["etag"], plain.headers()["etag"]);
    let tag = coded.headers()["etag"].to_str().unwrap();
    let known = ("if-none-match", tag);
    let unmodified = respond(&files, "a.css", &[accepts, known]);
    assert_eq!(unmodified.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(unmodified.headers()["vary"], "Accept-Encoding");
    assert_eq!(
        respond(&files, "a.css", &[known]).status(),
        StatusCode::OK,
        "another representation"
    );
    let part = respond(&files, "a.css", &[accepts, ("range", "bytes=6-")]);
    assert_eq!(bytes(&part), b"br", "of the coded file");
    assert_eq!(part.headers()["content-range"], "bytes 6-7/8");
    assert_eq!(part.headers()["content-encoding"], "br");

    directory.write("a.css.gz.br", "twice");
    let asked_for = respond(&files, "a.css.gz", &[accepts]);
    assert_eq!(bytes(&asked_for), b"a.css.gz");
    assert!(!asked_for.headers().contains_key("vary"));

    let response = respond(&directory.files(), "a.css", &[accepts]);
    assert_eq!(bytes(&response), b"a.css", "Flask does not do it");
    assert!(!response.headers().contains_key("vary"));
}

#[test]
fn files_are_served_below_their_prefix() {
    let directory = Directory::new("served");
    directory.write("a b.txt", "hello");
    let large: Vec<u8> = (0..1_000_000_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    directory.write("large", &large);
    let server = serve(Config::default(), directory.files().at("/static/"));
    let mut client = server.connect();
    let mut ask = |request: String| {
        client.send(&request);
        client.reply_to(request.starts_with("HEAD"))
    };
    assert_eq!(ask(get("/static/a%20b.txt")).text(), "hello");
    let reply = ask(get("/static/large"));
    assert!(reply.body == large, "{} bytes", reply.body.len());
    let range = "GET /static/large HTTP/1.1\r\nHost: a\r\nRange: bytes=300000-699999\r\n\r\n";
    let reply = ask(range.to_owned());
    assert_eq!(reply.status, 206);
    assert!(
        reply.body == large[300_000..700_000],
        "{} bytes",
        reply.body.len()
    );
    let head = ask("HEAD /static/large HTTP/1.1\r\nHost: a\r\n\r\n".to_owned());
    assert_eq!(head.field("content-length"), Some("1000000"));
    let unmodified = "GET /static/large HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n";
    assert_eq!(ask(unmodified.to_owned()).status, 304);
    let refused = "GET /static/large HTTP/1.1\r\nHost: a\r\nRange: bytes=1000000-\r\n\r\n";
    let reply = ask(refused.to_owned());
    assert_eq!(
        (reply.status, reply.field("content-range")),
        (416, Some("bytes */1000000"))
    );
    for path in [
        "/static/missing",
        "/other",
        "/static/..%2f..%2fetc/passwd",
        "/static/%2e%2e/x",
    ] {
        assert_eq!(ask(get(path)).status, 404, "{path}");
    }
    let reply = ask("POST /static/large HTTP/1.1\r\nHost: a\r\n\r\n".to_owned());
    assert_eq!(
        (reply.status, reply.field("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_breaks_the_answer_off() {
    crate::support::collect_log();
    let directory = Directory::new("shrinks");
    let path = directory.write("large", vec![b'x'; 64 * 1024 * 1024]);
    let server = serve(Config::default(), directory.files().at("/"));
    let mut client = server.connect();
    client.send(get("/large"));
    assert_eq!(client.reply_head().status, 200);
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1)
        .unwrap();
    assert!(client.rest().len() < 64 * 1024 * 1024);
    assert!(crate::support::logged("became shorter") > 0);
}

#[test]
fn files_and_other_answers_keep_their_order_on_a_connection() {
    let directory = Directory::new("order");
    let large = |seed: u8| -> Vec<u8> {
        let bytes = (0..900_000_u32).map(|number| number.to_le_bytes()[1] ^ seed);
        bytes.collect()
    };
    directory.write("one", large(1));
    directory.write("two", large(2));
    directory.write("small", "small");
    let server = serve(Config::default(), directory.files().at("/"));
    let mut client = server.connect();
    let head = "HEAD /two HTTP/1.1\r\nHost: a\r\n\r\n";
    let part = "GET /one HTTP/1.1\r\nHost: a\r\nRange: bytes=70000-\r\n\r\n";
    client.send(
        [
            &get("/one"),
            &get("/small"),
            head,
            &get("/two"),
            part,
            &get("/small"),
        ]
        .concat(),
    );
    assert!(client.reply_to(false).body == large(1));
    assert_eq!(client.reply_to(false).text(), "small");
    assert_eq!(
        client.reply_to(true).field("content-length"),
        Some("900000")
    );
    assert!(client.reply_to(false).body == large(2));
    assert!(client.reply_to(false).body == large(1)[70_000..]);
    assert_eq!(client.reply_to(false).text(), "small");
}

#[test]
fn clients_that_do_not_read_hold_up_nobody() {
    let directory = Directory::new("unread");
    let large = vec![b'x'; 32 * 1024 * 1024];
    directory.write("large", &large);
    let server = serve(Config::default(), directory.files().at("/"));
    let lazy: Vec<_> = std::iter::repeat_with(|| {
        let mut client = server.connect();
        client.send(get("/large"));
        assert_eq!(client.reply_head().status, 200);
        client
    })
    .take(30)
    .collect();
    let mut client = server.connect();
    client.send(get("/large"));
    assert!(client.reply_to(false).body == large);
    drop(lazy);
}

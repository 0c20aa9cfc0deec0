//! Files of a directory, with the answers of Flask's `send_from_directory`.
//!
//! [`StaticFiles`] answers for a path within its directory; [`StaticFiles::at`] makes a
//! [`Handler`] of it. Validators, `Content-Disposition`, ranges and conditions are
//! Werkzeug's, so that a client's cache outlives a change of server.
//!
//! Small files are kept in memory. The system is still asked for the file's time and length
//! after a request has come, so that no answer is older than the file. That is half the cost of
//! an answer; the requests that an IO thread answers in one [`Batch`] share it.

mod codings;
mod seen;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bustapi_http::conditional::{ETag, Outcome, Validators, evaluate};
use bustapi_http::date::HttpDate;
use bustapi_http::headers::{dump_options, is_dropped_by_not_modified, joined_text};
use bustapi_http::media_type::{MediaTypes, OCTET_STREAM, with_charset};
use bustapi_http::query::{percent_decode_lossy, percent_encode};
use bustapi_http::range::{ByteSpan, ContentRange};
use bustapi_http::{Body, Response, text_response};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue,
    LAST_MODIFIED, VARY,
};
use http::{Method, StatusCode};

use crate::dispatch::handler::Handler;
use crate::dispatch::routed::Routed;
use crate::exchange::own_answers;
use crate::exchange::responder::Responder;
use crate::executor::batch::Batch;
use crate::log::log;

pub use codings::{Coding, accepted_codings, is_coded};
use seen::{ATTEMPTS, Cache, Content, SeenFile, Stamp, read};

/// Why there is no file to answer with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// No file of that name is within the directory; answers 404.
    #[error("no file `{path}`")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// The file has no such range; answers 416.
    #[error("no such range in `{path}` of {length} bytes")]
    Range {
        /// The path asked for.
        path: String,
        /// The file's length in bytes.
        length: u64,
    },
    /// The file is there and cannot be read; answers 500.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The path asked for.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Makes an ASCII name of another one.
type AsciiName = Box<dyn Fn(&str) -> String + Send + Sync>;

/// Answers with the files of a directory.
///
/// ```
/// use bustapi_core::{FileError, StaticFiles};
/// use http::{HeaderMap, Method};
///
/// let files = StaticFiles::new(env!("CARGO_MANIFEST_DIR"));
/// let response = files.respond("src/lib.rs", &Method::GET, &HeaderMap::new())?;
/// assert_eq!(response.headers()["content-disposition"], "inline; filename=lib.rs");
/// let outside = files.respond("../Cargo.toml", &Method::GET, &HeaderMap::new());
/// assert!(matches!(outside, Err(FileError::NotFound { .. })));
/// # Ok::<(), FileError>(())
/// ```
pub struct StaticFiles {
    root: PathBuf,
    max_age: Option<u32>,
    follow_links: bool,
    precompressed: bool,
    media_types: MediaTypes,
    ascii_name: AsciiName,
    cache: Mutex<Cache>,
}

impl std::fmt::Debug for StaticFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticFiles")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl StaticFiles {
    /// Answers with the files of `root`. Symbolic links are followed, as Flask does.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            max_age: None,
            follow_links: true,
            precompressed: false,
            media_types: MediaTypes::new(),
            ascii_name: Box::new(|name| name.chars().filter(char::is_ascii).collect()),
            cache: Mutex::default(),
        }
    }

    /// For how many seconds clients may use their copy unasked; with `None` they always ask.
    #[must_use]
    pub fn with_max_age(mut self, seconds: Option<u32>) -> Self {
        self.max_age = seconds;
        self
    }

    /// Whether symbolic links may lead out of the directory.
    #[must_use]
    pub fn with_links(mut self, follow: bool) -> Self {
        self.follow_links = follow;
        self
    }

    /// Whether `name.br` or `name.gz` is sent in place of `name` to clients that take it.
    #[must_use]
    pub fn with_precompressed(mut self, precompressed: bool) -> Self {
        self.precompressed = precompressed;
        self
    }

    /// The types of files by their extensions.
    #[must_use]
    pub fn with_media_types(mut self, types: MediaTypes) -> Self {
        self.media_types = types;
        self
    }

    /// How a name beyond ASCII is written for old clients in `Content-Disposition`. Without
    /// it, other characters are left out; Werkzeug first decomposes them (NFKD).
    #[must_use]
    pub fn with_ascii_name(
        mut self,
        ascii_name: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        self.ascii_name = Box::new(ascii_name);
        self
    }

    /// A handler for the paths that begin with `prefix`, such as `/static/`. It answers 404
    /// itself.
    ///
    /// ```
    /// use bustapi_core::{Dispatcher, StaticFiles};
    ///
    /// let dispatcher = Dispatcher::to(StaticFiles::new("static").at("/static/"));
    /// ```
    pub fn at(self, prefix: impl Into<String>) -> impl Handler {
        StaticHandler {
            files: self,
            prefix: prefix.into(),
        }
    }

    /// The answer to a request for `path`, which is relative to the directory and decoded.
    /// Methods other than GET and HEAD are answered as GET. Opens the file and reads it if it
    /// is small, which may wait for a disk.
    ///
    /// # Errors
    ///
    /// [`FileError`], for the caller to answer.
    pub fn respond(
        &self,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, FileError> {
        let not_found = || FileError::NotFound {
            path: path.to_owned(),
        };
        let safe = safe_path(path).ok_or_else(not_found)?;
        if self.precompressed
            && let Some(accepted) = joined_text(headers, &ACCEPT_ENCODING)
        {
            for coding in accepted_codings(&safe, &accepted) {
                match self.respond_with(&safe, Some(coding), method, headers) {
                    Err(FileError::NotFound { .. }) => {}
                    answer => return answer,
                }
            }
        }
        self.respond_with(&safe, None, method, headers)
    }

    fn respond_with(
        &self,
        path: &str,
        coding: Option<&'static Coding>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, FileError> {
        for _ in 0..ATTEMPTS {
            let file = self.find(path, coding)?;
            if let Some(response) = self.answer(&file, path, method, headers)? {
                return Ok(response);
            }
        }
        Err(FileError::Unreadable {
            path: path.to_owned(),
            source: io::Error::other("the file changes all the time"),
        })
    }

    /// The answer with `file`; `None` if it has changed meanwhile.
    fn answer(
        &self,
        file: &SeenFile,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Response>, FileError> {
        let length = file.stamp.length;
        let validators = Validators {
            etag: Some(&file.etag),
            last_modified: Some(file.last_modified),
        };
        let outcome = evaluate(method, headers, validators, Some(length)).map_err(|_| {
            // `evaluate` fails only where a range cannot be satisfied.
            FileError::Range {
                path: path.to_owned(),
                length,
            }
        })?;
        let whole = ByteSpan {
            start: 0,
            end: length,
        };
        let (status, span) = match outcome {
            Outcome::Full => (StatusCode::OK, whole),
            Outcome::Partial(span) => (StatusCode::PARTIAL_CONTENT, span),
            Outcome::NotModified => (StatusCode::NOT_MODIFIED, ByteSpan { start: 0, end: 0 }),
            Outcome::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, whole),
        };
        let body = if method == Method::HEAD || span.is_empty() {
            Body::Empty
        } else {
            match file.body(span).map_err(unreadable(path))? {
                Some(body) => body,
                None => return Ok(None),
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = match outcome {
            Outcome::NotModified => file.fields_unmodified.clone(),
            _ => file.fields.clone(),
        };
        let headers = response.headers_mut();
        if let Outcome::Partial(span) = outcome {
            let range = plain_value(&span.content_range(length).to_string());
            headers.insert(CONTENT_LENGTH, HeaderValue::from(span.len()));
            headers.insert(CONTENT_RANGE, range);
        }
        if let Some(seconds) = self.max_age {
            let expires = HttpDate::from_unix(HttpDate::now().unix() + i64::from(seconds));
            headers.insert(EXPIRES, expires.to_header_value());
        }
        Ok(Some(response))
    }

    /// The file as it is now, from memory if it has not changed.
    fn find(
        &self,
        path: &str,
        coding: Option<&'static Coding>,
    ) -> Result<Arc<SeenFile>, FileError> {
        // No file's name holds a NUL. In place of its original, a coded file has other headers
        // than when it is asked for itself.
        let key = match coding {
            Some(coding) => Cow::Owned(format!("{path}\0{}", coding.name)),
            None => Cow::Borrowed(path),
        };
        let batch = Batch::current();
        let seen = self.lock().entries.get(key.as_ref()).cloned();
        if let Some(seen) = &seen
            && seen.was_looked_at(batch)
        {
            return Ok(Arc::clone(seen));
        }
        let mut full = self.root.join(path);
        if let Some(coding) = coding {
            full.as_mut_os_string().push(coding.suffix);
        }
        let not_found = || FileError::NotFound {
            path: path.to_owned(),
        };
        // Any error here means that the file cannot be seen: missing, not permitted, too long.
        let metadata = std::fs::metadata(&full).map_err(|_| not_found())?;
        if !metadata.is_file() || !(self.follow_links || self.contains(&full)) {
            return Err(not_found());
        }
        if let Some(seen) = seen
            && seen.stamp == Stamp::of(&metadata)
        {
            seen.look_at(batch);
            return Ok(seen);
        }
        let (stamp, content) = read(&full).map_err(unreadable(path))?;
        let seen = Arc::new(self.describe(path, coding, &full, stamp, content));
        if stamp.is_settled() {
            self.lock().keep(key.into_owned(), &seen);
        }
        Ok(seen)
    }

    fn describe(
        &self,
        path: &str,
        coding: Option<&'static Coding>,
        full: &Path,
        stamp: Stamp,
        content: Content,
    ) -> SeenFile {
        let name = path.rsplit('/').next().unwrap_or(path);
        let guess = self.media_types.guess(name);
        let etag = ETag::of_file(
            &full.to_string_lossy(),
            stamp.seconds,
            stamp.nanoseconds,
            stamp.length,
        );
        let last_modified = HttpDate::from_file_time(stamp.seconds, stamp.nanoseconds);
        let cache_control = match self.max_age {
            None => Cow::Borrowed("no-cache"),
            Some(0) => Cow::Borrowed("no-cache, max-age=0"),
            Some(seconds) => Cow::Owned(format!("public, max-age={seconds}")),
        };
        let mut fields = HeaderMap::with_capacity(12);
        if let Some(encoding) = coding.map(|coding| coding.name).or(guess.encoding) {
            fields.insert(CONTENT_ENCODING, plain_value(encoding));
        }
        fields.insert(CONTENT_DISPOSITION, self.disposition(name));
        let content_type = with_charset(guess.media_type.unwrap_or(OCTET_STREAM));
        fields.insert(CONTENT_TYPE, plain_value(&content_type));
        fields.insert(CONTENT_LENGTH, HeaderValue::from(stamp.length));
        fields.insert(LAST_MODIFIED, last_modified.to_header_value());
        fields.insert(CACHE_CONTROL, plain_value(&cache_control));
        fields.insert(ETAG, plain_value(&etag.to_string()));
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if self.precompressed && !is_coded(path) {
            fields.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let fields_unmodified = fields
            .iter()
            .filter(|(name, _)| !is_dropped_by_not_modified(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        SeenFile {
            stamp,
            batch: AtomicU64::new(0),
            content,
            etag,
            last_modified,
            fields,
            fields_unmodified,
        }
    }

    fn disposition(&self, name: &str) -> HeaderValue {
        let value = if name.is_ascii() {
            dump_options("inline", [("filename", name)])
        } else {
            let plain = (self.ascii_name)(name);
            // What RFC 8187 lets stand as it is.
            let encoded = format!("UTF-8''{}", percent_encode(name, "!#$&+-.^_`|~"));
            dump_options(
                "inline",
                [("filename", plain.as_str()), ("filename*", &encoded)],
            )
        };
        // A name may hold control characters, which a header must not.
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("inline"))
    }

    /// Whether the file is within the directory after links have been followed.
    fn contains(&self, full: &Path) -> bool {
        match (self.root.canonicalize(), full.canonicalize()) {
            (Ok(root), Ok(full)) => full.starts_with(root),
            _ => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        // No code that can panic runs under the lock, so poison means nothing.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable(path: &str) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

/// A value of tokens, numbers and dates; empty if a type of file was configured that no
/// header can hold.
fn plain_value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `path` without dots and doubled slashes, as Werkzeug's `safe_join` reads it; `None` where
/// it leads out of the directory.
fn safe_path(path: &str) -> Option<Cow<'_, str>> {
    let is_foreign = cfg!(windows) && path.contains(['\\', ':']);
    if path.starts_with('/') || path.is_empty() || is_foreign {
        return None;
    }
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if path.split('/').all(is_plain) {
        return Some(Cow::Borrowed(path));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // Above the directory, even if the path comes back later.
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| Cow::Owned(parts.join("/")))
}

/// Files below a prefix of paths.
struct StaticHandler {
    files: StaticFiles,
    prefix: String,
}

impl Handler for StaticHandler {
    fn handle(&self, routed: Routed, responder: Responder) {
        let request = &routed.request;
        let head = &request.head;
        if head.method != Method::GET && head.method != Method::HEAD {
            let mut response =
                text_response(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return responder.complete(response);
        }
        let answer = match request.raw_path().strip_prefix(&self.prefix) {
            Some(path) => {
                let path = percent_decode_lossy(path);
                self.files.respond(&path, &head.method, &head.headers)
            }
            None => Err(FileError::NotFound {
                path: request.raw_path().to_owned(),
            }),
        };
        responder.complete(answer.unwrap_or_else(|error| failed(&error)));
    }
}

fn failed(error: &FileError) -> Response {
    match error {
        FileError::NotFound { .. } => text_response(StatusCode::NOT_FOUND, "Not Found\n"),
        FileError::Range { length, .. } => {
            let mut response =
                text_response(StatusCode::RANGE_NOT_SATISFIABLE, "Range Not Satisfiable\n");
            let range = plain_value(&ContentRange::unsatisfied(*length).to_string());
            response.headers_mut().insert(CONTENT_RANGE, range);
            response
        }
        FileError::Unreadable { .. } => {
            log(&error.to_string());
            own_answers::internal_error()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_directory() {
        for (path, safe) in [
            ("a.css", Some("a.css")),
            ("a/b.css", Some("a/b.css")),
            ("./a//b/../c", Some("a/c")),
            ("a/", Some("a")),
            ("a/.", Some("a")),
            ("...", Some("...")),
            ("a\\b", Some("a\\b")),
            ("", None),
            (".", None),
            ("..", None),
            ("a/..", None),
            ("/a", None),
            ("../a", None),
            ("a/../../a", None),
            ("a/../../root/a", None),
        ] {
            if !(cfg!(windows) && path.contains('\\')) {
                assert_eq!(safe_path(path).as_deref(), safe, "{path}");
            }
        }
    }
    #[test]
    fn a_file_is_looked_at_once_in_a_batch_and_again_in_the_next() {
        let name = format!("bustapi-batch-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        std::fs::write(&path, "old").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        let files = StaticFiles::new(std::env::temp_dir());
        let content = || {
            let answer = files.respond(&name, &Method::GET, &HeaderMap::new());
            match answer.unwrap().into_body() {
                Body::Bytes(bytes) => bytes,
                other => panic!("{other:?}"),
            }
        };
        let batch = Batch::begin();
        assert_eq!(content(), "old");
        assert_eq!(content(), "old");
        std::fs::write(&path, "new").unwrap();
        assert_eq!(content(), "old", "as the request came before");
        drop(batch);
        assert_eq!(content(), "new");
        let _batch = Batch::begin();
        assert_eq!(content(), "new");
        std::fs::remove_file(&path).unwrap();
    }
}

//! What is known of files: their stamps, their headers, and the content of small ones.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use bustapi_http::conditional::ETag;
use bustapi_http::date::HttpDate;
use bustapi_http::range::ByteSpan;
use bustapi_http::{Body, FileRange};
use bytes::Bytes;
use http::header::HeaderMap;

/// Files up to this many bytes are kept in memory: reading a larger one costs more than the
/// hand-over to another thread that streaming it takes.
const SMALL: u64 = 64 * 1024;
/// How much all files in memory may take; beyond it, the cache begins anew.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Most files that are known at a time; their headers take about a kilobyte each.
const CACHE_ENTRIES: usize = 4096;
/// A file changed so recently may change again without a new time stamp, as those come
/// from a clock that ticks every few milliseconds (seconds on some file systems).
const SETTLED: Duration = Duration::from_secs(2);

/// How often a file that changes while it is read is read again.
pub(super) const ATTEMPTS: u32 = 3;

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Of the last modification, since 1970.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) length: u64,
    /// Of the last change of anything but the name, which no program can set.
    changed: (i64, i64),
    /// A file renamed into place has another one.
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Self {
                seconds: metadata.mtime(),
                nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
                length: metadata.len(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
                inode: metadata.ino(),
            }
        }
        #[cfg(not(unix))]
        {
            let since = metadata
                .modified()
                .ok()
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
                .unwrap_or_default();
            Self {
                seconds: i64::try_from(since.as_secs()).unwrap_or(0),
                nanoseconds: since.subsec_nanos(),
                length: metadata.len(),
                changed: (0, 0),
                inode: 0,
            }
        }
    }

    /// Whether a further change would change the stamp.
    pub(super) fn is_settled(self) -> bool {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let modified = Duration::from_secs(u64::try_from(self.seconds).unwrap_or(0));
        since.checked_sub(modified).is_some_and(|age| age > SETTLED)
    }
}

/// Where a file's content is.
pub(super) enum Content {
    Memory(Bytes),
    Path(PathBuf),
}

/// A state of a file, with what is said of it in answers.
pub(super) struct SeenFile {
    pub(super) stamp: Stamp,
    /// The last batch in which the file was found to have this stamp; 0 is none.
    pub(super) batch: AtomicU64,
    pub(super) content: Content,
    pub(super) etag: ETag,
    pub(super) last_modified: HttpDate,
    pub(super) fields: HeaderMap,
    /// The same for 304.
    pub(super) fields_unmodified: HeaderMap,
}

impl SeenFile {
    /// Notes that the file has this stamp in `batch`.
    pub(super) fn look_at(&self, batch: Option<NonZeroU64>) {
        if let Some(batch) = batch {
            self.batch.store(batch.get(), Relaxed);
        }
    }

    /// Whether the file had this stamp in `batch`.
    pub(super) fn was_looked_at(&self, batch: Option<NonZeroU64>) -> bool {
        batch.is_some_and(|batch| self.batch.load(Relaxed) == batch.get())
    }

    /// The bytes of `span`; `None` if the file is not the same any more.
    pub(super) fn body(&self, span: ByteSpan) -> io::Result<Option<Body>> {
        let path = match &self.content {
            Content::Memory(bytes) => {
                let position = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
                let part = bytes.slice(position(span.start)..position(span.end));
                return Ok(Some(Body::Bytes(part)));
            }
            Content::Path(path) => path,
        };
        let file = File::open(path)?;
        let is_same = Stamp::of(&file.metadata()?) == self.stamp;
        Ok(is_same.then_some(Body::File(FileRange {
            file,
            offset: span.start,
            length: span.len(),
        })))
    }

    fn bytes_in_memory(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::Path(_) => 0,
        }
    }
}

#[derive(Default)]
pub(super) struct Cache {
    pub(super) entries: HashMap<String, Arc<SeenFile>>,
    bytes: usize,
}

impl Cache {
    pub(super) fn keep(&mut self, name: String, seen: &Arc<SeenFile>) {
        let bytes = seen.bytes_in_memory();
        if self.bytes + bytes > CACHE_BYTES || self.entries.len() >= CACHE_ENTRIES {
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        if let Some(old) = self.entries.insert(name, Arc::clone(seen)) {
            self.bytes -= old.bytes_in_memory();
        }
    }
}

/// What a file is and holds, if it is small.
pub(super) fn read(full: &Path) -> io::Result<(Stamp, Content)> {
    let mut file = File::open(full)?;
    let mut attempts = 1..=ATTEMPTS;
    loop {
        let mut stamp = Stamp::of(&file.metadata()?);
        if stamp.length > SMALL {
            return Ok((stamp, Content::Path(full.to_owned())));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stamp.length).unwrap_or(0) + 1);
        // One byte more than there should be shows a file that grows.
        (&mut file).take(stamp.length + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == stamp.length || attempts.next().is_none() {
            // Of a file that is being written, what there is.
            stamp.length = bytes.len() as u64;
            return Ok((stamp, Content::Memory(Bytes::from(bytes))));
        }
        file.rewind()?;
    }
}

//! Files as bodies: sent by the system from its own cache, where it has them.
//!
//! # Theory of operation
//!
//! hyper writes buffers. For a piece of a file that is in the system's cache it is given a
//! stand-in ([`Chunk::File`]), whose buffer is a region that nobody reads or writes. What hyper
//! writes goes through [`Stream`](crate::connection::stream::Stream), which knows the region by its address
//! and has the system send the piece (`sendfile`) in the stand-in's place; which piece it is,
//! the connection's [`FilePieces`] tell.
//!
//! `sendfile` would wait for the disk on the IO thread. So a piece is first looked for in the
//! cache, without waiting. One that is not there, or not known to be there, is read by a thread
//! that may wait, and sent as bytes.
//!
//! `sendfile` has no flag against SIGPIPE: Rust's runtime and CPython ignore it from the start.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bustapi_http::{BodyError, FileRange};
use bytes::{Buf, Bytes};
use http_body::Frame;
use tokio::task::JoinHandle;

/// How much of a file is sent before other connections get their turn: large enough that the
/// turn does not show.
const PIECE: usize = 1024 * 1024;
/// How much is read where the system does not send it: large enough that handing the reading to
/// another thread does not show, small enough for many downloads at once.
const READ: usize = 256 * 1024;

/// Nobody touches it, so that it takes no memory.
static STAND_IN: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; PIECE].into_boxed_slice());

/// What hyper is given to write.
#[derive(Debug)]
pub(crate) enum Chunk {
    Bytes(Bytes),
    /// So many bytes of the first piece in the connection's [`FilePieces`], at most [`PIECE`].
    File(usize),
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(left) => *left,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(left) => &STAND_IN[..*left],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::File(left) => *left -= count,
        }
    }
}

/// The pieces of files whose stand-ins hyper has not written yet, in their order.
#[derive(Debug, Default)]
pub(crate) struct FilePieces(Mutex<VecDeque<Piece>>);

#[derive(Debug)]
struct Piece {
    file: Arc<File>,
    offset: u64,
    left: usize,
}

impl FilePieces {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        // No code that can panic runs under the lock, so poison means nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn became_shorter() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file became shorter while it was sent",
    )
}

/// A part of a file as a body.
pub(crate) struct FileBody {
    file: Arc<File>,
    offset: u64,
    left: u64,
    pieces: Arc<FilePieces>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// Whether a piece was sent since the other connections had their turn.
    has_sent: bool,
}

impl FileBody {
    pub(crate) fn new(range: FileRange, pieces: Arc<FilePieces>) -> Self {
        // hyper begins an answer when the ones before have been written; what is left here
        // belongs to one that it gave up.
        pieces.lock().clear();
        Self {
            file: Arc::new(range.file),
            offset: range.offset,
            left: range.length,
            pieces,
            reading: None,
            has_sent: false,
        }
    }

    /// How many bytes are left to send.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BodyError>>> {
        if let Some(reading) = &mut self.reading {
            let read = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            let bytes = read??;
            self.advance(bytes.len());
            return Poll::Ready(Some(Ok(Frame::data(Chunk::Bytes(bytes)))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.has_sent) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = left.min(PIECE);
        if cache::has(&self.file, self.offset, length) {
            self.pieces.lock().push_back(Piece {
                file: Arc::clone(&self.file),
                offset: self.offset,
                left: length,
            });
            self.advance(length);
            self.has_sent = true;
            return Poll::Ready(Some(Ok(Frame::data(Chunk::File(length)))));
        }
        let (file, offset, length) = (Arc::clone(&self.file), self.offset, left.min(READ));
        self.reading = Some(tokio::task::spawn_blocking(move || {
            read_at(&file, offset, length)
        }));
        self.poll_frame(context)
    }

    fn advance(&mut self, count: usize) {
        self.offset += count as u64;
        self.left -= count as u64;
    }
}

/// Exactly `length` bytes from `offset`.
fn read_at(mut file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    use std::io::{Read, Seek, SeekFrom};

    // Nobody else uses the file's own position: only one reading at a time is under way.
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = Vec::with_capacity(length);
    file.take(length as u64).read_to_end(&mut buffer)?;
    if buffer.len() < length {
        return Err(became_shorter());
    }
    Ok(Bytes::from(buffer))
}

#[cfg(target_os = "linux")]
pub(crate) use sending::is_stand_in;

#[cfg(target_os = "linux")]
mod sending {
    use std::io;
    use std::os::fd::AsFd;

    use super::{FilePieces, STAND_IN, became_shorter};

    /// Whether `bytes` stand for those of a file.
    pub(crate) fn is_stand_in(bytes: &[u8]) -> bool {
        STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
    }

    impl FilePieces {
        /// Sends of the first piece what `socket` takes without waiting; how many bytes.
        ///
        /// # Errors
        ///
        /// The system's; `UnexpectedEof` where the file has become shorter.
        pub(crate) fn send(&self, socket: impl AsFd) -> io::Result<usize> {
            let mut pieces = self.lock();
            let Some(piece) = pieces.front_mut() else {
                return Err(io::Error::other("a stand-in for no piece of a file"));
            };
            let offset = Some(&mut piece.offset);
            let sent = rustix::fs::sendfile(socket, &piece.file, offset, piece.left)?;
            if sent == 0 {
                return Err(became_shorter());
            }
            piece.left -= sent;
            if piece.left == 0 {
                pieces.pop_front();
            }
            Ok(sent)
        }
    }
}

/// The system's cache of files.
mod cache {
    use std::fs::File;

    /// The distance between two looks: what Linux reads and forgets of a file at a time.
    #[cfg(target_os = "linux")]
    const STRIDE: usize = 128 * 1024;

    /// Whether `length` bytes from `offset` can be sent without waiting for the disk, as far as
    /// some of them tell. `false` where the file system cannot tell.
    #[cfg(target_os = "linux")]
    pub(super) fn has(file: &File, offset: u64, length: usize) -> bool {
        use rustix::io::{ReadWriteFlags, preadv2};
        use std::io::IoSliceMut;

        let is_there = |at: usize| {
            let mut byte = [0];
            let buffers = &mut [IoSliceMut::new(&mut byte)];
            let read = preadv2(file, buffers, offset + at as u64, ReadWriteFlags::NOWAIT);
            matches!(read, Ok(1))
        };
        (0..length).step_by(STRIDE).all(is_there) && is_there(length - 1)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn has(_: &File, _: u64, _: usize) -> bool {
        false
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use rustix::fs::{Advice, fadvise};

    /// An open file without a name.
    fn file_of(content: &[u8], name: &str) -> File {
        let name = format!("bustapi-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let mut file = options.open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(content).unwrap();
        file.sync_all().unwrap();
        file
    }

    fn body_of(file: &File, offset: u64, length: u64) -> (FileBody, Arc<FilePieces>) {
        let pieces = Arc::new(FilePieces::default());
        let range = FileRange {
            file: file.try_clone().unwrap(),
            offset,
            length,
        };
        (FileBody::new(range, Arc::clone(&pieces)), pieces)
    }

    /// Takes a body as a connection would.
    async fn drain(body: &mut FileBody, pieces: &FilePieces) -> Result<Vec<u8>, BodyError> {
        let (socket, mut other) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut received = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| body.poll_frame(context)).await {
            let mut chunk = frame?.into_data().expect("a file has no trailers");
            while chunk.has_remaining() {
                assert_eq!(is_stand_in(chunk.chunk()), matches!(chunk, Chunk::File(_)));
                let sent = match &chunk {
                    Chunk::Bytes(bytes) => (&socket).write(&bytes[..bytes.len().min(1000)])?,
                    Chunk::File(_) => pieces.send(&socket)?,
                };
                chunk.advance(sent);
                let begin = received.len();
                received.resize(begin + sent, 0);
                other.read_exact(&mut received[begin..])?;
            }
        }
        assert!(pieces.lock().is_empty());
        Ok(received)
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(length)
        .collect()
    }

    #[tokio::test]
    async fn files_are_sent_from_the_cache_and_from_the_disk() {
        let content = noise(2 * PIECE + 777);
        let file = file_of(&content, "both");
        for (offset, length) in [(0, content.len()), (1, PIECE), (PIECE + 5, 100), (9, 0)] {
            // The second time, some of it is in the cache again.
            for _ in 0..2 {
                fadvise(&file, 0, None, Advice::DontNeed).unwrap();
                let (mut body, pieces) = body_of(&file, offset as u64, length as u64);
                let received = drain(&mut body, &pieces).await.unwrap();
                assert!(received == content[offset..offset + length], "{offset}");
                let (mut body, pieces) = body_of(&file, offset as u64, length as u64);
                let received = drain(&mut body, &pieces).await.unwrap();
                assert!(received == content[offset..offset + length], "{offset}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_is_an_error() {
        let file = file_of(&noise(PIECE), "shorter");
        let (mut body, pieces) = body_of(&file, 0, PIECE as u64);
        let first = std::future::poll_fn(|context| body.poll_frame(context)).await;
        assert!(first.unwrap().is_ok());
        file.set_len(0).unwrap();
        let (socket, _other) = UnixStream::pair().unwrap();
        if !pieces.lock().is_empty() {
            let error = pieces.send(&socket).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        let (mut body, pieces) = body_of(&file, 0, PIECE as u64);
        let error = drain(&mut body, &pieces).await.unwrap_err();
        assert!(error.to_string().contains("became shorter"), "{error}");
        // What was given up is not sent in place of the next file.
        let (_, pieces) = body_of(&file, 0, 0);
        assert!(pieces.send(&socket).is_err());
    }
}

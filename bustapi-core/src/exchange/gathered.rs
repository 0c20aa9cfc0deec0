//! Bodies that are received before somebody is called who reads them.
//!
//! Reading then waits for no client, so that an event loop may do it. What does not fit in memory
//! goes to a temporary file that has no name: nothing is left whatever becomes of the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use crate::error::ReadError;
use crate::exchange::incoming::IncomingBody;

/// How much of a body is received before its reader is called.
#[derive(Debug, Clone, Copy)]
pub struct Gathering {
    /// Bytes that are kept in memory; more go to a file.
    pub memory: usize,
    /// Longest body that is gathered, in bytes. One that is announced as longer is left as it is; of
    /// one that turns out longer, the rest is read as it arrives.
    pub most: u64,
}

/// A body that has been received, or its beginning.
#[derive(Debug)]
pub struct Gathered {
    memory: BytesMut,
    file: Option<Stored>,
    end: End,
}

/// What comes behind the bytes that have been received.
#[derive(Debug)]
enum End {
    Complete,
    /// The body broke off, or was too long.
    Failed(ReadError),
    /// It was longer than what is gathered.
    Stream(IncomingBody),
}

/// Bytes in a file.
#[derive(Debug)]
struct Stored {
    file: File,
    length: u64,
    read: u64,
}

/// Bytes that are read from a file at a time.
const PIECE: usize = 64 * 1024;

impl Gathered {
    pub(crate) async fn receive(mut stream: IncomingBody, gathering: Gathering) -> Self {
        let mut memory = BytesMut::new();
        let mut file: Option<tokio::fs::File> = None;
        let mut stored = 0_u64;
        let end = loop {
            if memory.len() as u64 + stored > gathering.most {
                break End::Stream(stream);
            }
            match stream.chunk().await {
                Ok(Some(chunk))
                    if file.is_none() && memory.len() + chunk.len() <= gathering.memory =>
                {
                    // A copy: the piece may be part of a much larger buffer.
                    memory.extend_from_slice(&chunk);
                }
                Ok(Some(chunk)) => {
                    if let Err(error) = store(&mut file, &chunk).await {
                        break End::Failed(ReadError::Store(error));
                    }
                    stored += chunk.len() as u64;
                }
                Ok(None) => break End::Complete,
                Err(error) => break End::Failed(error),
            }
        };
        let finished = match file {
            Some(file) => finish(file).await.map(Some),
            None => Ok(None),
        };
        let (file, end) = match finished {
            Ok(file) => (file, end),
            Err(error) => (None, End::Failed(ReadError::Store(error))),
        };
        Self {
            memory,
            file: file.map(|file| Stored {
                file,
                length: stored,
                read: 0,
            }),
            end,
        }
    }

    /// All of it, where it is in memory and complete.
    pub(crate) fn whole(self) -> Result<Bytes, Self> {
        match self {
            Self {
                memory,
                file: None,
                end: End::Complete,
            } => Ok(memory.freeze()),
            gathered => Err(gathered),
        }
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where the body broke off, was too long, or cannot be read from its file.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        if !self.memory.is_empty() {
            return Ok(Some(self.memory.split().freeze()));
        }
        if let Some(stored) = &mut self.file
            && let Some(piece) = stored.piece().map_err(ReadError::Store)?
        {
            return Ok(Some(piece));
        }
        self.file = None;
        match &mut self.end {
            End::Complete => Ok(None),
            End::Stream(stream) => stream.chunk().await,
            End::Failed(_) => match std::mem::replace(&mut self.end, End::Complete) {
                End::Failed(error) => Err(error),
                _ => Ok(None),
            },
        }
    }

    /// Replaces the limit of what is still arriving; how many bytes have been received.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) -> u64 {
        match &mut self.end {
            End::Stream(stream) => stream.set_limit(limit),
            End::Complete | End::Failed(_) => 0,
        }
    }

    /// How many bytes there are yet to read; `None` where only the end will tell.
    pub(crate) fn length(&self) -> Option<u64> {
        let stored = self
            .file
            .as_ref()
            .map_or(0, |stored| stored.length - stored.read);
        let received = self.memory.len() as u64 + stored;
        match &self.end {
            End::Complete => Some(received),
            End::Stream(stream) => Some(received + stream.length()?),
            End::Failed(_) => None,
        }
    }
}

impl Stored {
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let left = usize::try_from(self.length - self.read).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let mut piece = BytesMut::zeroed(left.min(PIECE));
        self.file.read_exact_at(&mut piece, self.read)?;
        self.read += piece.len() as u64;
        Ok(Some(piece.freeze()))
    }
}

/// Writes to the file, which is made for the first piece, without waiting for the disk here.
async fn store(file: &mut Option<tokio::fs::File>, chunk: &[u8]) -> io::Result<()> {
    let file = if let Some(file) = file {
        file
    } else {
        let made = tokio::task::spawn_blocking(tempfile::tempfile).await??;
        file.insert(tokio::fs::File::from_std(made))
    };
    file.write_all(chunk).await
}

/// Waits until all has been written.
async fn finish(mut file: tokio::fs::File) -> io::Result<File> {
    file.flush().await?;
    Ok(file.into_std().await)
}

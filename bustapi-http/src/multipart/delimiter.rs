//! Finding delimiters, and the blank line after a part's header, without looking at a byte
//! more often than a constant number of times.

use memchr::memmem::Finder;

/// The boundary of a body, ready to be searched for.
#[derive(Debug)]
pub(super) struct Delimiter {
    finder: Finder<'static>,
}

/// Where a search goes on once there is more to search.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    /// No delimiter's `--boundary` begins before this offset.
    from: usize,
    /// How far the white space after the one at `from` has been read; 0 if there is none.
    padding: usize,
}

impl Progress {
    /// Follows the buffer when its first `count` bytes are removed.
    pub(super) fn shift(&mut self, count: usize) {
        self.from = self.from.saturating_sub(count);
        self.padding = self.padding.saturating_sub(count);
    }
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// A delimiter, its line breaks included.
    Found {
        start: usize,
        end: usize,
        last: bool,
    },
    /// None so far; none begins before `safe`.
    Pending { safe: usize },
}

/// How the text after `--boundary` decides.
enum Ending {
    Delimiter {
        end: usize,
        last: bool,
    },
    Other,
    /// It depends on what comes; white space reaches to this offset.
    Undecided(usize),
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// White space within a line.
pub(super) fn is_padding(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

/// The length of the line break at the start of `bytes`: 0 if there is none, `None` if a CR at
/// their end may be the first half of a CRLF.
pub(super) fn break_len(bytes: &[u8], complete: bool) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\r'] if !complete => None,
        [b'\r' | b'\n', ..] => Some(1),
        _ => Some(0),
    }
}

/// Where the line break that ends at `end` starts; `end` itself if there is none.
fn break_start(bytes: &[u8], end: usize) -> usize {
    match bytes[..end] {
        [.., b'\r', b'\n'] => end - 2,
        [.., b'\r' | b'\n'] => end - 1,
        _ => end,
    }
}

impl Delimiter {
    pub(super) fn new(boundary: &[u8]) -> Self {
        let needle = [b"--", boundary].concat();
        Self {
            finder: Finder::new(&needle).into_owned(),
        }
    }

    fn needle(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Searches `bytes` for the first delimiter. With `break_before` it must begin with a line
    /// break; else one that happens to be there belongs to it. `complete` says that nothing
    /// follows `bytes`.
    pub(super) fn search(
        &self,
        bytes: &[u8],
        progress: &mut Progress,
        break_before: bool,
        complete: bool,
    ) -> Search {
        while let Some(found) = self.finder.find(&bytes[progress.from..]) {
            let at = progress.from + found;
            if at > progress.from {
                progress.padding = 0;
            }
            progress.from = at;
            let start = break_start(bytes, at);
            if break_before && start == at {
                // The next one begins after a line break; to jump there keeps a boundary that
                // overlaps itself from being compared at each offset.
                progress.from = memchr::memchr2(b'\r', b'\n', &bytes[at..])
                    .map_or(bytes.len() - (self.needle().len() - 1), |next| at + next)
                    .max(at + 1);
                continue;
            }
            match self.ending(bytes, at, progress.padding, complete) {
                Ending::Delimiter { end, last } => {
                    *progress = Progress::default();
                    return Search::Found { start, end, last };
                }
                Ending::Undecided(padding) => {
                    progress.padding = padding;
                    return Search::Pending { safe: start };
                }
                Ending::Other => {
                    progress.from = at + 1;
                    progress.padding = 0;
                }
            }
        }
        let unseen = self.needle().len() - 1;
        progress.from = progress.from.max(bytes.len().saturating_sub(unseen));
        progress.padding = 0;
        Search::Pending {
            safe: self.tail_start(bytes),
        }
    }

    /// Reads what follows the `--boundary` at `at`.
    fn ending(&self, bytes: &[u8], at: usize, padding: usize, complete: bool) -> Ending {
        let after = at + self.needle().len();
        match &bytes[after..] {
            [b'-', b'-', ..] => {
                return Ending::Delimiter {
                    end: after + 2,
                    last: true,
                };
            }
            [b'-'] if !complete => return Ending::Undecided(0),
            _ => {}
        }
        let from = padding.max(after);
        let padded = bytes[from..].iter().take_while(|&&byte| is_padding(byte));
        let end = from + padded.count();
        match break_len(&bytes[end..], complete) {
            None => Ending::Undecided(end),
            Some(0) if end == bytes.len() && !complete => Ending::Undecided(end),
            Some(0) => Ending::Other,
            Some(len) => Ending::Delimiter {
                end: end + len,
                last: false,
            },
        }
    }

    /// Where a delimiter may begin of which only a part of `--boundary` has arrived. A boundary
    /// holds no line break, so it can only be after the last one.
    fn tail_start(&self, bytes: &[u8]) -> usize {
        let window = bytes.len().saturating_sub(self.needle().len());
        match memchr::memrchr2(b'\r', b'\n', &bytes[window..]) {
            Some(found) if self.needle().starts_with(&bytes[window + found + 1..]) => {
                break_start(bytes, window + found + 1)
            }
            _ => bytes.len(),
        }
    }
}

/// Finds the end of a part's header: two line breaks of the same kind. Returns where they
/// start and end; `from` is where the search begins and goes on.
pub(super) fn find_blank_line(bytes: &[u8], from: &mut usize) -> Option<(usize, usize)> {
    while let Some(found) = memchr::memchr2(b'\r', b'\n', &bytes[*from..]) {
        let at = *from + found;
        *from = at;
        match &bytes[at..] {
            [b'\r', b'\n', b'\r', b'\n', ..] => return Some((at, at + 4)),
            [b'\r', b'\r', ..] | [b'\n', b'\n', ..] => return Some((at, at + 2)),
            [_] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
            _ => *from = at + 1,
        }
    }
    *from = bytes.len();
    None
}

/// The lines of a part's header, folded ones joined (a line break before a space or tab counts
/// as one space), empty ones left out, trimmed.
pub(super) fn header_lines(block: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut rest = block;
    while let Some(at) = rest.iter().position(|&byte| is_break(byte)) {
        let (text, tail) = rest.split_at(at);
        let line = lines.last_mut().expect("there is always a line");
        line.extend_from_slice(text);
        rest = &tail[break_len(tail, true).unwrap_or(1)..];
        if let [b' ' | b'\t', tail @ ..] = rest {
            line.push(b' ');
            rest = tail;
        } else {
            lines.push(Vec::new());
        }
    }
    let line = lines.last_mut().expect("there is always a line");
    line.extend_from_slice(rest);
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    lines.retain_mut(|line| {
        let end = line.iter().rposition(is_text);
        line.truncate(end.map_or(0, |end| end + 1));
        let start = line.iter().position(is_text);
        line.drain(..start.unwrap_or(0));
        !line.is_empty()
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], break_before: bool, expected: Search) {
        let delimiter = Delimiter::new(b"b");
        let mut progress = Progress::default();
        let found = delimiter.search(bytes, &mut progress, break_before, false);
        assert_eq!(found, expected, "{}", bytes.escape_ascii());
    }

    fn found(start: usize, end: usize, last: bool) -> Search {
        Search::Found { start, end, last }
    }

    #[test]
    fn delimiters() {
        check(b"x\r\n--b\r\ny", true, found(1, 8, false));
        check(b"x\n--b \t\ny", true, found(1, 8, false));
        check(b"x\r--b\ry", true, found(1, 6, false));
        check(b"x\r\n--b--y", true, found(1, 8, true));
        check(b"x--b\r\n\n--b\n", true, found(6, 11, false));
        check(b"x--b\n", false, found(1, 5, false));
        check(b"--b--", false, found(0, 5, true));
    }

    #[test]
    fn undecided() {
        check(b"abc", true, Search::Pending { safe: 3 });
        check(b"abc\r", true, Search::Pending { safe: 3 });
        check(b"abc\r\n", true, Search::Pending { safe: 3 });
        check(b"abc\r\n--", true, Search::Pending { safe: 3 });
        check(b"abc\r\n--b", true, Search::Pending { safe: 3 });
        check(b"abc\r\n--b ", true, Search::Pending { safe: 3 });
        check(b"abc\r\n--b-", true, Search::Pending { safe: 3 });
        check(b"abc\r\n--b\r", true, Search::Pending { safe: 3 });
        check(b"abc\r\n--bx", true, Search::Pending { safe: 9 });
        check(b"abc\r\n-x", true, Search::Pending { safe: 7 });
    }

    #[test]
    fn blank_lines() {
        let find = |bytes: &[u8]| find_blank_line(bytes, &mut 0);
        assert_eq!(find(b"a\r\n\r\nb"), Some((1, 5)));
        assert_eq!(find(b"a\n\nb"), Some((1, 3)));
        assert_eq!(find(b"a\r\rb"), Some((1, 3)));
        assert_eq!(find(b"a\n\r\n\r\n"), Some((2, 6)));
        assert_eq!(find(b"a\r\nb\r\n\r"), None);
        assert_eq!(find(b"a\n\rb"), None);
    }

    #[test]
    fn folded_headers() {
        let lines = header_lines(b"\n a: 1\r\n\t2\r\nb: 3\r c\n\n  \nd\n\x0b");
        let lines: Vec<_> = lines
            .iter()
            .map(|line| line.escape_ascii().to_string())
            .collect();
        assert_eq!(lines, ["a: 1 2", "b: 3 c", "d", "\\x0b"]);
    }
}

//! Where the arguments of a rule lie in a path.

use smallvec::SmallVec;

/// Where an argument's text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) in_domain: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) type Spans = SmallVec<[Span; 4]>;

/// Takes the arguments of one part, whose text begins at `start` of the domain or the path.
pub(crate) struct Arguments<'a> {
    pub(crate) spans: &'a mut Spans,
    pub(crate) in_domain: bool,
    pub(crate) start: usize,
}

impl Arguments<'_> {
    pub(crate) fn push(&mut self, start: usize, end: usize) {
        self.spans.push(Span {
            in_domain: self.in_domain,
            start: self.start + start,
            end: self.start + end,
        });
    }
}

//! A file line by line: who reads CSV behind it is never ahead of the row that it gives, so that rows have numbers.

use std::io::{self, BufRead, Read};

/// Hands out no more than a line at a time, and at the end one more that is in no file.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    is_within: bool,
    has_ended: bool,
    /// What may still be handed out of this row.
    left: usize,
}

/// The longest row. What goes on for longer is the rest of the file behind a quote that is never closed.
pub(super) const MAX_ROW: usize = 4 << 20;

/// What comes behind the last line: a row of its own, or the end of the last row when a quote there was not closed.
pub(super) const END: &[u8] = b"\n\0\n";

impl<R> Lines<R> {
    /// The lines of a file behind the first so many.
    pub(super) fn behind(number: u64, input: R) -> Self {
        Self { input, number, is_within: false, has_ended: false, left: MAX_ROW }
    }

    /// The number of the line that was handed out last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A row begins.
    pub(super) fn begin_row(&mut self) {
        self.left = MAX_ROW;
    }

    /// Whether the row was longer than [`MAX_ROW`], and nothing more is handed out.
    pub(super) fn is_cut(&self) -> bool {
        self.left == 0
    }

    /// Whether there is no further line.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = if self.left == 0 || self.has_ended { &[] } else { self.input.fill_buf()? };
        if ready.is_empty() && !self.has_ended {
            self.has_ended = true;
            let mut end = END;
            return end.read(buffer);
        }
        let line = memchr::memchr(b'\n', ready).map_or(ready.len(), |end| end + 1);
        let length = (&ready[..line.min(self.left)]).read(buffer)?;
        self.left -= length;
        self.number += u64::from(!self.is_within && length > 0);
        self.is_within = !ready[..length].ends_with(b"\n");
        self.input.consume(length);
        Ok(length)
    }
}

//! A journal's file, record by record.

use std::io::{self, BufReader, Read};

use labman_proto_core::journal::{MAGIC, PREFIX, body_length, is_intact};

pub(super) struct Records<R> {
    from: BufReader<R>,
    number: u64,
    body: Vec<u8>,
}

pub(super) enum Next<'a> {
    Record(&'a [u8]),
    Nothing,
    /// So many bytes of a record that is not whole.
    Torn(u64),
    Damaged(&'static str),
}

impl<R: Read> Records<R> {
    pub(super) fn of(journal: R) -> io::Result<Self> {
        let mut from = BufReader::new(journal);
        let mut magic = Vec::new();
        from.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if magic != MAGIC {
            let what = "it is no journal of this format: they are written with `--journal FILE`";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(Self { from, number: 0, body: Vec::new() })
    }

    /// Of the record that comes next.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        // No more is allocated than is there, whatever the prefix says.
        self.body.clear();
        let found = self.from.by_ref().take(PREFIX as u64).read_to_end(&mut self.body)?;
        if found == 0 {
            return Ok(Next::Nothing);
        }
        let Ok(prefix) = <[u8; PREFIX]>::try_from(self.body.as_slice()) else {
            return Ok(Next::Torn(found as u64));
        };
        let Some(length) = body_length(&prefix) else {
            return Ok(Next::Damaged("it is longer than any record: the file is damaged here"));
        };
        self.body.clear();
        let body = self.from.by_ref().take(length as u64).read_to_end(&mut self.body)?;
        if body < length {
            return Ok(Next::Torn((found + body) as u64));
        }
        if !is_intact(self.number, &prefix, &self.body) {
            return Ok(Next::Damaged("it is not as it was written: the file is damaged here"));
        }
        self.number += 1;
        Ok(Next::Record(&self.body))
    }
}

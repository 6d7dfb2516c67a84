//! A journal's file, record by record.

use std::io::{self, BufReader, Read};

use labman_proto_core::journal::{Decoder, MAGIC, PREFIX, body_length, is_intact};

/// After damage, a whole record is looked for under so many numbers: more may be damaged than one.
const NUMBERS: u64 = 64;

pub(super) struct Records<R> {
    from: BufReader<R>,
    number: u64,
    /// Where that record begins in the file.
    at: u64,
    body: Vec<u8>,
}

pub(super) enum Next<'a> {
    Record(&'a [u8]),
    Nothing,
    /// So many bytes of a record that is not whole.
    Torn(u64),
    Damaged(String),
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
        Ok(Self { from, number: 0, at: MAGIC.len() as u64, body: Vec::new() })
    }

    /// Of the record that comes next.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// `decoder`: as it is before that record.
    pub(super) fn next(&mut self, decoder: &Decoder) -> io::Result<Next<'_>> {
        // No more is allocated than is there, whatever the prefix says.
        self.body.clear();
        let found = self.from.by_ref().take(PREFIX as u64).read_to_end(&mut self.body)?;
        if found == 0 {
            return Ok(Next::Nothing);
        }
        let Ok(prefix) = <[u8; PREFIX]>::try_from(self.body.as_slice()) else {
            return Ok(Next::Torn(found as u64));
        };
        let at = self.at;
        let damaged = |what: &str| Ok(Next::Damaged(format!("{what}: the file is damaged at byte {at}")));
        let Some(length) = body_length(&prefix) else {
            return damaged("it is longer than any record");
        };
        self.body.clear();
        let body = self.from.by_ref().take(length as u64).read_to_end(&mut self.body)?;
        if body < length {
            return match whole_record(self.number, &prefix, &self.body, decoder) {
                None => Ok(Next::Torn((found + body) as u64)),
                Some(offset) => {
                    let whole = at + (PREFIX + offset) as u64;
                    damaged(&format!("it seems cut off, and a record that is whole ends at byte {whole}"))
                }
            };
        }
        if !is_intact(self.number, &prefix, &self.body) {
            return damaged("it is not as it was written");
        }
        self.number += 1;
        self.at += (PREFIX + length) as u64;
        Ok(Next::Record(&self.body))
    }
}

/// Where in `rest`, which is all that follows a prefix that asks for more, a record ends that is whole nevertheless. A
/// daemon that dies leaves none: the prefix is damaged then, and nothing was cut off.
fn whole_record(number: u64, prefix: &[u8; PREFIX], rest: &[u8], decoder: &Decoder) -> Option<usize> {
    // The prefix's own, with another length. Bits that flip do so alone.
    let asked = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]);
    let flipped = (0..u32::BITS).filter_map(|bit| usize::try_from(asked ^ (1 << bit)).ok());
    let own = flipped.filter(|length| *length <= rest.len());
    own.filter(|length| is_intact(number, prefix, &rest[..*length])).min().or_else(|| {
        (0..rest.len().saturating_sub(PREFIX)).find_map(|at| {
            let prefix: &[u8; PREFIX] = rest[at..].first_chunk()?;
            let end = at + PREFIX + body_length(prefix)?;
            let body = rest.get(at + PREFIX..end)?;
            // Hardly any bytes decode by chance, so that hardly any are hashed.
            decoder.clone().record(body).ok()?;
            (number + 1..=number + NUMBERS).any(|number| is_intact(number, prefix, body)).then_some(end)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::journal::frame;

    /// Records that are as short as can be: ends of processes.
    fn journal(records: u64) -> Vec<u8> {
        (0..records).fold(MAGIC.to_vec(), |file, number| [file, frame(number, &[3]).unwrap()].concat())
    }

    fn last(journal: &[u8]) -> (u64, String) {
        let mut records = Records::of(journal).unwrap();
        loop {
            let number = records.number();
            match records.next(&Decoder::default()).unwrap() {
                Next::Record(_) => {}
                Next::Nothing => return (number, "nothing".into()),
                Next::Torn(bytes) => return (number, format!("torn {bytes}")),
                Next::Damaged(what) => return (number, what),
            }
        }
    }

    #[test]
    fn a_flipped_bit_in_a_length_is_damage_and_no_tear() {
        let good = journal(5);
        let begin = |record: usize| MAGIC.len() + record * (PREFIX + 1);
        assert_eq!(last(&good), (5, "nothing".into()));
        assert_eq!(last(&good[..begin(4) + 5]), (4, "torn 5".into()));
        assert_eq!(last(&good[..begin(4) + PREFIX]), (4, "torn 12".into()));
        for record in 0..5 {
            for bit in 0..32 {
                let mut bad = good.clone();
                bad[begin(record) + bit / 8] ^= 1 << (bit % 8);
                let (number, what) = last(&bad);
                assert_eq!(number, record as u64, "bit {bit}");
                assert!(what.ends_with(&format!("damaged at byte {}", begin(record))), "bit {bit}: {what}");
            }
        }
        let mut bad = good;
        bad[begin(1) + 1] = 0x7f;
        bad[begin(1) + PREFIX] = 1;
        assert!(last(&bad).1.contains("a record that is whole ends at byte 55"), "{:?}", last(&bad));
    }
}

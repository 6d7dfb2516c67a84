//! Rows are text, and much of that is hex: ids, hashes, signed bytes. Folded, a run of hex is as many bytes as it stands for, so that
//! the same bytes are the same wherever they are in it, and what is random takes no more room than it must.

/// Begins a run of hex, or stands for itself; in UTF-8 it is nowhere.
const MARK: u8 = 0xff;
/// Digits that a run has at least, and the most bytes that it stands for.
const LEAST: usize = 8;
const MOST: usize = 255;

pub(super) fn fold(bytes: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(bytes.len() * 2 / 3);
    let (mut plain, mut at) = (0, 0);
    while at < bytes.len() {
        let digits = bytes[at..].iter().take(2 * MOST).take_while(|byte| digit(**byte).is_some()).count();
        if digits < LEAST {
            // And over what stands behind them, which is none.
            at += digits + 1;
            continue;
        }
        keep(&bytes[plain..at], &mut folded);
        let pairs = digits / 2;
        plain = at + 2 * pairs;
        // No more than 255.
        folded.extend([MARK, pairs as u8]);
        let run = bytes[at..plain].chunks_exact(2);
        folded.extend(run.filter_map(|pair| Some((digit(pair[0])? << 4) | digit(pair[1])?)));
        at = plain;
    }
    keep(&bytes[plain..], &mut folded);
    folded
}

/// As it is.
fn keep(plain: &[u8], folded: &mut Vec<u8>) {
    for (number, piece) in plain.split(|byte| *byte == MARK).enumerate() {
        if number > 0 {
            folded.extend([MARK, 0]);
        }
        folded.extend_from_slice(piece);
    }
}

/// `None`: that was not folded.
pub(super) fn unfold(folded: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(folded.len() * 2);
    let mut rest = folded;
    while !rest.is_empty() {
        let plain = memchr::memchr(MARK, rest).unwrap_or(rest.len());
        bytes.extend_from_slice(&rest[..plain]);
        let Some([_, pairs, after @ ..]) = rest.get(plain..).filter(|marked| !marked.is_empty()) else {
            return (plain == rest.len()).then_some(bytes);
        };
        if *pairs == 0 {
            bytes.push(MARK);
        }
        let (run, after) = after.split_at_checked(usize::from(*pairs))?;
        let begin = bytes.len();
        bytes.resize(begin + 2 * run.len(), 0);
        let pairs = bytes[begin..].chunks_exact_mut(2);
        pairs.zip(run).for_each(|(pair, byte)| pair.copy_from_slice(&DIGITS[usize::from(*byte)]));
        rest = after;
    }
    Some(bytes)
}

/// Each byte in hex.
static DIGITS: [[u8; 2]; 256] = {
    let (mut all, mut byte) = ([[0; 2]; 256], 0);
    while byte < all.len() {
        all[byte] = [b"0123456789abcdef"[byte >> 4], b"0123456789abcdef"[byte & 15]];
        byte += 1;
    }
    all
};

/// What a digit of hex as it is written here stands for: in small letters.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hex_is_half_as_long_and_the_rest_as_it_was() {
        let row = br#"{"id":"00112233445566778899aabbccddeeff","n":123}"#;
        let folded = fold(row);
        assert_eq!(folded.len(), row.len() - 32 + 2 + 16);
        assert_eq!(unfold(&folded).as_deref(), Some(&row[..]));
        let long = [b'a'; 1_001];
        assert!(fold(&long).len() < 510);
    }

    #[test]
    fn what_was_never_folded_is_not_read_as_if_it_were() {
        assert_eq!(unfold(&[MARK]), None);
        assert_eq!(unfold(&[b'x', MARK, 3, 1, 2]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_folded_is_unfolded(bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), prop::sample::select(&b"0123456789abcdef"[..]), Just(MARK),
        ], 0..2_000)) {
            prop_assert_eq!(unfold(&fold(&bytes)), Some(bytes));
        }
    }
}

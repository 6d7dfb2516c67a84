//! The CBOR that labman accepts: a deterministic subset, checked before anything is decoded.
//!
//! No floats, no tags, no indefinite lengths, integers in their shortest form, map keys integers in rising order (so none
//! twice), no negative key (they are critical, and this version knows none), depth and collection sizes bounded, nothing
//! after the item.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::limits::{CBOR_DEPTH, CBOR_ITEMS};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCbor {
    #[error("not labman CBOR: cut short")]
    CutShort,
    #[error("not labman CBOR: bytes after the item")]
    Trailing,
    #[error("not labman CBOR: nested too deep")]
    Depth,
    #[error("not labman CBOR: a collection is too long")]
    Items,
    #[error("not labman CBOR: text is not UTF-8")]
    Utf8,
    #[error("not labman CBOR: a map key is not an integer")]
    KeyType,
    #[error("not labman CBOR: map keys do not rise")]
    KeyOrder,
    #[error("not labman CBOR: an unknown critical key")]
    Critical,
    #[error("not labman CBOR: a number is not in its shortest form")]
    Shortest,
    #[error("not labman CBOR: an indefinite or reserved length")]
    Indefinite,
    #[error("not labman CBOR: a float or an unknown simple value")]
    Simple,
    #[error("not labman CBOR: a tag")]
    Tag,
    /// It is of the subset, and not what was expected.
    #[error("a field is missing or of the wrong type")]
    Content,
}

/// Encodes a message.
pub fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    // Most messages fit: growing step by step would cost more than encoding them.
    let mut out = Vec::with_capacity(128);
    encode_onto(message, &mut out);
    out
}

/// Encodes a message behind what `out` holds. Writing to memory does not fail.
pub fn encode_onto<T: Encode<()>>(message: &T, out: &mut Vec<u8>) {
    let written = minicbor::encode(message, out);
    debug_assert!(written.is_ok());
}

/// Checks the subset, then decodes the whole of `bytes` as one message.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, BadCbor> {
    check(bytes)?;
    minicbor::decode(bytes).map_err(|_| BadCbor::Content)
}

/// Is this one item of the subset, and nothing else?
pub fn check(bytes: &[u8]) -> Result<(), BadCbor> {
    let mut reader = Reader { bytes };
    reader.item(0)?;
    if reader.bytes.is_empty() { Ok(()) } else { Err(BadCbor::Trailing) }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn item(&mut self, depth: usize) -> Result<(), BadCbor> {
        if depth > CBOR_DEPTH {
            return Err(BadCbor::Depth);
        }
        let (major, value) = self.head()?;
        match major {
            0 | 1 => Ok(()),
            2 => self.skip(value).map(|_| ()),
            3 => {
                let text = self.skip(value)?;
                core::str::from_utf8(text).map(|_| ()).map_err(|_| BadCbor::Utf8)
            }
            4 => {
                Self::bounded(value)?;
                (0..value).try_for_each(|_| self.item(depth + 1))
            }
            5 => {
                Self::bounded(value)?;
                let mut last = None;
                for _ in 0..value {
                    let (major, key) = self.head()?;
                    match major {
                        0 => {}
                        1 => return Err(BadCbor::Critical),
                        _ => return Err(BadCbor::KeyType),
                    }
                    if last.is_some_and(|last| last >= key) {
                        return Err(BadCbor::KeyOrder);
                    }
                    last = Some(key);
                    self.item(depth + 1)?;
                }
                Ok(())
            }
            // false, true, null.
            7 if (20..=22).contains(&value) => Ok(()),
            7 => Err(BadCbor::Simple),
            _ => Err(BadCbor::Tag),
        }
    }

    fn bounded(items: u64) -> Result<(), BadCbor> {
        if items <= CBOR_ITEMS { Ok(()) } else { Err(BadCbor::Items) }
    }

    fn head(&mut self) -> Result<(u8, u64), BadCbor> {
        let (first, rest) = self.bytes.split_first().ok_or(BadCbor::CutShort)?;
        self.bytes = rest;
        let (major, info) = (first >> 5, first & 31);
        let (value, least) = match info {
            0..24 => return Ok((major, u64::from(info))),
            24..=27 => {
                let width = 1usize << (info - 24);
                let value = self.skip(width as u64)?.iter().fold(0, |v, b| v << 8 | u64::from(*b));
                let least = match info {
                    24 => 24,
                    25 => 1 << 8,
                    26 => 1 << 16,
                    _ => 1 << 32,
                };
                (value, least)
            }
            _ => return Err(BadCbor::Indefinite),
        };
        match value < least {
            _ if major == 7 => Err(BadCbor::Simple),
            true => Err(BadCbor::Shortest),
            false => Ok((major, value)),
        }
    }

    fn skip(&mut self, len: u64) -> Result<&[u8], BadCbor> {
        let len =
            usize::try_from(len).ok().filter(|len| *len <= self.bytes.len()).ok_or(BadCbor::CutShort)?;
        let (head, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        Ok(head)
    }
}

/// Bytes that encode as a CBOR byte string: signed objects inside messages, hashes, JSON bodies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Blob(pub Vec<u8>);

impl core::fmt::Debug for Blob {
    /// Only the length: it may hold a prompt.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<C> Encode<C> for Blob {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Blob {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.bytes().map(|bytes| Self(bytes.into()))
    }
}

/// CBOR as a byte string of exactly that length, for a `struct X(pub [u8; N])`.
macro_rules! bytes_newtype {
    ($name:ident, $len:literal) => {
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes: [u8; $len] =
                    d.bytes()?.try_into().map_err(|_| minicbor::decode::Error::message("wrong length"))?;
                Ok(Self(bytes))
            }
        }
    };
}
pub(crate) use bytes_newtype;

/// An id of 16 or 32 bytes that people and JSON see in hex.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Calls `with` on its hex, without having that on the heap.
            pub fn with_hex<T>(&self, with: impl FnOnce(&str) -> T) -> T {
                let mut hex = [0; 2 * $len];
                // Neither errs: there is as much room as it needs, and hex is ASCII.
                let _ = hex::encode_to_slice(self.0, &mut hex);
                with(core::str::from_utf8(&hex).unwrap_or_default())
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.with_hex(|hex| f.write_str(hex))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.with_hex(|hex| serializer.serialize_str(hex))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <alloc::string::String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl core::str::FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut id = [0; $len];
                hex::decode_to_slice(text, &mut id)?;
                Ok(Self(id))
            }
        }

        $crate::wire::cbor::bytes_newtype!($name, $len);
    };
}
pub(crate) use hex_id;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_in_the_subset_is_refused_with_its_reason() {
        let cases: [(&[u8], BadCbor); 12] = [
            (&[0xf9, 0x3c, 0x00], BadCbor::Simple),
            (&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], BadCbor::Simple),
            (&[0x9f, 0xff], BadCbor::Indefinite),
            (&[0x18, 0x17], BadCbor::Shortest),
            (&[0xa2, 0x01, 0x00, 0x01, 0x00], BadCbor::KeyOrder),
            (&[0xa2, 0x02, 0x00, 0x01, 0x00], BadCbor::KeyOrder),
            (&[0xa1, 0x20, 0x00], BadCbor::Critical),
            (&[0xa1, 0x61, 0x61, 0x00], BadCbor::KeyType),
            (&[0xc0, 0x00], BadCbor::Tag),
            (&[0x61, 0xff], BadCbor::Utf8),
            (&[0x00, 0x00], BadCbor::Trailing),
            (&[0x42, 0x00], BadCbor::CutShort),
        ];
        for (bytes, reason) in cases {
            assert_eq!(check(bytes), Err(reason), "{bytes:x?}");
        }
        assert_eq!(check(&[0x81; 12]), Err(BadCbor::Depth));
        assert_eq!(check(&[0x99, 0x01, 0x01]), Err(BadCbor::Items));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = check(&bytes);
        }
    }
}

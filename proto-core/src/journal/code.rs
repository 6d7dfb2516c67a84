//! Bytes and back: the pieces that everything else is put together from.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use crate::store::Table;

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct Bad {
    pub at: usize,
    pub what: &'static str,
}

/// What has exactly one encoding. Decoding allocates no more than a small multiple of what it has read.
pub(super) trait Code<'a>: Sized {
    fn put(&self, to: &mut Vec<u8>);
    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad>;
}

/// Bytes that are being read, and the tables that may be named in them.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    length: usize,
    tables: &'static [Table],
}

impl<'a> Bytes<'a> {
    pub(super) const fn new(bytes: &'a [u8], tables: &'static [Table]) -> Self {
        Self { rest: bytes, length: bytes.len(), tables }
    }

    pub(super) const fn bad(&self, what: &'static str) -> Bad {
        Bad { at: self.length - self.rest.len(), what }
    }

    pub(super) fn end(&self) -> Result<(), Bad> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.bad("more than the record")) }
    }

    fn cut(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(self.bad("ends too soon"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let bad = self.bad("ends too soon");
        self.cut(N)?.try_into().map_err(|_| bad)
    }
}

macro_rules! number {
    ($($number:ty),*) => { $(
        impl<'a> Code<'a> for $number {
            fn put(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
                from.array().map(Self::from_le_bytes)
            }
        }
    )* };
}

number!(u8, u16, u32, u64);

impl<'a, const N: usize> Code<'a> for [u8; N] {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        from.array()
    }
}

impl<'a> Code<'a> for bool {
    fn put(&self, to: &mut Vec<u8>) {
        u8::from(*self).put(to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(from.bad("neither yes nor no")),
        }
    }
}

impl<'a> Code<'a> for SocketAddr {
    /// Scope and flow of an IPv6 address mean something to one host only, and nothing to a machine.
    fn put(&self, to: &mut Vec<u8>) {
        match self.ip() {
            IpAddr::V4(ip) => (4u8, ip.octets()).put(to),
            IpAddr::V6(ip) => (6u8, ip.octets()).put(to),
        }
        self.port().put(to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        let ip = match u8::take(from)? {
            4 => IpAddr::from(from.array::<4>()?),
            6 => IpAddr::from(from.array::<16>()?),
            _ => return Err(from.bad("no version of IP")),
        };
        Ok(Self::new(ip, u16::take(from)?))
    }
}

impl<'a> Code<'a> for &'a [u8] {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self, to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        let length = usize::try_from(u64::take(from)?).map_err(|_| from.bad("ends too soon"))?;
        from.cut(length)
    }
}

impl<'a> Code<'a> for String {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        let bytes = <&[u8]>::take(from)?;
        core::str::from_utf8(bytes).map(String::from).map_err(|_| from.bad("text that is not UTF-8"))
    }
}

impl<'a, T: Code<'a>> Code<'a> for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        if bool::take(from)? { T::take(from).map(Some) } else { Ok(None) }
    }
}

impl<'a, A: Code<'a>, B: Code<'a>> Code<'a> for (A, B) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl<'a, T: Code<'a>> Code<'a> for Arc<T> {
    fn put(&self, to: &mut Vec<u8>) {
        (**self).put(to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        T::take(from).map(Self::new)
    }
}

impl<'a, T: Code<'a>> Code<'a> for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        (self.len() as u64).put(to);
        self.iter().for_each(|item| item.put(to));
    }

    /// Grows with what is really there: a count says nothing before its items have been read.
    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        let count = u64::take(from)?;
        let mut list = Self::new();
        for _ in 0..count {
            list.push(T::take(from)?);
        }
        Ok(list)
    }
}

impl<'a> Code<'a> for Table {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self.name.as_bytes(), to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        let name = <&[u8]>::take(from)?;
        let known = from.tables.iter().find(|table| table.name.as_bytes() == name);
        known.copied().ok_or(from.bad("a table that this kind of machine does not have"))
    }
}

pub(super) fn put_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    (bytes.len() as u64).put(to);
    to.extend_from_slice(bytes);
}

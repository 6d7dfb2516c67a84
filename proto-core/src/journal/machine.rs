//! The contract's types as bytes: what goes into a machine both ways, what comes out only to be hashed.

use alloc::{string::String, vec::Vec};

use super::code::{Bad, Bytes, Code, put_bytes};
use super::{Cause, Fault, Outcome, Said};
use crate::http::{RequestHead, ResponseHead, Surface};
use crate::identity::NodeId;
use crate::machine::{
    Completion, DownReason, Input, Level, LinkId, Op, OpId, Output, Peer, ResetCode, StreamId, Target,
};
use crate::store::{Keys, Range, Row, Snapshot, StoreError, Write};
use crate::time::{Now, Time, Wall};

/// Types that are one field.
macro_rules! newtype {
    ($($name:ident),*) => { $(
        impl<'a> Code<'a> for $name {
            fn put(&self, to: &mut Vec<u8>) {
                self.0.put(to);
            }

            fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
                Code::take(from).map(Self)
            }
        }
    )* };
}

/// Structs, field after field.
macro_rules! fields {
    ($name:ident { $($field:ident),* }) => {
        impl<'a> Code<'a> for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $( self.$field.put(to); )*
            }

            fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
                Ok(Self { $( $field: Code::take(from)? ),* })
            }
        }
    };
}

/// Enums: the variant's number, then its fields.
macro_rules! variants {
    ($name:ident $(<$life:lifetime>)? {
        $( $tag:literal => $variant:ident $( ( $($item:ident),* ) )? $( { $($field:ident),* } )? ),* $(,)?
    }) => {
        impl<'a> Code<'a> for $name $(<$life>)? {
            fn put(&self, to: &mut Vec<u8>) {
                match self {
                    $( Self::$variant $( ( $($item),* ) )? $( { $($field),* } )? => {
                        to.push($tag);
                        $( $( $item.put(to); )* )?
                        $( $( $field.put(to); )* )?
                    } )*
                }
            }

            fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
                match u8::take(from)? {
                    $( $tag => {
                        $( $( let $item = Code::take(from)?; )* )?
                        $( $( let $field = Code::take(from)?; )* )?
                        Ok(Self::$variant $( ( $($item),* ) )? $( { $($field),* } )?)
                    } )*
                    _ => Err(from.bad(concat!("no ", stringify!($name)))),
                }
            }
        }
    };
}

newtype!(Time, Wall, LinkId, StreamId, OpId, NodeId);
fields!(Now { mono, wall });
fields!(RequestHead { method, path, headers });
fields!(ResponseHead { status, headers });
fields!(Snapshot { rows });
fields!(Outcome { signatures, fault, said });
fields!(Said { outputs, hash });
fields!(Range { table, from, to, limit });
fields!(Keys { table, keys });

variants!(Surface { 0 => Public, 1 => Admin });
variants!(DownReason { 0 => Closed, 1 => TimedOut, 2 => Failed });
variants!(Peer { 0 => Mesh { node_id, dialled, binding, addr }, 1 => Portman { token, origin }, 2 => Labman });
variants!(StoreError { 0 => Exists, 1 => Failed(why) });
variants!(Completion { 0 => Dialled(result), 1 => Stored(result), 2 => Page(result) });
variants!(Input<'a> {
    0 => LinkUp { link, peer },
    1 => LinkDown { link, reason },
    2 => Opened { stream, link },
    3 => Request { stream, surface, head },
    4 => Response { stream, head },
    5 => Bytes { stream, bytes },
    6 => Finished { stream },
    7 => Reset { stream, code },
    8 => Credit { stream, bytes },
    9 => Done(op, completion),
    10 => Leave,
});
variants!(Cause<'a> { 0 => Made, 1 => Input(input), 2 => Timeout });
variants!(Fault { 0 => Panicked(what), 1 => Stopped(what) });
variants!(Target { 0 => Mesh { addr, node_id }, 1 => Labman { url, token } });
variants!(Write { 0 => Put(table, row), 1 => Insert(table, row), 2 => Delete(table, key) });
variants!(Op { 0 => Dial(target), 1 => Store(batch), 2 => Read(range), 3 => Find(keys) });

impl<'a> Code<'a> for ResetCode {
    fn put(&self, to: &mut Vec<u8>) {
        self.to_u32().put(to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        let number = u32::take(from)?;
        let code = Self::from_u32(number);
        // On the wire an unknown number is a newer peer's; here it is damage.
        if code.to_u32() == number { Ok(code) } else { Err(from.bad("no ResetCode")) }
    }
}

impl<'a> Code<'a> for Row {
    fn put(&self, to: &mut Vec<u8>) {
        self.key.put(to);
        put_bytes(&self.value, to);
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        Ok(Self { key: String::take(from)?, value: <&[u8]>::take(from)?.to_vec() })
    }
}

impl<'a> Code<'a> for () {
    fn put(&self, _: &mut Vec<u8>) {}

    fn take(_: &mut Bytes<'a>) -> Result<Self, Bad> {
        Ok(())
    }
}

impl<'a, T: Code<'a>, E: Code<'a>> Code<'a> for Result<T, E> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_ok().put(to);
        match self {
            Ok(value) => value.put(to),
            Err(error) => error.put(to),
        }
    }

    fn take(from: &mut Bytes<'a>) -> Result<Self, Bad> {
        Ok(if bool::take(from)? { Ok(T::take(from)?) } else { Err(E::take(from)?) })
    }
}

pub(super) fn put_output(output: &Output, to: &mut Vec<u8>) {
    match output {
        Output::Open { stream, link } => {
            to.push(0);
            stream.put(to);
            link.put(to);
        }
        Output::Request { stream, url, head } => {
            to.push(1);
            stream.put(to);
            url.put(to);
            head.put(to);
        }
        Output::Response { stream, head } => {
            to.push(2);
            stream.put(to);
            head.put(to);
        }
        Output::Send { stream, bytes } => {
            to.push(3);
            stream.put(to);
            put_bytes(bytes, to);
        }
        Output::Finish { stream } => {
            to.push(4);
            stream.put(to);
        }
        Output::Reset { stream, code } => {
            to.push(5);
            stream.put(to);
            code.put(to);
        }
        Output::Grant { stream, bytes } => {
            to.push(6);
            stream.put(to);
            bytes.put(to);
        }
        Output::Close { link, reason } => {
            to.push(7);
            link.put(to);
            put_bytes(reason.as_bytes(), to);
        }
        Output::Start(id, op) => {
            to.push(8);
            id.put(to);
            op.put(to);
        }
        Output::Event(event) => {
            to.push(9);
            to.push(match event.level {
                Level::Debug => 0,
                Level::Info => 1,
                Level::Warn => 2,
                Level::Error => 3,
            });
            put_bytes(event.room.as_bytes(), to);
            event.text.put(to);
        }
    }
}

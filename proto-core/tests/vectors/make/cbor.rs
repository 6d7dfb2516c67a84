//! The subset of CBOR, before anybody asks what it means.

use serde_json::Value;

use super::Suite;
use crate::format::File;

const WHAT: &str = "cbor";

pub(crate) fn make() -> File {
    let mut suite = Suite::new("The subset of CBOR: protocol.md, section 2.");
    let nested = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    let list = |items: usize| [&[0x99][..], &(items as u16).to_be_bytes(), &vec![0x00; items]].concat();
    let pairs = |items: u16| {
        let mut map = [&[0xb9][..], &items.to_be_bytes()].concat();
        for key in 0..items {
            map.extend(minicbor::to_vec(key).expect("memory"));
            map.push(0xf6);
        }
        map
    };
    let good: [(&str, Vec<u8>); 21] = [
        ("0", vec![0x00]),
        ("23, the last in one byte", vec![0x17]),
        ("24, the first in two", vec![0x18, 0x18]),
        ("256, the first in three", vec![0x19, 0x01, 0x00]),
        ("65,536, the first in five", vec![0x1a, 0x00, 0x01, 0x00, 0x00]),
        ("2^32, the first in nine", vec![0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("2^64 - 1", vec![0x1b, 255, 255, 255, 255, 255, 255, 255, 255]),
        ("-1", vec![0x20]),
        ("-2^63", vec![0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        ("false, true and null", vec![0x83, 0xf4, 0xf5, 0xf6]),
        ("empty bytes", vec![0x40]),
        ("empty text", vec![0x60]),
        (
            "text of several scripts",
            "e\u{301}\u{4e2d}\u{1f319}".bytes().fold(vec![0x6a], |mut out, byte| {
                out.push(byte);
                out
            }),
        ),
        ("an empty array", vec![0x80]),
        ("an empty map", vec![0xa0]),
        ("a map whose keys rise, with gaps", vec![0xa3, 0x00, 0xf6, 0x05, 0xf6, 0x18, 0x64, 0xf6]),
        ("a map of the largest key", vec![0xa1, 0x1b, 255, 255, 255, 255, 255, 255, 255, 255, 0xf6]),
        ("as deep as may be", nested(8)),
        ("256 items", list(256)),
        ("256 pairs", pairs(256)),
        ("NUL in a text", vec![0x63, 0x61, 0x00, 0x62]),
    ];
    for (name, input) in good {
        suite.good(WHAT, Value::Null, name, input);
    }
    let bad: [(&str, &str, Vec<u8>); 46] = [
        ("cbor.cut-short", "nothing", vec![]),
        ("cbor.cut-short", "a number without its bytes", vec![0x19, 0x01]),
        ("cbor.cut-short", "bytes that are not all there", vec![0x42, 0x00]),
        ("cbor.cut-short", "text that is not all there", vec![0x62, 0x61]),
        ("cbor.cut-short", "an array without its last item", vec![0x82, 0x00]),
        ("cbor.cut-short", "a map without its last value", vec![0xa1, 0x00]),
        ("cbor.cut-short", "bytes of 2^64 - 1 bytes", vec![0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
        ("cbor.trailing", "two items", vec![0x00, 0x00]),
        ("cbor.trailing", "a break behind it", vec![0x80, 0xff]),
        ("cbor.shortest", "23 in two bytes", vec![0x18, 0x17]),
        ("cbor.shortest", "0 in two bytes", vec![0x18, 0x00]),
        ("cbor.shortest", "255 in three", vec![0x19, 0x00, 0xff]),
        ("cbor.shortest", "65,535 in five", vec![0x1a, 0x00, 0x00, 0xff, 0xff]),
        ("cbor.shortest", "2^32 - 1 in nine", vec![0x1b, 0, 0, 0, 0, 255, 255, 255, 255]),
        ("cbor.shortest", "-1 in two bytes", vec![0x38, 0x00]),
        ("cbor.shortest", "the length of bytes", vec![0x58, 0x01, 0x00]),
        ("cbor.shortest", "the length of a text", vec![0x78, 0x01, 0x61]),
        ("cbor.shortest", "the length of an array", vec![0x98, 0x01, 0x00]),
        ("cbor.shortest", "the length of a map", vec![0xb8, 0x01, 0x00, 0x00]),
        ("cbor.shortest", "a map's key", vec![0xa1, 0x18, 0x01, 0x00]),
        ("cbor.indefinite", "bytes of indefinite length", vec![0x5f, 0x41, 0x00, 0xff]),
        ("cbor.indefinite", "text of indefinite length", vec![0x7f, 0x61, 0x61, 0xff]),
        ("cbor.indefinite", "an array of indefinite length", vec![0x9f, 0xff]),
        ("cbor.indefinite", "a map of indefinite length", vec![0xbf, 0xff]),
        ("cbor.indefinite", "a break", vec![0xff]),
        ("cbor.indefinite", "a reserved length", vec![0x1c]),
        ("cbor.simple", "a float of half precision", vec![0xf9, 0x3c, 0x00]),
        ("cbor.simple", "a float of single precision", vec![0xfa, 0x3f, 0x80, 0x00, 0x00]),
        ("cbor.simple", "a float of double precision", vec![0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("cbor.simple", "not a number", vec![0xf9, 0x7e, 0x00]),
        ("cbor.simple", "undefined", vec![0xf7]),
        ("cbor.simple", "simple value 19", vec![0xf3]),
        ("cbor.simple", "simple value 32", vec![0xf8, 0x20]),
        ("cbor.tag", "a date", vec![0xc0, 0x60]),
        ("cbor.tag", "a big number", vec![0xc2, 0x41, 0x01]),
        ("cbor.tag", "a tag inside an array", vec![0x81, 0xd8, 0x18, 0x41, 0x00]),
        ("cbor.utf8", "a byte that is no text", vec![0x61, 0xff]),
        ("cbor.utf8", "half a character", vec![0x61, 0xc3]),
        ("cbor.utf8", "a character written too long", vec![0x62, 0xc0, 0x80]),
        ("cbor.utf8", "half a surrogate pair", vec![0x63, 0xed, 0xa0, 0x80]),
        ("cbor.key-order", "a key twice", vec![0xa2, 0x01, 0x00, 0x01, 0x00]),
        ("cbor.key-order", "keys that fall", vec![0xa2, 0x02, 0x00, 0x01, 0x00]),
        ("cbor.key-type", "a key that is a text", vec![0xa1, 0x61, 0x61, 0x00]),
        ("cbor.key-type", "a key that is bytes", vec![0xa1, 0x41, 0x00, 0x00]),
        ("cbor.critical", "a negative key", vec![0xa1, 0x20, 0x00]),
        ("cbor.critical", "a negative key deep inside", vec![0x81, 0xa1, 0x00, 0xa1, 0x38, 0x63, 0xf6]),
    ];
    for (rule, name, input) in bad {
        suite.bad(rule, WHAT, Value::Null, name, input);
    }
    suite.bad("cbor.depth", WHAT, Value::Null, "one deeper than may be", nested(9));
    let maps = [[0xa1, 0x00].repeat(9), vec![0x00]].concat();
    suite.bad("cbor.depth", WHAT, Value::Null, "maps one deeper than may be", maps);
    suite.bad("cbor.items", WHAT, Value::Null, "257 items", list(257));
    suite.bad("cbor.items", WHAT, Value::Null, "257 pairs", pairs(257));
    let endless = vec![0x9b, 255, 255, 255, 255, 255, 255, 255, 255];
    suite.bad("cbor.items", WHAT, Value::Null, "an array that says it has 2^64 - 1 items", endless);
    suite.0
}

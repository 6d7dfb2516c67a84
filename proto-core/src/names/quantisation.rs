//! Quantisations by the names that runtimes and publishers give them, and the levels that users of OpenRouter choose by.

/// Bits of a weight, and whether they are an integer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(&'static str);

/// All there are.
pub(crate) const LEVELS: [&str; 12] =
    ["int2", "int3", "int4", "int5", "int6", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32"];

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        self.0
    }
}

/// Ways to quantise whose names tell the bits.
const NAMED: [(&str, &str); 12] = [
    ("awq", "int4"),
    ("gptq", "int4"),
    ("nvfp4", "fp4"),
    ("mxfp4", "fp4"),
    ("mxfp6", "fp6"),
    ("mxfp8", "fp8"),
    ("e4m3", "fp8"),
    ("f16", "fp16"),
    ("f32", "fp32"),
    ("w4a16", "int4"),
    ("w8a16", "int8"),
    ("w8a8", "int8"),
];

/// Of `Q4_K_M`, `IQ3_XXS`, `AWQ`, `fp8`, `4bit` and the like. `None`: it is no quantisation.
pub(super) fn level(name: &str) -> Option<Level> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let named = NAMED.iter().find(|(known, _)| is(known)).map(|(_, level)| *level);
    let level = named.or_else(|| LEVELS.into_iter().find(|level| is(level)));
    level.or_else(|| integer(name)).map(Level)
}

/// `Q4_K_M`, `IQ3_XXS`, `4bit`.
fn integer(name: &str) -> Option<&'static str> {
    let lower = |at: usize| name.as_bytes().get(at).map(u8::to_ascii_lowercase);
    let ends_with = |end: &str| {
        name.len()
            .checked_sub(end.len())
            .and_then(|at| name.get(at..))
            .is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    let digit = match (lower(0), lower(1)) {
        (Some(b'i'), Some(b'q')) => 2,
        (Some(b'q'), _) => 1,
        (Some(b'0'..=b'9'), _) if name.len() == 4 && ends_with("bit") => 0,
        _ => return None,
    };
    // After the digit there is nothing, or `_` and more.
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if digit > 0 && !(is_plain && matches!(lower(digit + 1), None | Some(b'_'))) {
        return None;
    }
    match lower(digit)? {
        b'2' => Some("int2"),
        b'3' => Some("int3"),
        b'4' => Some("int4"),
        b'5' => Some("int5"),
        b'6' => Some("int6"),
        b'8' => Some("int8"),
        _ => None,
    }
}

/// `int4`, `4bit` and `f16` tell the bits and no more: whoever asks for that means any such.
pub(super) fn says_only_its_level(name: &str) -> bool {
    let is = |other: &&str| name.eq_ignore_ascii_case(other);
    let is_bits = name.len() == 4 && name.get(1..).is_some_and(|rest| rest.eq_ignore_ascii_case("bit"));
    LEVELS.iter().any(is) || ["f16", "f32"].iter().any(is) || is_bits
}

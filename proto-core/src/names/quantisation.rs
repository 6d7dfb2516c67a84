//! Quantisations by the names that runtimes and publishers give them, and the levels that users of OpenRouter choose by.

/// Bits of a weight, and whether they are an integer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(&'static str);

/// All there are.
pub(crate) const LEVELS: [&str; 13] =
    ["int1", "int2", "int3", "int4", "int5", "int6", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32"];

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        self.0
    }
}

/// Ways to quantise to any level, and the usual one.
const USUALLY: [(&str, &str); 3] = [("awq", "int4"), ("gptq", "int4"), ("bnb", "int4")];

/// Ways to quantise that tell the level.
const METHODS: [(&str, &str); 10] = [
    ("nf4", "fp4"),
    ("nvfp4", "fp4"),
    ("mxfp4", "fp4"),
    ("mxfp4_moe", "fp4"),
    ("mxfp6", "fp6"),
    ("mxfp8", "fp8"),
    ("e4m3", "fp8"),
    ("w4a16", "int4"),
    ("w8a16", "int8"),
    ("w8a8", "int8"),
];

/// Other names of levels.
const BITS: [(&str, &str); 8] = [
    ("2bit", "int2"),
    ("3bit", "int3"),
    ("4bit", "int4"),
    ("5bit", "int5"),
    ("6bit", "int6"),
    ("8bit", "int8"),
    ("f16", "fp16"),
    ("f32", "fp32"),
];

/// llama.cpp's, by what their names begin with.
const INTEGERS: [(&str, &str); 14] = [
    ("q2_", "int2"),
    ("q3_", "int3"),
    ("q4_", "int4"),
    ("q5_", "int5"),
    ("q6_", "int6"),
    ("q8_", "int8"),
    ("iq1_", "int1"),
    ("iq2_", "int2"),
    ("iq3_", "int3"),
    ("iq4_", "int4"),
    ("tq1_", "int1"),
    ("tq2_", "int2"),
    ("q4f16_", "int4"),
    ("q8f16_", "int8"),
];

/// What may follow in these.
const VARIANTS: [&str; 12] = ["0", "1", "4", "8", "k", "s", "m", "l", "xs", "xxs", "xl", "nl"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantisation<'a> {
    /// `None`: only the bits are told.
    method: Option<&'a str>,
    pub(super) level: Level,
    /// It is not told, only usual.
    is_usual: bool,
}

impl<'a> Quantisation<'a> {
    /// Of `Q4_K_M`, `IQ3_XXS`, `AWQ`, `fp8`, `4bit` and the like. `None`: it is no quantisation.
    pub(super) fn of(name: &'a str) -> Option<Self> {
        let of = |table: &[(&str, &'static str)]| {
            table.iter().find(|(other, _)| name.eq_ignore_ascii_case(other)).map(|(_, level)| *level)
        };
        let bits = LEVELS.into_iter().find(|level| name.eq_ignore_ascii_case(level)).or_else(|| of(&BITS));
        let told = || of(&METHODS).or_else(|| integer(name)).map(|level| (level, Some(name), false));
        let usual = || of(&USUALLY).map(|level| (level, Some(name), true));
        let (level, method, is_usual) =
            bits.map(|level| (level, None, false)).or_else(told).or_else(usual)?;
        Some(Self { method, level: Level(level), is_usual })
    }

    /// With what stands after it: `GPTQ-Int8`, `8bit-GPTQ`.
    pub(super) fn before(self, last: Option<Self>) -> Self {
        let Some(last) = last else { return self };
        let level = if last.is_usual { self } else { last };
        Self { method: self.method.or(last.method), ..level }
    }

    /// Whoever asks for bits alone means any such.
    pub(super) fn serves(self, asked: Self) -> bool {
        let same = |method: &str| self.method.is_some_and(|ours| ours.eq_ignore_ascii_case(method));
        self.level == asked.level && asked.method.is_none_or(same)
    }
}

fn integer(name: &str) -> Option<&'static str> {
    let begins = |begin: &str| name.get(..begin.len()).is_some_and(|is| is.eq_ignore_ascii_case(begin));
    let (begin, level) = INTEGERS.iter().find(|(begin, _)| begins(begin))?;
    let known = |part: &str| VARIANTS.iter().any(|variant| part.eq_ignore_ascii_case(variant));
    name.get(begin.len()..)?.split('_').all(known).then_some(*level)
}

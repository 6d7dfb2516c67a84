use std::fs::File;
use std::path::PathBuf;

use labman_proto_core::time::Span;
use labman_sim::replay::{Options, Stop, replay};

use super::{Outcome, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    /// As a daemon wrote it with `--journal FILE`
    file: PathBuf,
    /// Stop so long after the life's start, such as 12.5s or 800ms
    #[arg(long, value_name = "T", value_parser = span)]
    until: Option<Span>,
    /// Stop in this life of the machine (1: the first, which is where --until stops if this is absent), or at its end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    life: Option<u16>,
    /// Print what the machine would show of itself there, or at the journal's end
    #[arg(long)]
    state: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { file, until, life, state, json } = self;
        let stop =
            (until.is_some() || life.is_some()).then(|| Stop { life: usize::from(life.unwrap_or(1)), until });
        let failed = |why: std::io::Error| format!("{}: {why}", file.display());
        let journal = File::open(&file).map_err(failed)?;
        let replay = replay(journal, &Options { stop, state }).map_err(failed)?;
        print(&if json { replay.to_json().to_string() } else { replay.to_string() });
        Ok(verdict(replay.passed()))
    }
}

/// Nanoseconds of one, the longer name first where one ends in another.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

pub(super) fn span(text: &str) -> Result<Span, String> {
    let bad =
        || format!("{text:?} is no length of time: write a number and ns, us, ms, s, m or h, such as 12.5s");
    let (number, unit) =
        UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).ok_or_else(bad)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return Err(bad());
    }
    let whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit)).ok_or_else(bad)?;
    let parts = u128::from(fraction.parse::<u64>().map_err(|_| bad())?) * u128::from(unit);
    let part = u64::try_from(parts / 10u128.pow(fraction.len() as u32)).map_err(|_| bad())?;
    whole.checked_add(part).map(Span).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(span("12.5s"), Ok(Span::from_millis(12_500)));
        assert_eq!(span("800ms"), Ok(Span::from_millis(800)));
        assert_eq!(span("0.000000001s"), Ok(Span(1)));
        assert_eq!(span("1.5m"), Ok(Span::from_secs(90)));
        assert_eq!((span("99h"), span("7ns")), (Ok(Span::from_secs(99 * 3_600)), Ok(Span(7))));
        for wrong in ["", "s", "12", "1.s", ".5s", "-1s", "1e3s", "99999999999999999999s", "1.0000000001s"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}

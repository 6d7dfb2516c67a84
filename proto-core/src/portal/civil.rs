//! Months and moments as people write them, in UTC. From days to dates and back after H. Hinnant, "chrono-Compatible
//! Low-Level Date Algorithms", 2013: https://howardhinnant.github.io/date_algorithms.html

use alloc::string::String;

const DAY_MS: u64 = 86_400_000;

/// From when to when a month goes, in Unix milliseconds, the end exclusive. `None`: that is no month since 1970.
pub(super) fn month(text: &str) -> Option<(u64, u64)> {
    let (year, month) = text.split_once('-').filter(|(year, month)| (year.len(), month.len()) == (4, 2))?;
    let all_digits = year.bytes().chain(month.bytes()).all(|b| b.is_ascii_digit());
    let (year, month): (u64, u64) = (year.parse().ok()?, month.parse().ok()?);
    if !all_digits || year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Some((first_of(year, month) * DAY_MS, first_of(next_year, next) * DAY_MS))
}

/// Such as `2026-11-28T06:09:07Z`.
pub(super) fn text(at_ms: u64) -> String {
    let (days, second) = (at_ms / DAY_MS, at_ms % DAY_MS / 1000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    alloc::format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970 until the first of that month. Years begin in March here, so that a leap day is the last.
fn first_of(year: u64, month: u64) -> u64 {
    let (year, from_march) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + years + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_calendars_say_so() {
        assert_eq!(month("1970-01"), Some((0, 31 * DAY_MS)));
        assert_eq!(month("2024-02").map(|(from, to)| (to - from) / DAY_MS), Some(29));
        assert_eq!(month("2100-02").map(|(from, to)| (to - from) / DAY_MS), Some(28));
        for bad in ["2026-13", "2026-00", "1969-12", "2026-1", "26-01", "", "+026-01"] {
            assert_eq!(month(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_month_begins_at_midnight_of_its_first() {
        let mut end = 0;
        for year in 1970..2400 {
            for of_year in 1..=12 {
                let (from, to) = month(&alloc::format!("{year}-{of_year:02}")).unwrap();
                assert_eq!(from, end);
                assert_eq!(text(from), alloc::format!("{year}-{of_year:02}-01T00:00:00Z"));
                end = to;
            }
        }
        assert_eq!(text(1_700_000_000_000), "2023-11-14T22:13:20Z");
    }
}

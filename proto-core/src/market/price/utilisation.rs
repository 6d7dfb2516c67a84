//! Dearer while slots are scarce, cheaper while they are not.

use super::Turn;

/// Slot time that is used, in thousandths, above which slots are scarce, and below which they are not.
const SCARCE: u32 = 800;
const IDLE: u32 = 500;

pub(super) fn next(turn: &mut Turn<'_>) -> u32 {
    match turn.seen.utilisation {
        0..IDLE => turn.down,
        IDLE..=SCARCE => turn.factor,
        _ => turn.up,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::super::{AS_CONFIGURED, Seen, Strategy};
    use super::*;

    #[test]
    fn scarce_slots_become_dearer_and_idle_ones_cheaper_within_bounds() {
        let busy = |utilisation| move |_: u32| Seen { utilisation, ..Seen::default() };
        assert_eq!(run(Strategy::Utilisation, busy(950)), 2_000);
        assert_eq!(run(Strategy::Utilisation, busy(100)), 500);
        assert_eq!(run(Strategy::Utilisation, busy(650)), AS_CONFIGURED);
        assert_eq!(run(Strategy::Fixed, busy(950)), AS_CONFIGURED);
    }

    #[test]
    fn where_demand_falls_with_the_price_slots_come_to_be_used_as_they_should() {
        // At the configured price all would be taken; at twice that, four tenths.
        let seen =
            |factor: u32| Seen { utilisation: (1_600 - factor * 6 / 10).min(1_000), ..Seen::default() };
        let factor = run(Strategy::Utilisation, seen);
        assert!((IDLE..=SCARCE).contains(&seen(factor).utilisation), "{factor}");
    }
}

//! What an endpoint keeps in memory in the next epoch: worked out from what each model is expected to earn there.
//!
//! ```text
//!   pins --> what is not worth its place makes room for what is worth more, the most for a GiB first
//!                 |                                            |
//!                 +-- only if the gain, over the horizon, exceeds what is not earned while it loads
//! ```
//!
//! What is absent: when it is done (drained, unloaded, loaded), which is the provider's `hosting.rs`; and who may change
//! something in this epoch at all: providers alike would all do the same.

use alloc::{format, string::String, vec::Vec};

use crate::time::Span;

/// A gain of less than this, in thousandths of what is given up, is taken for chance.
const HYSTERESIS: u128 = 100;

const GIB: u128 = 1 << 30;

/// What is looked at in the order of its worth.
pub(crate) const AS_IT_IS: u64 = 1_000;

/// A model that could be in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) model: String,
    /// Bytes of memory.
    pub(crate) memory: u64,
    pub(crate) load: Span,
    pub(crate) loaded: bool,
    /// Why it must be in memory, if it must.
    pub(crate) bound: Option<&'static str>,
    /// Why it may not be in memory, if it may not.
    pub(crate) barred: Option<&'static str>,
    /// What it would earn in an hour, in thousandths of a micro-unit.
    pub(crate) worth: u64,
    /// Its luck: by so many thousandths of its worth it is looked at sooner or later than others.
    pub(crate) luck: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays in memory.
    Keep,
    Load,
    Unload,
    /// It stays out.
    Leave,
}

impl Verdict {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Load => "load",
            Self::Unload => "unload",
            Self::Leave => "leave",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) candidate: Candidate,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
    /// What it would have to earn in an hour for the verdict to be another, in thousandths of a micro-unit, where that would change it.
    pub(crate) turns_at: Option<u64>,
}

/// What bounds the changes of one epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes.
    pub(crate) memory: u64,
    pub(crate) loads: u32,
    pub(crate) horizon: Span,
    /// It is not this provider's turn to give up one model for another.
    pub(crate) may_switch: bool,
}

/// A verdict for each, the most worth for a GiB first.
pub(crate) fn plan(mut candidates: Vec<Candidate>, bounds: Bounds) -> Vec<Line> {
    let lot = |of: &Candidate| density(of).saturating_mul(of.luck.into());
    candidates.sort_by(|a, b| lot(b).cmp(&lot(a)).then_with(|| a.model.cmp(&b.model)));
    let mut lines: Vec<Line> = candidates.into_iter().map(first_verdict).collect();
    let pinned = indices(&lines, |line| {
        line.candidate.bound.is_some() && line.candidate.barred.is_none() && line.verdict == Verdict::Leave
    });
    let mut loads = bounds.loads;
    for wanted in pinned {
        let room = make_room(&lines, wanted, bounds.memory);
        swap(&mut lines, wanted, room, "it is pinned", &mut loads);
    }
    for wanted in indices(&lines, |line| line.verdict == Verdict::Leave && line.candidate.barred.is_none()) {
        consider(&mut lines, wanted, bounds, &mut loads);
    }
    lines.sort_by_key(|line| core::cmp::Reverse(density(&line.candidate)));
    explain_kept(&mut lines);
    lines
}

fn first_verdict(candidate: Candidate) -> Line {
    let (verdict, why) = match &candidate {
        Candidate { barred: Some(why), loaded: true, .. } => (Verdict::Unload, *why),
        Candidate { barred: Some(why), .. } => (Verdict::Leave, *why),
        Candidate { bound: Some(why), loaded: true, .. } => (Verdict::Keep, *why),
        Candidate { loaded: true, .. } => (Verdict::Keep, ""),
        Candidate { .. } => (Verdict::Leave, ""),
    };
    Line { candidate, verdict, why: why.into(), turns_at: None }
}

/// One that is not in memory: is it worth the place of others?
fn consider(lines: &mut [Line], wanted: usize, bounds: Bounds, loads: &mut u32) {
    // It may have come along with another.
    let Some(Line { candidate, verdict: Verdict::Leave, .. }) = lines.get(wanted) else { return };
    let (worth, load, memory) = (candidate.worth, candidate.load, candidate.memory);
    if worth == 0 {
        return leave(lines, wanted, "nobody asks for it, or others serve all who do".into(), None);
    }
    let Some(room) = make_room(lines, wanted, bounds.memory) else {
        return leave(
            lines,
            wanted,
            format!("it takes {} MiB, more than there is for it", memory >> 20),
            None,
        );
    };
    let given_up = worth_of(lines, &room.victims);
    // A large one may make room for several: together they may be worth what none of them is.
    let bundle = bundle(lines, wanted, &room, *loads);
    let needed = break_even(given_up, load, bounds.horizon);
    let others = worth_of(lines, &bundle).saturating_sub(worth);
    if worth.saturating_add(others) < needed {
        let why = String::from("what is in memory earns as much, or too little less to be worth loading it");
        return leave(lines, wanted, why, Some(needed.saturating_sub(others)));
    }
    if !room.victims.is_empty() && !bounds.may_switch {
        return leave(
            lines,
            wanted,
            "it is worth it, and its turn will come: others may see the same".into(),
            None,
        );
    }
    if *loads == 0 {
        return leave(lines, wanted, "it is worth it, after others that are loaded first".into(), None);
    }
    let why = match room.victims.is_empty() {
        true => "there is room for it",
        false => "it is worth more than what makes room for it",
    };
    swap(lines, wanted, Some(room), why, loads);
    // They come along at once: they may have been looked at before, when it was not yet worth it.
    for also in bundle.into_iter().filter(|index| *index != wanted) {
        let room = make_room(lines, also, bounds.memory);
        swap(lines, also, room, "there is room for it", loads);
    }
}

/// It, and what else would then find room, the most worth for a GiB first.
fn bundle(lines: &[Line], wanted: usize, room: &Room, loads: u32) -> Vec<usize> {
    let mut spare = room.spare;
    let mut bundle = [wanted].to_vec();
    for (index, line) in lines.iter().enumerate() {
        let Candidate { memory, worth, barred, .. } = line.candidate;
        // What fits anyway needs nobody to go.
        let fits = memory <= spare && memory > room.free && worth > 0 && barred.is_none();
        if index != wanted && line.verdict == Verdict::Leave && fits && bundle.len() < loads as usize {
            spare -= line.candidate.memory;
            bundle.push(index);
        }
    }
    bundle
}

fn worth_of(lines: &[Line], of: &[usize]) -> u64 {
    of.iter().filter_map(|index| lines.get(*index)).map(|line| line.candidate.worth).sum()
}

/// What a model must earn in an hour to be worth it: more than what is given up, and enough to make good within the horizon what
/// nobody earns in its place while it loads.
fn break_even(given_up: u64, load: Span, horizon: Span) -> u64 {
    let with_margin = u128::from(given_up) * (1_000 + HYSTERESIS) / 1_000;
    let earning = u128::from(horizon.0.saturating_sub(load.0)).max(1);
    let needed = with_margin * u128::from(horizon.0).max(1) / earning;
    u64::try_from(needed).unwrap_or(u64::MAX).max(1)
}

/// How room for one is made.
struct Room {
    /// Models that it takes the place of.
    victims: Vec<usize>,
    /// Bytes that are free as it is, and that are left when all is done.
    free: u64,
    spare: u64,
}

/// `None`: not even all others that may go would make room.
fn make_room(lines: &[Line], wanted: usize, memory: u64) -> Option<Room> {
    let needed = i128::from(lines.get(wanted)?.candidate.memory);
    let stays = |line: &&Line| matches!(line.verdict, Verdict::Keep | Verdict::Load);
    let taken: i128 = lines.iter().filter(stays).map(|line| i128::from(line.candidate.memory)).sum();
    // Below zero where more is in memory than should be: that must go first.
    let free = i128::from(memory) - taken;
    let mut spare = free - needed;
    let mut victims = Vec::new();
    for (index, line) in lines.iter().enumerate().rev() {
        if spare >= 0 {
            break;
        }
        // The least worth for a GiB first. What was loaded for its worth in this very plan is worth more than this.
        if line.verdict == Verdict::Keep && line.candidate.bound.is_none() {
            spare += i128::from(line.candidate.memory);
            victims.push(index);
        }
    }
    if spare < 0 {
        return None;
    }
    // A large one may have made more room than is needed: what fits beside stays, the most worth first.
    for index in victims.clone().into_iter().rev() {
        let memory = lines.get(index).map_or(0, |line| i128::from(line.candidate.memory));
        if memory <= spare {
            spare -= memory;
            victims.retain(|victim| *victim != index);
        }
    }
    let bytes = |bytes: i128| u64::try_from(bytes).unwrap_or(0);
    Some(Room { victims, free: bytes(free), spare: bytes(spare) })
}

fn swap(lines: &mut [Line], wanted: usize, room: Option<Room>, why: &str, loads: &mut u32) {
    let Some(room) = room else {
        return leave(lines, wanted, "pinned models take all the memory".into(), None);
    };
    let name = lines.get(wanted).map(|line| line.candidate.model.clone()).unwrap_or_default();
    for index in room.victims {
        if let Some(line) = lines.get_mut(index) {
            (line.verdict, line.why) = (Verdict::Unload, format!("it makes room for {name}"));
        }
    }
    if let Some(line) = lines.get_mut(wanted) {
        (line.verdict, line.why, line.turns_at) = (Verdict::Load, why.into(), None);
    }
    *loads = loads.saturating_sub(1);
}

fn leave(lines: &mut [Line], index: usize, why: String, turns_at: Option<u64>) {
    if let Some(line) = lines.get_mut(index) {
        (line.why, line.turns_at) = (why, turns_at);
    }
}

/// Of what stays: who comes next for its place.
fn explain_kept(lines: &mut [Line]) {
    let waits = |line: &&Line| line.verdict == Verdict::Leave && line.candidate.barred.is_none();
    let next = lines.iter().filter(waits).find(|line| line.candidate.worth > 0);
    let next = next.map(|line| (line.candidate.model.clone(), density(&line.candidate)));
    for line in
        lines.iter_mut().filter(|line| line.verdict == Verdict::Keep && line.candidate.bound.is_none())
    {
        let memory = u128::from(line.candidate.memory);
        match &next {
            Some((model, density)) => {
                line.why = format!("next for its place: {model}");
                let turns = density * memory / GIB * 1_000 / (1_000 + HYSTERESIS);
                line.turns_at = u64::try_from(turns).ok();
            }
            None => line.why = "nothing else is asked for".into(),
        }
    }
}

/// Worth for a GiB.
fn density(of: &Candidate) -> u128 {
    u128::from(of.worth) * GIB / u128::from(of.memory.max(1))
}

fn indices(lines: &[Line], which: impl Fn(&Line) -> bool) -> Vec<usize> {
    lines.iter().enumerate().filter(|(_, line)| which(line)).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds =
        Bounds { memory: 10 << 30, loads: 8, horizon: Span::from_secs(6 * 3_600), may_switch: true };

    fn of(model: &str, gib: u64, worth: u64, loaded: bool) -> Candidate {
        Candidate {
            model: model.into(),
            memory: gib << 30,
            load: Span::from_secs(60),
            loaded,
            bound: None,
            barred: None,
            worth,
            luck: AS_IT_IS,
        }
    }

    fn verdicts(candidates: Vec<Candidate>, bounds: Bounds) -> Vec<(String, Verdict)> {
        plan(candidates, bounds).into_iter().map(|line| (line.candidate.model, line.verdict)).collect()
    }

    #[test]
    fn what_earns_most_for_a_gib_is_in_memory() {
        let candidates =
            vec![of("big", 8, 1_000, true), of("small", 4, 900, false), of("other", 4, 800, false)];
        let verdicts = verdicts(candidates, BOUNDS);
        assert_eq!(
            verdicts,
            [
                ("small".into(), Verdict::Load),
                ("other".into(), Verdict::Load),
                ("big".into(), Verdict::Unload)
            ]
        );
    }

    #[test]
    fn nobody_goes_for_what_fits_without_that() {
        // The small one is worth least for a GiB, but the large one must go anyway.
        let verdicts_of = |candidates| verdicts(candidates, BOUNDS);
        let told =
            verdicts_of(vec![of("small", 2, 20, true), of("large", 8, 160, true), of("rich", 8, 900, false)]);
        assert!(told.contains(&("small".into(), Verdict::Keep)), "{told:?}");
        // One that fits into what is free does not help another to a place.
        let told =
            verdicts_of(vec![of("here", 8, 100, true), of("rich", 4, 60, false), of("fits", 2, 29, false)]);
        assert!(told.contains(&("here".into(), Verdict::Keep)), "{told:?}");
        assert!(told.contains(&("fits".into(), Verdict::Load)), "{told:?}");
    }

    #[test]
    fn what_a_gain_is_counted_on_is_loaded_with_it() {
        // With two loads, the first two are worth less than what is here, and the first and the last worth more.
        let told = verdicts(
            vec![
                of("here", 10, 9_268, true),
                of("first", 1, 7_211, false),
                of("second", 1, 1_003, false),
                of("last", 3, 3_011, false),
            ],
            Bounds { loads: 2, ..BOUNDS },
        );
        assert!(told.contains(&("last".into(), Verdict::Load)), "{told:?}");
        assert!(told.contains(&("first".into(), Verdict::Load)), "{told:?}");
    }

    #[test]
    fn where_more_is_in_memory_than_should_be_that_goes_first() {
        let told =
            verdicts(vec![of("a", 8, 800, true), of("b", 6, 60, true), of("c", 6, 300, false)], BOUNDS);
        assert!(told.contains(&("c".into(), Verdict::Leave)), "only two GiB would be free: {told:?}");
        assert!(told.contains(&("b".into(), Verdict::Keep)), "{told:?}");
    }

    #[test]
    fn a_little_more_is_not_worth_loading_for() {
        let lines = plan(vec![of("here", 10, 1_000, true), of("there", 10, 1_050, false)], BOUNDS);
        assert_eq!((lines[0].verdict, lines[1].verdict), (Verdict::Leave, Verdict::Keep));
        let turns_at = lines[0].turns_at.unwrap();
        assert!((1_100..1_110).contains(&turns_at), "what it would take is told: {turns_at}");
        let lines = plan(vec![of("here", 10, 1_000, true), of("there", 10, turns_at, false)], BOUNDS);
        assert_eq!((lines[0].verdict, lines[1].verdict), (Verdict::Load, Verdict::Unload));
    }

    #[test]
    fn what_loads_for_half_the_horizon_must_earn_twice_as_much() {
        let slow = Candidate { load: Span::from_secs(3 * 3_600), ..of("slow", 10, 2_000, false) };
        let lines = plan(vec![of("here", 10, 1_000, true), slow.clone()], BOUNDS);
        assert_eq!(lines[0].verdict, Verdict::Leave);
        let lines = plan(vec![of("here", 10, 1_000, true), Candidate { worth: 2_300, ..slow }], BOUNDS);
        assert_eq!(lines[0].verdict, Verdict::Load);
    }

    #[test]
    fn the_operator_s_word_is_above_what_is_earned() {
        let pinned = Candidate { bound: Some("it is pinned"), ..of("pinned", 6, 0, false) };
        let denied = Candidate { barred: Some("it is never to be hosted"), ..of("denied", 2, 9_000, true) };
        let rich = of("rich", 6, 5_000, true);
        let verdicts = verdicts(vec![pinned, denied, rich], BOUNDS);
        assert!(verdicts.contains(&("pinned".into(), Verdict::Load)));
        assert!(verdicts.contains(&("denied".into(), Verdict::Unload)));
        assert!(verdicts.contains(&("rich".into(), Verdict::Unload)));
    }

    #[test]
    fn whose_turn_it_is_not_fills_free_room_only() {
        let bounds = Bounds { may_switch: false, ..BOUNDS };
        let candidates = vec![of("here", 6, 100, true), of("fits", 4, 100, false), of("rich", 6, 900, false)];
        let verdicts = verdicts(candidates, bounds);
        assert!(verdicts.contains(&("here".into(), Verdict::Keep)));
        assert!(verdicts.contains(&("rich".into(), Verdict::Leave)));
        assert!(verdicts.contains(&("fits".into(), Verdict::Load)));
    }

    #[test]
    fn who_is_lucky_comes_first_if_it_is_worth_it_and_what_is_in_memory_goes_by_its_worth() {
        let lucky = Candidate { luck: 9_000, ..of("lucky", 5, 200, false) };
        let verdicts = verdicts(
            vec![of("rich", 5, 900, false), lucky, of("here", 5, 150, true), of("poor", 5, 100, true)],
            Bounds { loads: 1, ..BOUNDS },
        );
        assert!(verdicts.contains(&("lucky".into(), Verdict::Load)));
        assert!(verdicts.contains(&("poor".into(), Verdict::Unload)), "{verdicts:?}");
        assert_eq!(verdicts[0], ("rich".into(), Verdict::Leave), "told in the order of their worth");
    }

    fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (1..20_u64, 0..10_000_u64, any::<bool>(), 0..10_u8);
        proptest::collection::vec(one, 0..12).prop_map(|all| {
            let mut free = 10_u64;
            all.into_iter()
                .enumerate()
                .map(|(n, (gib, worth, loaded, odd))| {
                    // What is in memory fits there.
                    let loaded = loaded && gib <= free;
                    free -= if loaded { gib } else { 0 };
                    let of = of(&format!("m{n}"), gib, worth, loaded);
                    Candidate {
                        bound: (odd == 0).then_some("it is pinned"),
                        barred: (odd == 1).then_some("no"),
                        ..of
                    }
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_plan_fits_is_obeyed_and_is_worth_no_less(candidates in any_candidates(), loads in 0..4_u32) {
            let bounds = Bounds { loads, ..BOUNDS };
            let lines = plan(candidates.clone(), bounds);
            prop_assert_eq!(lines.len(), candidates.len());
            let hosted = |line: &&Line| matches!(line.verdict, Verdict::Keep | Verdict::Load);
            let memory: u64 = lines.iter().filter(hosted).map(|line| line.candidate.memory).sum();
            prop_assert!(memory <= bounds.memory);
            prop_assert!(lines.iter().filter(hosted).all(|line| line.candidate.barred.is_none()));
            let pins = lines.iter().any(|line| line.candidate.bound.is_some() && line.verdict == Verdict::Load);
            let loaded = lines.iter().filter(|line| line.verdict == Verdict::Load && line.candidate.bound.is_none());
            prop_assert!(loaded.count() <= loads as usize);
            if !pins {
                let after: u64 = lines.iter().filter(hosted).map(|line| line.candidate.worth).sum();
                let kept = |one: &&Candidate| one.loaded && one.barred.is_none();
                let before: u64 = candidates.iter().filter(kept).map(|one| one.worth).sum();
                prop_assert!(after >= before, "{lines:#?}");
            }
            // Nothing is changed by looking again at once.
            let settled: Vec<Candidate> = lines.iter().map(|line| Candidate { loaded: hosted(&line), ..line.candidate.clone() }).collect();
            if loads == 3 && lines.iter().all(|line| line.verdict != Verdict::Load) {
                let again = plan(settled, bounds);
                prop_assert!(again.iter().all(|line| matches!(line.verdict, Verdict::Keep | Verdict::Leave)));
            }
        }
    }
}

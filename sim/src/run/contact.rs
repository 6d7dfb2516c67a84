//! Whether two parties could reach each other in some time: what excuses an answer that is late, broke off or never came.

use labman_proto_core::limits;
use labman_proto_core::time::Time;

use super::{DEADLINE_GRACE, Job, Run};
use crate::faults::{Fault, Inject};

/// Whether nothing gets from or to a host that this touches, or it does nothing.
fn cuts_off(inject: &Inject) -> bool {
    match inject {
        Inject::Partition(_)
        | Inject::Clog(_)
        | Inject::Stall(_)
        | Inject::Crash(_)
        | Inject::Leave(_)
        | Inject::DiskLost(_)
        | Inject::Torn(_)
        | Inject::DiskFull(_) => true,
        Inject::ClockFreeze(_)
        | Inject::ClockJump(_)
        | Inject::Delay(_)
        | Inject::DiskFails(_)
        | Inject::DiskSlow(_)
        | Inject::KeyRotation(_)
        | Inject::Loss(_)
        | Inject::NarrowUplink(_)
        | Inject::Reconnect(_)
        | Inject::Replay(_)
        | Inject::RollBack(_) => false,
    }
}

/// Whether an HTTP answer may break off for it.
fn breaks_off(inject: &Inject) -> bool {
    let hinders = matches!(inject, Inject::Delay(_) | Inject::Loss(_) | Inject::NarrowUplink(_));
    hinders || cuts_off(inject)
}

/// Whether a fault is one of these hosts', or everybody's.
fn touches(fault: &Fault, parties: [&str; 2]) -> bool {
    let hosts = fault.inject.hosts();
    hosts.is_empty() || parties.iter().any(|party| hosts.contains(party))
}

impl Run<'_> {
    /// Whether something keeps a job's user from its gateway, or the gateway from doing anything, for longer than any job
    /// takes; or the gateway is one that does what it likes.
    pub(super) fn is_cut_off(&self, job: &Job) -> bool {
        let parties = [&*job.planned.user, &*job.planned.gateway];
        job.asked_at.is_none_or(|asked| self.are_apart(parties, asked))
    }

    /// When a job must have ended: its gateway's time for it begins when the request arrives, which takes as long as
    /// something keeps its user and its gateway apart.
    pub(super) fn ends_by(&self, job: &Job) -> Time {
        let (now, begun) = (self.world.now(), self.started);
        let asked = job.asked_at.unwrap_or(now);
        let parties = [&*job.planned.user, &*job.planned.gateway];
        let within = |fault: &Fault| {
            let (from, to) = (begun + fault.at, begun + fault.at + fault.lasting);
            to.min(now) - from.max(asked)
        };
        let cut_off =
            self.scenario.faults.iter().filter(|fault| cuts_off(&fault.inject) && touches(fault, parties));
        cut_off.fold(asked + limits::JOB_TOTAL + DEADLINE_GRACE, |by, fault| by + within(fault))
    }

    /// Whether something has, since then, kept one of the two from everybody for longer than any job takes; or one of
    /// them does what it likes.
    pub(super) fn are_apart(&self, parties: [&str; 2], since: Time) -> bool {
        let for_long = |fault: &Fault| fault.lasting > limits::JOB_TOTAL && cuts_off(&fault.inject);
        parties.iter().any(|party| !self.scenario.is_honest_host(party))
            || self.suffered(parties, since, for_long)
    }

    /// Whether a job's answer may break off now without saying why: its user goes away or reads nothing, its gateway is
    /// or was down, or something stood between the two.
    pub(super) fn may_break_off(&self, job: &Job) -> bool {
        let planned = &job.planned;
        let Some(asked) = job.asked_at.filter(|_| job.gateway_up) else { return true };
        let gone = |after| asked + after <= self.world.now();
        let user_left = planned.leaves_after.into_iter().chain(planned.stops_reading_after).any(gone);
        let died = |gateway| self.world.died_within(gateway, asked, self.world.now());
        user_left
            || !self.is_honest(&planned.gateway)
            || self.hosts.get(&*planned.gateway).copied().is_none_or(died)
            || self.suffered([&planned.user, &planned.gateway], asked, |fault| breaks_off(&fault.inject))
    }

    /// Whether one of the two was touched, since then, by such a fault.
    fn suffered(&self, parties: [&str; 2], since: Time, such: impl Fn(&Fault) -> bool) -> bool {
        let (now, begun) = (self.world.now(), self.started);
        let overlaps = |fault: &&Fault| begun + fault.at <= now && begun + fault.at + fault.lasting >= since;
        self.scenario.faults.iter().filter(overlaps).any(|fault| such(fault) && touches(fault, parties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Crash;
    use crate::scenario::{Scenario, parse};
    use labman_proto_core::rng::Seed;
    use labman_proto_core::time::Span;

    const AN_HOUR: Span = Span::from_secs(3_600);

    fn scenario() -> Scenario {
        parse("first-light.toml", include_str!("../../../scenarios/first-light.toml")).unwrap()
    }

    fn crash(host: &str, at: Span, lasting: Span) -> Fault {
        Fault { at, lasting, inject: Inject::Crash(Crash { host: host.into(), writing: false }) }
    }

    /// What is said of the first job, ten seconds into it, an hour after the start.
    fn of_a_job(scenario: &Scenario, said: impl FnOnce(&Run<'_>, &Job) -> bool) -> bool {
        let mut run = Run::new(scenario, Seed::from_u64(1));
        run.set_up().unwrap();
        run.started = run.world.now();
        run.nap(AN_HOUR);
        let asked = run.world.now();
        (run.jobs[0].asked_at, run.jobs[0].gateway_up) = (Some(asked), true);
        run.nap(Span::from_secs(10));
        said(&run, &run.jobs[0])
    }

    #[test]
    fn an_answer_breaks_off_for_what_touched_it_while_it_lasted_only() {
        let may = |faults: Vec<Fault>| {
            let scenario = Scenario { faults, ..scenario() };
            of_a_job(&scenario, |run, job| run.may_break_off(job))
        };
        let gateway = scenario().gateways[0].name.clone();
        let provider = scenario().providers[0].name.clone();
        let (before, meanwhile, soon) =
            (Span::from_secs(60), AN_HOUR + Span::from_secs(5), Span::from_secs(1));
        assert!(!may(Vec::new()));
        assert!(!may(vec![crash(&gateway, before, soon), crash(&provider, meanwhile, soon)]));
        assert!(!may(vec![crash(&gateway, AN_HOUR + Span::from_secs(11), soon)]));
        assert!(may(vec![crash(&gateway, meanwhile, soon)]));
        let mut scenario = scenario();
        scenario.jobs[0].leaves_after = Some(Span::from_secs(5));
        assert!(of_a_job(&scenario, |run, job| run.may_break_off(job)));
    }

    #[test]
    fn a_job_is_cut_off_by_what_lasts_longer_than_it_and_at_its_time() {
        let is = |host: &str, at, lasting| {
            let scenario = Scenario { faults: vec![crash(host, at, lasting)], ..scenario() };
            of_a_job(&scenario, |run, job| run.is_cut_off(job))
        };
        let gateway = scenario().gateways[0].name.clone();
        let provider = scenario().providers[0].name.clone();
        let (start, long) = (Span::default(), limits::JOB_TOTAL + Span::from_secs(1));
        assert!(is(&gateway, AN_HOUR, long));
        assert!(!is(&gateway, AN_HOUR, Span::from_secs(60)), "the job outlasts it");
        assert!(!is(&gateway, start, long), "it was over");
        assert!(!is(&provider, AN_HOUR, long), "it touches neither");
    }

    #[test]
    fn a_job_ends_later_by_what_kept_its_user_from_its_gateway() {
        let later_by = |host: &str, at, lasting| {
            let scenario = Scenario { faults: vec![crash(host, at, lasting)], ..scenario() };
            let mut late = Span::default();
            of_a_job(&scenario, |run, job| {
                late = run.ends_by(job) - (job.asked_at.unwrap() + limits::JOB_TOTAL + DEADLINE_GRACE);
                true
            });
            late
        };
        let gateway = scenario().gateways[0].name.clone();
        let provider = scenario().providers[0].name.clone();
        let secs = Span::from_secs;
        assert_eq!(later_by(&gateway, AN_HOUR + secs(2), secs(5)), secs(5));
        assert_eq!(later_by(&gateway, AN_HOUR + secs(2), secs(60)), secs(8), "so far");
        assert_eq!(later_by(&gateway, secs(3_540), secs(50)), secs(0), "it was over");
        assert_eq!(later_by(&provider, AN_HOUR, secs(5)), secs(0), "it touches neither");
    }
}

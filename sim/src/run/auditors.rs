//! Lets users check what they were answered, and ask elsewhere.

use labman_proto_core::identity::NodeId;
use serde_json::{Value, json};

use super::Run;
use crate::report::audits::AuditReport;
use crate::users::Answer;

/// As in the API: nobody of these is to be asked.
pub(super) fn ignore(body: &mut Value, shunned: Vec<NodeId>) {
    if shunned.is_empty() {
        return;
    }
    let list = &mut body["provider"]["ignore"];
    let names = shunned.into_iter().map(|provider| json!(provider));
    match list.as_array_mut() {
        Some(list) => list.extend(names),
        None => *list = names.collect(),
    }
}

impl Run<'_> {
    /// An answer that came whole is held to what the model would have said.
    pub(super) fn audit_answer(&mut self, index: usize, answer: &Answer) {
        let job = &self.jobs[index];
        let Some((auditing, provider)) = job.planned.audit.zip(answer.provider) else { return };
        let is_whole = answer.finish_reason.is_some() && answer.error_code.is_none();
        let said = self.says.completion(&job.planned.body()).map(|completion| completion.text());
        if is_whole && said.is_ok_and(|said| said != answer.text) {
            let from = self.started + self.scenario.measure_from;
            let is_measured = job.asked_at.is_some_and(|at| at >= from);
            self.auditors.cheated(&job.planned.user, provider, auditing, is_measured);
        }
    }

    /// `None`: nobody checks anything.
    pub(super) fn audit_report(&self) -> Option<AuditReport> {
        let checks = self.scenario.arrivals.iter().any(|arrivals| arrivals.audit.is_some());
        checks.then(|| AuditReport::of(&self.auditors.found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_shunned_is_ignored_besides_those_whom_the_user_ignores_anyway() {
        let cheat = NodeId([7; 32]);
        let mut body = json!({ "model": "m" });
        ignore(&mut body, Vec::new());
        assert_eq!(body, json!({ "model": "m" }));
        ignore(&mut body, vec![cheat]);
        assert_eq!(body["provider"]["ignore"], json!([cheat]));
        let mut body = json!({ "provider": { "ignore": ["acme"] } });
        ignore(&mut body, vec![cheat]);
        assert_eq!(body["provider"]["ignore"], json!(["acme", cheat]));
    }
}

//! What the words of a gateway and a provider about one attempt come to.

use crate::economics::Counts;
use crate::mutants::{Mutant, mutant};
use crate::wire::portal::{End, JobAuthorization, StreamAck, UsageStatement};

/// Whose words a settlement rests on. At least one of them is there.
pub(crate) struct Words<'a> {
    /// The gateway's last one.
    pub(crate) accepted: Option<Counts>,
    pub(crate) statement: Option<&'a UsageStatement>,
    /// An earlier one of the gateway's, shown by the provider.
    pub(crate) ack: Option<&'a StreamAck>,
}

impl Words<'_> {
    /// What is owed for; `None`: nothing.
    ///
    /// Output is what the gateway took: no less than it ever acknowledged, no more than its provider states. Input is the
    /// provider's word, within a bound that follows from the request's bytes: a gateway could not know better.
    pub(crate) fn settled(&self, auth: &JobAuthorization) -> Option<Counts> {
        let acked = match self.ack {
            _ if mutant(Mutant::AckIgnored) && self.accepted.is_some() => Counts::default(),
            Some(ack) => ack.counts,
            None => Counts::default(),
        };
        let taken = self.accepted.unwrap_or_default().output.max(acked.output);
        let Some(said) = self.statement else {
            let settled = self.accepted?.bounded_by(auth.input_bound, auth.max_output);
            // Who was shown nothing before the end has been shown nothing.
            return (auth.streamed && settled.output > 0).then_some(settled);
        };
        let owed = match said.end {
            // No output may be all that was to be said. Then only the gateway can tell that it was.
            End::Complete => self.accepted.is_some() || taken > 0,
            End::Cancelled => taken > 0,
            End::Broken | End::Forgotten => taken > 0 && auth.streamed,
        };
        let stated = match (said.end, self.accepted) {
            // Only the gateway knows; what it acknowledged before counts as far as it is stated, too.
            (End::Forgotten, Some(accepted)) => {
                let acked = acked.output.min(said.counts.output);
                Counts { output: accepted.output.max(acked), ..accepted }
            }
            (_, _) => Counts { output: taken.min(said.counts.output), ..said.counts },
        };
        let output = stated.output;
        (owed && (output > 0 || said.end == End::Complete))
            .then(|| stated.bounded_by(auth.input_bound, auth.max_output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::economics::Fees;
    use crate::identity::{FepId, NodeId};
    use crate::money::Micros;
    use crate::wire::cbor::Blob;
    use crate::wire::ids::{AuthId, Hash, RequestId};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn counts(output: u32) -> Counts {
        Counts { input: 20, cached: 5, output }
    }

    fn auth(streamed: bool) -> JobAuthorization {
        JobAuthorization {
            auth_id: AuthId([1; 16]),
            fep_id: FepId([2; 32]),
            request_id: RequestId([3; 16]),
            gateway: NodeId([4; 32]),
            issued_ms: 0,
            ttl_s: 60,
            currency: "XTS".parse().unwrap(),
            hold: Micros(100),
            fees: Fees::default(),
            input_bound: 50,
            max_output: 40,
            attempts: Vec::new(),
            key_id: Hash([5; 32]),
            streamed,
        }
    }

    fn statement(output: u32, end: End) -> UsageStatement {
        UsageStatement {
            fep_id: FepId([2; 32]),
            auth_id: AuthId([1; 16]),
            attempt: 0,
            counts: counts(output),
            end,
            ack: None::<Blob>,
            chunks: 1,
            transcript: Hash([0; 32]),
            stated_ms: 0,
        }
    }

    fn ack(output: u32) -> StreamAck {
        StreamAck { auth_id: AuthId([1; 16]), attempt: 0, counts: counts(output) }
    }

    fn output(
        streamed: bool,
        accepted: Option<u32>,
        stated: Option<(u32, End)>,
        acked: Option<u32>,
    ) -> Option<u32> {
        let statement = stated.map(|(output, end)| statement(output, end));
        let ack = acked.map(ack);
        let words =
            Words { accepted: accepted.map(counts), statement: statement.as_ref(), ack: ack.as_ref() };
        words.settled(&auth(streamed)).map(|settled| settled.output)
    }

    #[test]
    fn a_whole_answer_is_owed_for_as_far_as_it_was_taken_and_stated() {
        assert_eq!(output(true, Some(30), Some((30, End::Complete)), Some(16)), Some(30));
        assert_eq!(output(false, Some(25), Some((30, End::Complete)), Some(16)), Some(25));
        assert_eq!(output(true, Some(30), Some((22, End::Complete)), Some(16)), Some(22));
        assert_eq!(output(true, Some(0), Some((0, End::Complete)), None), Some(0));
    }

    #[test]
    fn a_gateway_can_t_take_back_what_it_has_acknowledged() {
        assert_eq!(output(true, Some(3), Some((30, End::Complete)), Some(16)), Some(16));
        assert_eq!(output(true, None, Some((30, End::Cancelled)), Some(16)), Some(16));
    }

    #[test]
    fn without_any_acknowledgement_nothing_is_owed() {
        for end in [End::Complete, End::Cancelled, End::Broken, End::Forgotten] {
            assert_eq!(output(true, None, Some((30, end)), None), None);
        }
    }

    #[test]
    fn an_answer_that_its_provider_breaks_off_is_owed_for_only_where_the_user_has_seen_it() {
        assert_eq!(output(true, Some(9), Some((9, End::Broken)), Some(8)), Some(9));
        assert_eq!(output(false, Some(9), Some((9, End::Broken)), Some(8)), None);
        assert_eq!(output(false, Some(9), Some((9, End::Cancelled)), Some(8)), Some(9));
    }

    #[test]
    fn a_provider_that_has_forgotten_is_paid_what_the_gateway_says_or_has_acknowledged() {
        assert_eq!(output(true, Some(30), Some((16, End::Forgotten)), Some(16)), Some(30));
        assert_eq!(output(true, None, Some((16, End::Forgotten)), Some(16)), Some(16));
        assert_eq!(output(true, Some(30), Some((0, End::Forgotten)), None), Some(30));
        assert_eq!(output(true, None, Some((0, End::Forgotten)), None), None);
        // More than either says is not owed: a receipt for it would be refused.
        assert_eq!(output(true, Some(0), Some((0, End::Forgotten)), Some(1)), None);
        assert_eq!(output(true, Some(2), Some((3, End::Forgotten)), Some(5)), Some(3));
    }

    #[test]
    fn a_provider_that_never_speaks_again_is_paid_by_the_gateway_s_word() {
        assert_eq!(output(true, Some(9), None, None), Some(9));
        assert_eq!(output(false, Some(9), None, None), None);
        assert_eq!(output(true, Some(0), None, None), None);
    }

    proptest! {
        #[test]
        fn what_is_settled_lies_between_the_last_acknowledgement_and_the_statement(
            accepted in prop::option::of(0u32..50), stated in 0u32..50, acked in 0u32..50,
        ) {
            let settled = output(true, accepted, Some((stated, End::Complete)), Some(acked));
            if let Some(settled) = settled {
                prop_assert!(settled <= stated.min(40));
                prop_assert!(settled >= acked.min(stated).min(40));
                prop_assert!(settled <= accepted.unwrap_or(0).max(acked));
            }
        }
    }
}

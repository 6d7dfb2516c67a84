//! A portal that takes its time: its authorizations and its decisions about claims come late, by as much as its scenario says (`late`).
//!
//! What must hold: users wait longer, and are served; providers are owed for longer, and no more than they let it owe; what comes
//! later than anybody waits for is asked for again, and counts once.

use super::hand::Hand;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct Slow;

impl Strategy for Slow {
    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        if !["/v1/authorize", "/v1/claims"].contains(&letter.path.as_str()) {
            return Fate::Sent;
        }
        hand.fired();
        Fate::SentAfter(hand.party.late)
    }
}

//! Real hours: when requests came, how long their prompts were and how long their answers, as others measured them.

use serde::{Deserialize, Serialize};

use labman_proto_core::time::Span;

/// Requests of an hour of Azure's conversation service (CC-BY 4.0; P. Patel et al., "Splitwise", ISCA 2024).
const CONVERSATIONS: &str = include_str!("../../../scenarios/data/azure_llm_2023_conv.csv");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trace {
    /// 19,366 requests; prompts of 1,155 tokens in the mean, answers of 211.
    AzureConversations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Since the first.
    pub at: Span,
    /// In tokens.
    pub prompt: u32,
    pub answer: u32,
}

/// Lengths of which one token in so many is left, one at least. What is left over of a length counts for the next, so that all together
/// they are as much shorter.
#[derive(Debug)]
pub struct Shortened {
    by: u32,
    /// Tokens that come with each, and are not asked for.
    beside: u32,
    over: i64,
}

impl Shortened {
    pub const fn by(by: u32) -> Self {
        Self { by, beside: 0, over: 0 }
    }

    pub const fn beside(self, beside: u32) -> Self {
        Self { beside, ..self }
    }

    pub fn of(&mut self, tokens: u32) -> u32 {
        let by = i64::from(self.by.max(1));
        self.over += i64::from(tokens);
        let beside = i64::from(self.beside);
        let left = u32::try_from(self.over / by - beside).unwrap_or(1).max(1);
        self.over -= by * (i64::from(left) + beside);
        left
    }
}

impl Trace {
    /// In the order of time.
    pub fn requests(self) -> impl Iterator<Item = Request> {
        let Self::AzureConversations = self;
        let rows = CONVERSATIONS.lines().skip(1).filter_map(row);
        let mut first = None;
        rows.map(move |(at, prompt, answer)| {
            let first = *first.get_or_insert(at);
            Request { at: Span(at.saturating_sub(first)), prompt, answer }
        })
    }
}

/// `2023-11-16 18:15:46.6805900,374,44`: nanoseconds since midnight, and two counts.
fn row(line: &str) -> Option<(u64, u32, u32)> {
    let mut columns = line.trim().split(',');
    let (_, time) = columns.next()?.split_once(' ')?;
    let mut parts = time.split([':', '.']);
    let mut number = || parts.next()?.parse::<u64>().ok();
    let seconds = number()? * 3_600 + number()? * 60 + number()?;
    let fraction = time.split_once('.').map_or("0", |(_, fraction)| fraction);
    let nanos = format!("{fraction:0<9}").get(..9)?.parse::<u64>().ok()?;
    Some((seconds * 1_000_000_000 + nanos, columns.next()?.parse().ok()?, columns.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_whole_and_in_order() {
        let requests: Vec<Request> = Trace::AzureConversations.requests().collect();
        assert_eq!(requests.len(), 19_366);
        assert_eq!(requests[0], Request { at: Span(0), prompt: 374, answer: 44 });
        assert_eq!(requests[1], Request { at: Span(4_314_579_000), prompt: 396, answer: 109 });
        assert!(requests.is_sorted_by_key(|request| request.at));
        let last = requests.last().unwrap().at;
        assert!((Span::from_secs(3_400)..Span::from_secs(3_600)).contains(&last), "{last:?}");
        let mean = |of: fn(&Request) -> u32| requests.iter().map(of).map(u64::from).sum::<u64>() / 19_366;
        assert_eq!((mean(|one| one.prompt), mean(|one| one.answer)), (1_154, 211));
    }

    #[test]
    fn shortened_lengths_are_together_as_much_shorter() {
        for (by, of) in [(1, vec![7, 1, 40]), (100, vec![10, 10, 10, 370, 250, 1_000]), (100, vec![100; 9])] {
            let mut shortened = Shortened::by(by);
            let left: Vec<u32> = of.iter().map(|tokens| shortened.of(*tokens)).collect();
            assert!(left.iter().all(|left| *left > 0), "{left:?}");
            let [all, left] = [of, left].map(|lengths| lengths.iter().sum::<u32>());
            assert_eq!(all / by, left);
        }
        let mut with_templates = Shortened::by(100).beside(3);
        let lengths = [1_200, 200, 100, 1_000].map(|tokens| with_templates.of(tokens));
        assert_eq!(
            lengths,
            [9, 1, 1, 2],
            "what is asked for too much of the short ones, the next long one lacks"
        );
        assert_eq!(Shortened::by(1).beside(3).of(374), 371);
        let (mut answers, by) = (Shortened::by(100), 100);
        let requests = || Trace::AzureConversations.requests().map(|request| request.answer);
        let left: u64 = requests().map(|answer| u64::from(answers.of(answer))).sum();
        assert_eq!(left, requests().map(u64::from).sum::<u64>() / by);
    }
}

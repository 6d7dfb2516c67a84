//! Back-pressure between a stream that is read and one it is forwarded to: the source may send more only once the sink
//! has taken what came before. So at most one window, and one incomplete message, is ever in flight.

use alloc::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Relay {
    /// Per forwarded message: bytes the sink has still to take, and bytes then owed to the source.
    owed: VecDeque<(usize, usize)>,
    /// Bytes of the incomplete message that follows, and how many of them were granted before it is whole: only once the
    /// sink has taken all else, for then nobody else could free them.
    incomplete: usize,
    ahead: usize,
}

impl Relay {
    /// A message of `source` bytes was forwarded as `sink` bytes. Gives what can be granted at once.
    pub(crate) fn forwarded(&mut self, source: usize, sink: usize) -> usize {
        let early = self.ahead.min(source);
        self.ahead -= early;
        self.incomplete = 0;
        let source = source - early;
        if sink == 0 && self.owed.is_empty() {
            return source;
        }
        match self.owed.back_mut() {
            // Nothing of its own to wait for: it is freed with the message before it.
            Some(last) if sink == 0 => last.1 += source,
            _ => self.owed.push_back((sink, source)),
        }
        0
    }

    /// So many bytes of an incomplete message are buffered. Gives what can be granted so that it can become whole.
    pub(crate) fn buffered(&mut self, bytes: usize) -> usize {
        self.incomplete = bytes;
        self.go_ahead()
    }

    fn go_ahead(&mut self) -> usize {
        if !self.is_drained() {
            return 0;
        }
        let grant = self.incomplete.saturating_sub(self.ahead);
        self.ahead += grant;
        grant
    }

    /// The sink took that many bytes. Gives what can be granted to the source.
    pub(crate) fn taken(&mut self, mut sink: usize) -> usize {
        let mut grant = 0;
        while let Some((wanted, source)) = self.owed.front_mut() {
            if sink < *wanted {
                *wanted -= sink;
                break;
            }
            sink -= *wanted;
            grant += *source;
            self.owed.pop_front();
        }
        grant + self.go_ahead()
    }

    /// Has the sink taken all?
    pub(crate) fn is_drained(&self) -> bool {
        self.owed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_source_byte_is_granted_once_the_sink_has_taken_all(
            messages in prop::collection::vec((1usize..2_000, 0usize..3_000, 0usize..500), 1..50),
        ) {
            let mut relay = Relay::default();
            let (mut source_total, mut sink_total, mut granted) = (0, 0, 0);
            for (source, sink, early) in messages {
                granted += relay.buffered(early.min(source));
                granted += relay.forwarded(source, sink);
                source_total += source;
                sink_total += sink;
                prop_assert!(granted <= source_total);
            }
            let half = sink_total / 2;
            granted += relay.taken(half);
            granted += relay.taken(sink_total - half);
            prop_assert_eq!(granted, source_total);
            prop_assert!(relay.is_drained());
        }
    }

    #[test]
    fn nothing_is_granted_ahead_while_the_sink_has_something_to_take() {
        let mut relay = Relay::default();
        assert_eq!(relay.forwarded(100, 10), 0);
        assert_eq!(relay.buffered(90), 0);
        assert_eq!(relay.taken(10), 190);
        assert_eq!(relay.forwarded(100, 10), 0);
        assert_eq!(relay.buffered(0), 0);
        assert_eq!(relay.taken(10), 10);
    }

    #[test]
    fn a_message_longer_than_the_window_still_becomes_whole() {
        let mut relay = Relay::default();
        assert_eq!(relay.buffered(1_000), 1_000);
        assert_eq!(relay.buffered(1_500), 500);
        assert_eq!(relay.forwarded(2_000, 10), 0);
        assert_eq!(relay.taken(10), 500);
    }
}

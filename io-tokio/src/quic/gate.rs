//! Who may begin a handshake: so many under way, in all and from one address, and so many a second from one address. A
//! handshake costs us curve operations and memory before we know with whom.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Under way at once. Further ones are not answered: who is honest asks again.
const ALL: usize = 256;
const OF_ONE: usize = 16;
/// From one address: one each so often, and so many at once after a pause.
const EVERY: Duration = Duration::from_millis(200);
const AT_ONCE: u32 = 32;
/// Addresses that are remembered before those that are idle are forgotten.
const REMEMBERED: usize = 4096;

#[derive(Clone)]
pub(crate) struct Gate {
    exempt_private: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    under_way: usize,
    addresses: BTreeMap<IpAddr, Seen>,
}

struct Seen {
    under_way: usize,
    /// When all that it began would have been earned.
    earned: Instant,
}

/// One handshake's place; free again when dropped.
pub(crate) struct Pass {
    state: Arc<Mutex<State>>,
    address: Option<IpAddr>,
}

impl Gate {
    pub(crate) fn new(exempt_private: bool) -> Self {
        Self { exempt_private, state: Arc::default() }
    }

    /// `None`: not now.
    pub(crate) fn enter(&self, ip: IpAddr, now: Instant) -> Option<Pass> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.under_way >= ALL {
            return None;
        }
        let address = (!self.exempt_private || !is_private(ip)).then(|| one_customer(ip));
        if let Some(address) = address {
            if state.addresses.len() >= REMEMBERED {
                state.addresses.retain(|_, seen| seen.under_way > 0 || seen.earned > now);
            }
            let seen = state.addresses.entry(address).or_insert(Seen { under_way: 0, earned: now });
            if seen.under_way >= OF_ONE || seen.earned > now + EVERY * AT_ONCE {
                return None;
            }
            seen.under_way += 1;
            seen.earned = seen.earned.max(now) + EVERY;
        }
        state.under_way += 1;
        Some(Pass { state: self.state.clone(), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way -= 1;
        if let Some(seen) = self.address.and_then(|address| state.addresses.get_mut(&address)) {
            seen.under_way -= 1;
        }
    }
}

/// An IPv4 address, or the /64 that a customer of IPv6 is given at least.
fn one_customer(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !0 << 64).into(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_can_not_begin_every_handshake() {
        let (gate, now) = (Gate::new(true), Instant::now());
        let held: Vec<Pass> = (0..OF_ONE).map_while(|_| gate.enter(ip("192.0.2.1"), now)).collect();
        assert_eq!(held.len(), OF_ONE);
        assert!(gate.enter(ip("192.0.2.1"), now).is_none());
        assert!(gate.enter(ip("::ffff:192.0.2.1"), now).is_none(), "the same address");
        assert!(gate.enter(ip("192.0.2.2"), now).is_some());
        drop(held);
        assert!(gate.enter(ip("192.0.2.1"), now).is_some());
    }

    #[test]
    fn who_comes_again_and_again_is_slowed_down() {
        let (gate, start) = (Gate::new(true), Instant::now());
        let storm = |from: u64, to: u64| {
            (from..to)
                .filter(|ms| gate.enter(ip("2001:db8::1"), start + Duration::from_millis(*ms)).is_some())
                .count()
        };
        assert_eq!(storm(0, 100), AT_ONCE as usize + 1);
        let later = storm(100, 10_100);
        assert!((48..=52).contains(&later), "{later} in ten seconds");
    }

    #[test]
    fn all_together_have_a_bound_and_this_host_has_only_that() {
        let (gate, now) = (Gate::new(true), Instant::now());
        let held: Vec<Pass> = (0..1_000).map_while(|_| gate.enter(ip("127.0.0.1"), now)).collect();
        assert_eq!(held.len(), ALL);
        assert!(gate.enter(ip("192.0.2.1"), now).is_none());
        let strict = Gate::new(false);
        let held: Vec<Pass> = (0..1_000).map_while(|_| strict.enter(ip("127.0.0.1"), now)).collect();
        assert_eq!(held.len(), OF_ONE);
    }
}

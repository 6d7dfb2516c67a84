//! Who gets a place when places are few: bounds of links, in all and of one address and network, and who makes room.
//!
//! Outbound links are the operator's, and nobody takes their place. Of the inbound ones those that never said hello go first,
//! then those of the most crowded network with which no job ever came to its receipt, one of them by chance. So who fills a
//! node with strangers competes with itself, however often it comes.

use alloc::{collections::BTreeMap, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use crate::labnet::conduct::Prefix;
use crate::limits::HELLO_SOON;
use crate::machine::LinkId;
use crate::mutants::{Mutant, mutant};
use crate::node::config::Caps;
use crate::rng::Stream;
use crate::time::Time;

/// A link, as far as its place is concerned.
pub(super) struct Held {
    pub(super) link: LinkId,
    pub(super) inbound: bool,
    pub(super) addr: Option<SocketAddr>,
    pub(super) admitted: bool,
    pub(super) since: Time,
    /// A job is under way on it, or one came to its receipt with whoever is at its other end.
    pub(super) useful: bool,
}

/// Whether one more link may come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// If that one goes.
    InPlaceOf(LinkId),
    None(&'static str),
}

pub(super) fn room(
    caps: &Caps,
    now: Time,
    held: &[Held],
    inbound: bool,
    addr: Option<SocketAddr>,
    rng: &mut Stream,
) -> Room {
    let ip = counted(caps, addr);
    if inbound && let Some(ip) = ip {
        let others = || held.iter().filter(|one| one.inbound).filter_map(|one| counted(caps, one.addr));
        if others().filter(|other| *other == ip).count() >= caps.links_per_address {
            return Room::None("too many links from its address");
        }
        if others().filter(|other| Prefix::of(*other) == Prefix::of(ip)).count() >= caps.links_per_network {
            return Room::None("too many links from its network");
        }
    }
    if held.len() < caps.links {
        return Room::Free;
    }
    // Who did not say hello in a moment is either far away or has nothing to say.
    let silent = held.iter().filter(|one| one.inbound && !one.admitted && now - one.since >= HELLO_SOON);
    if let Some(silent) = silent.min_by_key(|one| one.since) {
        return Room::InPlaceOf(silent.link);
    }
    let mut networks: BTreeMap<Option<Prefix>, Vec<LinkId>> = BTreeMap::new();
    for one in held.iter().filter(|one| one.inbound && !one.useful) {
        networks.entry(counted(caps, one.addr).map(Prefix::of)).or_default().push(one.link);
    }
    let most = networks.values().map(Vec::len).max().unwrap_or_default();
    let own = ip.map(Prefix::of);
    let of_own = networks.get(&own).map_or(0, Vec::len);
    if most == 0 || mutant(Mutant::PlacesNotContested) {
        return Room::None("too many links");
    }
    // It would be of the most crowded network itself, which gains nothing by an exchange.
    if inbound && own.is_some() && of_own >= most && most > 1 {
        return Room::None("too many links");
    }
    let crowded: Vec<&LinkId> = networks.values().filter(|links| links.len() == most).flatten().collect();
    let chosen = rng.below(crowded.len() as u64) as usize;
    crowded.get(chosen).map_or(Room::None("too many links"), |link| Room::InPlaceOf(**link))
}

/// An address that is held against others who share it. Not what only this host or its own network can send from, unless
/// the operator wants that: a demo has all its nodes on one loopback.
pub(super) fn counted(caps: &Caps, addr: Option<SocketAddr>) -> Option<IpAddr> {
    let ip = addr?.ip().to_canonical();
    (!caps.exempt_private || !is_private(ip)).then_some(ip)
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    fn addr(a: u8, b: u8, c: u8, d: u8) -> Option<SocketAddr> {
        Some(SocketAddr::from(([a, b, c, d], 7)))
    }

    fn held(link: u64, addr: Option<SocketAddr>) -> Held {
        Held { link: LinkId(link), inbound: true, addr, admitted: true, since: Time::ZERO, useful: false }
    }

    fn caps(links: usize) -> Caps {
        Caps { links, links_per_address: 4, links_per_network: 8, ..Caps::default() }
    }

    fn asks(caps: &Caps, links: &[Held], inbound: bool, addr: Option<SocketAddr>) -> Room {
        room(caps, Time(60_000_000_000), links, inbound, addr, &mut Seed::from_u64(3).stream("slots"))
    }

    #[test]
    fn an_address_and_a_network_get_their_share_and_no_more() {
        let four: Vec<Held> = (0..4).map(|n| held(n, addr(8, 8, 8, 8))).collect();
        let refused = Room::None("too many links from its address");
        assert_eq!(asks(&caps(100), &four, true, addr(8, 8, 8, 8)), refused);
        assert_eq!(asks(&caps(100), &four, true, addr(8, 8, 8, 9)), Room::Free);
        assert_eq!(asks(&caps(100), &four, false, addr(8, 8, 8, 8)), Room::Free, "we dialled it");
        let eight: Vec<Held> = (0..8).map(|n| held(n, addr(8, 8, 8, n as u8))).collect();
        assert_eq!(
            asks(&caps(100), &eight, true, addr(8, 8, 8, 200)),
            Room::None("too many links from its network")
        );
        assert_eq!(asks(&caps(100), &eight, true, addr(8, 8, 9, 200)), Room::Free);
        let mapped = Some(SocketAddr::new("::ffff:8.8.8.8".parse().unwrap(), 7));
        assert_eq!(asks(&caps(100), &four, true, mapped), refused, "the same address in other clothes");
        let v6 = |last: &str| Some(SocketAddr::new(alloc::format!("2001:db8:1:{last}").parse().unwrap(), 7));
        let eight: Vec<Held> = (0..8).map(|n| held(n, v6(&alloc::format!("{n}::1")))).collect();
        assert_eq!(
            asks(&caps(100), &eight, true, v6("ff::1")),
            Room::None("too many links from its network")
        );
    }

    #[test]
    fn this_host_and_its_own_network_are_not_counted_unless_the_operator_says_so() {
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.0.1", "::1", "fd00::1", "fe80::1"] {
            let addr = Some(SocketAddr::new(ip.parse().unwrap(), 7));
            let links: Vec<Held> = (0..20).map(|n| held(n, addr)).collect();
            assert_eq!(asks(&caps(100), &links, true, addr), Room::Free, "{ip}");
            let strict = Caps { exempt_private: false, ..caps(100) };
            assert_ne!(asks(&strict, &links, true, addr), Room::Free, "{ip}");
        }
    }

    #[test]
    fn silence_makes_room_first_and_what_we_dialled_or_works_never() {
        let mut links: Vec<Held> = (0..4).map(|n| held(n, addr(n as u8 + 1, 1, 1, 1))).collect();
        links[0].inbound = false;
        links[1].useful = true;
        links[2].admitted = false;
        assert_eq!(asks(&caps(4), &links, true, addr(9, 9, 9, 9)), Room::InPlaceOf(LinkId(2)));
        links[2].admitted = true;
        links[2].useful = true;
        assert_eq!(asks(&caps(4), &links, true, addr(9, 9, 9, 9)), Room::InPlaceOf(LinkId(3)));
        links[3].inbound = false;
        assert_eq!(asks(&caps(4), &links, true, addr(9, 9, 9, 9)), Room::None("too many links"));
        assert_eq!(asks(&caps(4), &links, false, addr(9, 9, 9, 9)), Room::None("too many links"));
    }

    #[test]
    fn who_just_came_has_a_moment_to_say_hello() {
        let mut links: Vec<Held> = (0..2).map(|n| held(n, addr(n as u8 + 1, 1, 1, 1))).collect();
        links[0].admitted = false;
        links[0].since = Time(60_000_000_000);
        links[0].useful = true;
        links[1].useful = true;
        assert_eq!(asks(&caps(2), &links, true, addr(9, 9, 9, 9)), Room::None("too many links"));
        links[0].since = Time(60_000_000_000 - HELLO_SOON.0);
        assert_eq!(asks(&caps(2), &links, true, addr(9, 9, 9, 9)), Room::InPlaceOf(LinkId(0)));
    }

    #[test]
    fn a_crowded_network_competes_with_itself() {
        let mut links: Vec<Held> = (0..6).map(|n| held(n, addr(6, 6, 6, n as u8))).collect();
        links.extend((6..10).map(|n| held(n, addr(n as u8, 1, 1, 1))));
        assert_eq!(asks(&caps(10), &links, true, addr(6, 6, 6, 99)), Room::None("too many links"));
        let Room::InPlaceOf(gone) = asks(&caps(10), &links, true, addr(9, 9, 9, 9)) else {
            panic!("no room")
        };
        assert!(gone.0 < 6, "{gone:?} is not of the crowd");
    }
}

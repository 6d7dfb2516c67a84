//! Which addresses may be dialled. What strangers say of where they are must not make this node knock at doors of its
//! own house: an address heard in gossip is dialled only if it is of the public internet.

use alloc::{format, string::String};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    ip: IpAddr,
    bits: u8,
}

impl Subnet {
    /// `None`: that many bits an address has not.
    pub const fn new(ip: IpAddr, bits: u8) -> Option<Self> {
        let width = if ip.is_ipv4() { 32 } else { 128 };
        if bits <= width { Some(Self { ip, bits }) } else { None }
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ours, theirs) = (number(self.ip), number(ip));
        let width = if self.ip.is_ipv4() { 32 } else { 128 };
        self.ip.is_ipv4() == ip.is_ipv4()
            && ours.checked_shr(width - u32::from(self.bits)).unwrap_or_default()
                == theirs.checked_shr(width - u32::from(self.bits)).unwrap_or_default()
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network: write it as 10.0.0.0/8 or fd00::/8");
        let (ip, bits) = text.split_once('/').ok_or_else(wrong)?;
        let (ip, bits): (IpAddr, u8) = (ip.parse().map_err(|_| wrong())?, bits.parse().map_err(|_| wrong())?);
        Self::new(ip, bits).ok_or_else(wrong)
    }
}

impl core::fmt::Display for Subnet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an operator says about addresses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reach {
    /// Networks that may be dialled though they are not public.
    pub permit: alloc::vec::Vec<Subnet>,
    /// The host's own networks: never dialled, public or not, unless permitted.
    pub own: alloc::vec::Vec<Subnet>,
}

impl Reach {
    /// Whether an address that gossip names may be dialled. A name is none: resolving it would ask whom a stranger likes.
    pub fn dialable(&self, address: &str) -> Option<SocketAddr> {
        let address: SocketAddr = address.parse().ok()?;
        let ip = innermost(address.ip());
        let permitted = self.permit.iter().any(|network| network.contains(ip));
        let own = self.own.iter().any(|network| network.contains(ip));
        (address.port() != 0 && (permitted || (is_public(ip) && !own))).then_some(address)
    }
}

/// The networks that an address is of, as far as somebody may own them whole: itself (of v6 the /64), a /24 or /48, and
/// a /16 or /32.
pub(crate) fn networks(ip: IpAddr) -> [(bool, u128); 3] {
    let ip = innermost(ip);
    let widths: [u32; 3] = if ip.is_ipv4() { [0, 8, 16] } else { [64, 80, 96] };
    // The three never share a number: what is cut off is marked by the ones above it.
    widths.map(|width| (ip.is_ipv4(), (number(ip) >> width) | (u128::from(width) << 120)))
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// The v4 address that a v6 address stands for: mapped, NAT64 or 6to4.
fn innermost(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let number = u128::from(v6);
    let low = IpAddr::V4(Ipv4Addr::from(number as u32));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => low,
        // Compatible with v4, long out of use; but `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => low,
        [0x2002, ..] => IpAddr::V4(Ipv4Addr::from((number >> 80) as u32)),
        _ => ip,
    }
}

/// The registries' lists of special addresses (RFC 6890 and its successors).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation();
    let special = special
        || match ip.octets() {
            // This network; carrier-grade NAT; protocol assignments; relays of 6to4; benchmarks; reserved.
            [0, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
            [240..=255, ..] => true,
            _ => false,
        };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // Protocol assignments with Teredo among them; documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // All else that is handed out is in 2000::/3: so neither loopback nor unique-local, link-local, multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};
    use proptest::prelude::*;

    fn dialable(address: &str) -> bool {
        Reach::default().dialable(address).is_some()
    }

    #[test]
    fn only_addresses_of_the_public_internet_are_dialled() {
        for public in ["8.8.8.8:4433", "[2606:4700::1111]:4433", "[::ffff:8.8.8.8]:1", "[2002:808:808::1]:1"]
        {
            assert!(dialable(public), "{public}");
        }
        for other in [
            "127.0.0.1:1",
            "10.1.2.3:1",
            "172.16.0.1:1",
            "192.168.1.1:1",
            "100.64.0.1:1",
            "169.254.169.254:80",
            "0.0.0.0:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "240.0.0.1:1",
            "198.18.0.1:1",
            "203.0.113.7:1",
            "8.8.8.8:0",
            "[::]:1",
            "[::1]:1",
            "[fd00::1]:1",
            "[fe80::1]:1",
            "[ff02::1]:1",
            "[fec0::1]:1",
            "[::ffff:127.0.0.1]:1",
            "[::127.0.0.1]:1",
            "[64:ff9b::10.0.0.1]:1",
            "[2002:7f00:1::]:1",
            "[2001::1]:1",
            "[2001:db8::1]:1",
            "localhost:4433",
            "example.com:4433",
            "8.8.8.8",
            "",
        ] {
            assert!(!dialable(other), "{other}");
        }
    }

    #[test]
    fn an_operator_permits_a_network_and_the_host_s_own_is_refused() {
        let subnet = |text: &str| text.parse::<Subnet>().unwrap();
        let reach = Reach { permit: vec![subnet("10.8.0.0/16")], own: vec![subnet("8.8.8.0/24")] };
        assert!(reach.dialable("10.8.1.1:1").is_some());
        assert!(reach.dialable("10.9.1.1:1").is_none());
        assert!(reach.dialable("[::ffff:10.8.1.1]:1").is_some());
        assert!(reach.dialable("8.8.8.8:1").is_none());
        assert!(reach.dialable("8.8.9.8:1").is_some());
        assert!(subnet("0.0.0.0/0").contains("9.9.9.9".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Subnet>().unwrap_err().contains("10.0.0.0/8"));
        assert_eq!(subnet("fd00::/8").to_string(), "fd00::/8");
    }

    #[test]
    fn addresses_of_one_owner_share_a_network() {
        let of = |text: &str| networks(text.parse().unwrap());
        let (one, near, far) = (of("8.8.8.8"), of("8.8.8.9"), of("8.8.9.8"));
        assert!(one[0] != near[0] && one[1] == near[1] && one[2] == near[2]);
        assert!(one[1] != far[1] && one[2] == far[2]);
        assert_eq!(of("::ffff:8.8.8.8"), one);
        assert_eq!(of("2600:1:2:3::1")[0], of("2600:1:2:3::2")[0], "a /64 is one house");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// However a hostile address is wrapped, nothing but the public internet is dialled.
        #[test]
        fn no_wrapping_gets_a_private_address_dialled(
            private in prop_oneof![
                (0_u32..1 << 24).prop_map(|low| 127 << 24 | low),
                (0_u32..1 << 24).prop_map(|low| 10 << 24 | low),
                (0_u32..1 << 20).prop_map(|low| 172 << 24 | 16 << 16 | low),
                (0_u32..1 << 16).prop_map(|low| 192 << 24 | 168 << 16 | low),
                (0_u32..1 << 16).prop_map(|low| 169 << 24 | 254 << 16 | low),
                (0_u32..1 << 22).prop_map(|low| 100 << 24 | 64 << 16 | low),
                (0_u32..1 << 28).prop_map(|low| 14 << 28 | low),
            ],
            wrap in 0_u8..5,
            rest in any::<u64>(),
            port in 1_u16..,
        ) {
            let v4 = Ipv4Addr::from(private);
            let ip = match wrap {
                0 => IpAddr::V4(v4),
                1 => IpAddr::V6(v4.to_ipv6_mapped()),
                2 => IpAddr::V6(Ipv6Addr::from(0x64_ff9b_u128 << 96 | u128::from(private))),
                3 => IpAddr::V6(Ipv6Addr::from(0x2002_u128 << 112 | u128::from(private) << 80 | u128::from(rest))),
                _ => IpAddr::V6(Ipv6Addr::from(0xfd_u128 << 120 | u128::from(rest))),
            };
            prop_assert!(!dialable(&SocketAddr::new(ip, port).to_string()), "{ip}");
        }
    }
}

//! Which rail an address is of, and whether it can be one at all: a slip of the pen must not be paid.
//!
//! | rail | address |
//! |---|---|
//! | `mock-crypto` | `mock-crypto:` and base58 of 20 bytes with the first 4 of their BLAKE3 hash behind them |
//! | `mock-fiat` | `mock-fiat:` and an IBAN (ISO 13616) in capitals without spaces, whose check digits hold (ISO 7064, mod 97-10) |
//! | `test` | any other text |

use alloc::string::String;

use crate::limits::PORTAL_TEXT;

use crate::wire::portal::PayoutTo;

use super::super::config::{Config, RailName, RailTerms};

/// The offered rail that pays to this address in that currency. The error is for people.
pub(in crate::portal) fn payable<'a>(config: &'a Config, to: &PayoutTo) -> Result<&'a RailTerms, String> {
    let PayoutTo { currency, address } = to;
    if !(1..=PORTAL_TEXT).contains(&address.len()) || address.chars().any(char::is_control) {
        return Err(alloc::format!("a payout address must have 1 to {PORTAL_TEXT} bytes of text"));
    }
    let (rail, bare) = parts(address);
    let sound = match rail {
        RailName::Test => true,
        RailName::MockCrypto => is_checksummed(bare),
        RailName::MockFiat => is_iban(bare),
    };
    let fits = |terms: &&RailTerms| terms.rail == rail && config.currency_of(terms) == currency;
    match config.rails.0.iter().find(fits) {
        None => Err(alloc::format!("this portal does not pay in {currency} over the rail {rail}")),
        Some(_) if !sound => {
            Err(alloc::format!("that is no address of the rail {rail}: look for a typing error"))
        }
        Some(terms) => Ok(terms),
    }
}

/// The rail that an address names, and what is left for that rail to read.
pub(in crate::portal) fn parts(address: &str) -> (RailName, &str) {
    match address.split_once(':') {
        Some(("mock-crypto", bare)) => (RailName::MockCrypto, bare),
        Some(("mock-fiat", bare)) => (RailName::MockFiat, bare),
        _ => (RailName::Test, address),
    }
}

fn is_checksummed(address: &str) -> bool {
    let mut bytes = [0; 24];
    if bs58::decode(address).onto(&mut bytes) != Ok(24) {
        return false;
    }
    let (payload, check) = bytes.split_at(20);
    blake3::hash(payload).as_bytes().starts_with(check)
}

fn is_iban(text: &str) -> bool {
    let shape = text.is_ascii()
        && (15..=34).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let Some((head, account)) = text.split_at_checked(4).filter(|_| shape) else { return false };
    let (country, digits) = head.split_at(2);
    let written =
        country.bytes().all(|b| b.is_ascii_uppercase()) && digits.bytes().all(|b| b.is_ascii_digit());
    // A letter stands for 10 to 35, two digits.
    let rest = account.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0, |rest, digit| {
        let shift = if digit < 10 { 10 } else { 100 };
        (rest * shift + digit) % 97
    });
    written && rest == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::economics::Fees;
    use crate::limits::GATEWAYS_PAID_EVERY;
    use crate::money::{Currency, Micros};
    use crate::portal::config::Rails;

    fn config(rails: Rails) -> Config {
        Config {
            network: "test".into(),
            currency: xts(),
            fees: Fees::default(),
            rails,
            gateways_paid_every: GATEWAYS_PAID_EVERY,
        }
    }

    fn xts() -> Currency {
        "XTS".parse().unwrap()
    }

    fn rail(address: &str) -> Option<RailName> {
        let terms = |rail| RailTerms { rail, currency: None, least_payout: Micros::ZERO };
        let all = config(Rails(RailName::ALL.map(terms).to_vec()));
        let to = PayoutTo { currency: xts(), address: address.into() };
        payable(&all, &to).ok().map(|terms| terms.rail)
    }

    #[test]
    fn each_rail_knows_its_addresses_and_a_slip_of_the_pen() {
        // From the standard's own registry, and one whose account has no letter.
        for iban in ["GB82WEST12345698765432", "DE89370400440532013000", "NO9386011117947"] {
            assert_eq!(rail(&alloc::format!("mock-fiat:{iban}")), Some(RailName::MockFiat), "{iban}");
        }
        for bad in [
            "GB82WEST12345698765423",
            "gb82west12345698765432",
            "GB82",
            "8282WEST12345698765432",
            "GB82 WEST",
        ] {
            assert_eq!(rail(&alloc::format!("mock-fiat:{bad}")), None, "{bad}");
        }
        let mut bytes = [7; 24];
        bytes[20..].copy_from_slice(&blake3::hash(&[7; 20]).as_bytes()[..4]);
        let good = bs58::encode(bytes).into_string();
        assert_eq!(good, "eA9ctCNq41iLLnQErtTUVdxpRybDdN78");
        assert_eq!(rail(&alloc::format!("mock-crypto:{good}")), Some(RailName::MockCrypto));
        let slip = good.replace('A', "B");
        for bad in [slip.as_str(), "", "0", &alloc::format!("{good}1")] {
            assert_eq!(rail(&alloc::format!("mock-crypto:{bad}")), None, "{bad}");
        }
        for any in ["address", "test:my-lab", "x:y"] {
            assert_eq!(rail(any), Some(RailName::Test), "{any}");
        }
        for bad in ["", "two\nlines", &"a".repeat(129)] {
            assert_eq!(rail(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_rail_that_is_not_offered_pays_to_nobody() {
        let to = |currency: &str, address: &str| PayoutTo {
            currency: currency.parse().unwrap(),
            address: address.into(),
        };
        let config = config(Rails::default());
        let why = payable(&config, &to("XTS", "mock-fiat:DE89370400440532013000")).unwrap_err();
        assert_eq!(why, "this portal does not pay in XTS over the rail mock-fiat");
        let why = payable(&config, &to("EUR", "address")).unwrap_err();
        assert_eq!(why, "this portal does not pay in EUR over the rail test");
    }
}

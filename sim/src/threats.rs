//! What economics.md says can be tried with money, each by a short name: a search in the profile `money` must have seen all
//! of them, or it has proven nothing about those that it has not.

/// The rows of economics.md's table of threats that a simulated world can show.
pub const THREATS: &[(&str, &str)] = &[
    (UNDER_REPORTS, "a gateway reports less than it took, nothing, or another attempt"),
    (NEVER_ACKS, "a gateway takes a stream and acknowledges none of it"),
    (OLD_AUTHORIZATION, "a gateway shows an authorization again, minutes later"),
    (MANY_PROVIDERS, "a gateway shows one authorization to several providers, or twice to one"),
    (SECOND_ATTEMPT, "a gateway has two attempts of one authorization work, and acknowledges both"),
    (KEPT_RECEIPT, "a gateway keeps a receipt back"),
    (OVER_REPORTS, "a provider states more than it made"),
    (CLAIMS_WRONG, "a provider claims a receipt twice, or more than its receipts say, or others' receipts"),
    (FEP_STALLS, "a FEP answers a report or a statement not at all, late, or with nonsense"),
    (
        FEP_TERMS,
        "a FEP signs an authorization with other terms, or a receipt with other amounts or another address",
    ),
    (STOLEN_KEY, "somebody signs authorizations by a key that its FEP has revoked"),
    (ROTATION, "a FEP goes over to another signing key, or revokes one"),
    (FEP_CLAIMS, "a FEP refuses a claim, or says that it paid otherwise"),
    (DOUBLE_SPENDS, "a user asks for more at once than the balance covers"),
    (CLIENT_LEAVES, "a user leaves in the middle of an answer"),
    (FAILOVER, "an attempt fails and the next one is paid"),
    (BOND_PAYS, "a gateway's bond pays for an attempt"),
    (GATEWAY_DIES, "a gateway dies while a job runs"),
    (PROVIDER_DIES, "a provider dies"),
    (FEP_DIES, "a FEP dies"),
    (DISK_FULL, "a provider's disk is full, or fails"),
    (CLOCKS, "a party's clock jumps or stands still"),
    (RATE_MOVES, "a quote changes or lapses, and jobs that were authorized before are paid"),
    (RAIL_UNKNOWN, "a rail makes a payment and nobody hears of it, or refuses it"),
];

pub const UNDER_REPORTS: &str = "gateway-under-reports";
pub const NEVER_ACKS: &str = "gateway-never-acknowledges";
pub const OLD_AUTHORIZATION: &str = "old-authorization";
pub const MANY_PROVIDERS: &str = "one-hold-many-providers";
pub const SECOND_ATTEMPT: &str = "two-attempts-acknowledged";
pub const KEPT_RECEIPT: &str = "receipt-kept-back";
pub const OVER_REPORTS: &str = "provider-over-reports";
pub const CLAIMS_WRONG: &str = "provider-claims-wrong";
pub const FEP_STALLS: &str = "fep-stalls";
pub const FEP_TERMS: &str = "fep-changes-terms";
pub const STOLEN_KEY: &str = "stolen-key";
pub const ROTATION: &str = "key-rotation";
pub const FEP_CLAIMS: &str = "fep-refuses-claims";
pub const DOUBLE_SPENDS: &str = "user-double-spends";
pub const CLIENT_LEAVES: &str = "client-leaves";
pub const FAILOVER: &str = "failover";
pub const BOND_PAYS: &str = "bond-pays";
pub const GATEWAY_DIES: &str = "gateway-dies";
pub const PROVIDER_DIES: &str = "provider-dies";
pub const FEP_DIES: &str = "fep-dies";
pub const DISK_FULL: &str = "disk-full-at-provider";
pub const CLOCKS: &str = "clocks";
pub const RATE_MOVES: &str = "rate-moves";
pub const RAIL_UNKNOWN: &str = "rail-unknown-outcome";

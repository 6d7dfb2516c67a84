//! Deliberate defects, by which the simulator's checkers prove that they can fail (mutation testing: DeMillo, Lipton and
//! Sayward, "Hints on Test Data Selection", IEEE Computer 11(4), 1978).
//!
//! What is here: the registry of all mutants, and the switch between them. The defects themselves stand where somebody
//! could have made them, each behind `mutant(Mutant::...)`.
//!
//! What is absent: all of it, from a normal build. The switch exists under `--cfg labman_mutants` only, which is no cargo
//! feature, so that no other crate of a build can turn it on; without it [`mutant`] is a constant `false`.

#[cfg(labman_mutants)]
use core::sync::atomic::{AtomicU8, Ordering};

macro_rules! mutants {
    ($($(#[doc = $about:literal])+ $mutant:ident = $name:literal,)*) => {
        /// A slip that somebody could have made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[doc = $about])+ $mutant,)*
        }

        impl Mutant {
            pub const ALL: &'static [Self] = &[$(Self::$mutant,)*];

            /// As the command line and tables call it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$mutant => $name,)*
                }
            }

            /// What it does, in one line.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$mutant => concat!($($about),+).trim_ascii(),)*
                }
            }
        }
    };
}

mutants! {
    /// a provider acknowledges a receipt that is not on its disk yet
    AckBeforeStored = "ack-before-stored",
    /// a FEP answers a call whose batch is not on its disk yet
    AnswerBeforeDurable = "answer-before-durable",
    /// a provider sends the end of an answer before its statement is on its disk
    EndBeforeStated = "end-before-stated",
    /// a FEP returns a hold after the grace alone, without the authorization's life
    HoldForgetsTtl = "hold-forgets-ttl",
    /// a FEP counts a hold's life from the wall clock on the monotonic one
    HoldByWallClock = "hold-by-wall-clock",
    /// a FEP that starts again returns the holds of jobs that still run
    HoldReleasedAtRestart = "hold-released-at-restart",
    /// a capture books what a job did not use as a fee, and not back to its user
    RemainderKept = "remainder-kept",
    /// a charge is rounded down
    ChargeRoundedDown = "charge-rounded-down",
    /// a FEP that starts again skips a number of each provider's receipts
    SequenceSkipped = "sequence-skipped",
    /// a provider never asks its FEP for the receipts whose numbers it misses
    GapIgnored = "gap-ignored",
    /// a payout counts a claim's first line twice
    ClaimLineTwice = "claim-line-twice",
    /// a provider never looks for receipts to claim
    NeverClaims = "never-claims",
    /// a provider never claims again what its FEP rejected
    DisputeForgotten = "dispute-forgotten",
    /// a provider takes a claim for paid whose call its FEP did not answer
    SilenceCountsAsPaid = "silence-counts-as-paid",
    /// a gateway takes a usage report for settled that its FEP did not answer
    SilenceCountsAsSettled = "silence-counts-as-settled",
    /// a gateway that starts again forgets the receipts that were not acknowledged
    ReceiptNotRedelivered = "receipt-not-redelivered",
    /// a provider runs a job again for an authorization that it has used
    AuthorizationReplayed = "authorization-replayed",
    /// a gateway goes to the next provider though it has forwarded some of the answer
    RetryAfterFirstToken = "retry-after-first-token",
    /// a gateway forwards each chunk of a stream twice
    ChunkTwice = "chunk-twice",
    /// a gateway drops a chunk while its user has an earlier one to read
    ChunkDropped = "chunk-dropped",
    /// a provider does not tell its Portman what the gateway has taken
    CreditLost = "credit-lost",
    /// a provider whose gateway leaves does not stop the runtime
    RuntimeNotCancelled = "runtime-not-cancelled",
    /// a provider whose gateway leaves keeps the job's slot taken
    SlotLeaked = "slot-leaked",
    /// the sweep of lapsed authorizations is due again at once
    BusyTimer = "busy-timer",
    /// a node that starts again lives under its last incarnation
    IncarnationReused = "incarnation-reused",
    /// a node takes a record of a later life for old because its number is lower
    SequenceOverIncarnation = "sequence-over-incarnation",
    /// a node never signs its records anew
    RecordNotRefreshed = "record-not-refreshed",
    /// a node never asks for records that were only announced to it
    AnnouncedNotWanted = "announced-not-wanted",
    /// a node takes the records of the dead for news
    DeadForgotten = "dead-forgotten",
    /// a node takes another for dead when one of its witnesses misses it
    OneSuspicionKills = "one-suspicion-kills",
    /// a node counts suspicions of whoever signed them, and not of witnesses only
    AnyoneIsWitness = "anyone-is-witness",
    /// a node that is suspected does not say that it lives
    SuspicionNotRefuted = "suspicion-not-refuted",
    /// a node keeps any number of peers of one network
    SampleWithoutNetworks = "sample-without-networks",
    /// a node whose table is full of what friends brought turns all other records away
    FriendsNotContested = "friends-not-contested",
    /// a node whose places are all taken turns everybody away
    PlacesNotContested = "places-not-contested",
    /// a node does not dial again when a link goes down
    NoRedial = "no-redial",
    /// a node takes authorizations by keys that their FEP has revoked
    RevokedKeyAccepted = "revoked-key-accepted",
    /// a provider works for a FEP however much that owes it
    ExposureUnbounded = "exposure-unbounded",
    /// a FEP sends a gateway's fees again while a transfer of them is on its way
    GatewayPaidTwice = "gateway-paid-twice",
    /// a FEP settles a job at today's quote, and not at the rate that it was authorized at
    RateNotPinned = "rate-not-pinned",
    /// a provider sends chunks however little of them is acknowledged
    NoWindow = "no-window",
    /// a gateway acknowledges nothing of what it takes
    NeverAcks = "never-acks",
    /// a FEP settles less than was acknowledged, on the gateway's word
    AckIgnored = "ack-ignored",
    /// a FEP lets a gateway name more attempts than its bond stands for
    BondUnlocked = "bond-unlocked",
    /// a node holds a record that it has already against whoever passes it on
    HonestBanned = "honest-banned",
}

impl Mutant {
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }

    /// The one that is switched on.
    pub fn active() -> Option<Self> {
        Self::ALL.iter().copied().find(|which| mutant(*which))
    }
}

/// Zero: none. Otherwise the mutant's place in the registry, from 1.
#[cfg(labman_mutants)]
static SELECTED: AtomicU8 = AtomicU8::new(0);

/// Switches a mutant on in this process, or all off. Machines that run at that moment change under way.
#[cfg(labman_mutants)]
pub fn select(mutant: Option<Mutant>) {
    SELECTED.store(mutant.map_or(0, number), Ordering::SeqCst);
}

#[cfg(labman_mutants)]
const fn number(mutant: Mutant) -> u8 {
    mutant as u8 + 1
}

/// Is this defect to show now?
#[cfg(labman_mutants)]
pub(crate) fn mutant(which: Mutant) -> bool {
    SELECTED.load(Ordering::Relaxed) == number(which)
}

/// Is this defect to show now? Never: mutants are not compiled in.
#[cfg(not(labman_mutants))]
pub(crate) const fn mutant(_: Mutant) -> bool {
    false
}

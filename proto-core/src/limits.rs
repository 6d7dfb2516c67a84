//! Every bound of the core in one place. What happens at a bound is said beside it.

use crate::money::Micros;
use crate::rate::Rate;
use crate::time::Span;

/// Read credit with which each direction of a stream opens, and the most that is ever in flight on it, in bytes.
pub const STREAM_WINDOW: u32 = 64 * 1024;

/// A Portman is granted more of a job once this much of it was taken: a message for each chunk would cost as much as the chunk.
pub const PORTMAN_CREDIT_STEP: u32 = 8 * 1024;
/// What one chunk of a Portman's may have, in bytes: whatever is not granted yet, a reader who has taken all has room for it.
pub const PORTMAN_CHUNK: u32 = STREAM_WINDOW - PORTMAN_CREDIT_STEP;

/// A gossip record's frame, in bytes. A larger one closes the link.
pub const GOSSIP_FRAME: usize = 16 * 1024;
/// Any other signed frame, in bytes. A larger one resets its stream.
pub const CONTROL_FRAME: usize = 64 * 1024;
/// A body or chunk frame, in bytes. A larger one resets its stream.
pub const BODY_FRAME: usize = 256 * 1024;
/// How deep CBOR may nest, and how many items a collection may have. Beyond: the frame is rejected.
pub const CBOR_DEPTH: usize = 8;
pub const CBOR_ITEMS: u64 = 256;

/// An HTTP request's body, in bytes. A larger one is answered 413.
pub const HTTP_BODY: usize = 4 * 1024 * 1024;
/// An HTTP answer that a machine collects whole (a FEP's, a runtime's model list), in bytes. A larger one is cut off.
pub const HTTP_ANSWER: usize = 1024 * 1024;
/// One line of a Portman's or a runtime's stream, in bytes. A longer one ends the job.
pub const LINE: usize = 256 * 1024;

/// Signing keys that a FEP's root certifies, ever: all stay in its ring, so that old receipts can be checked. A ring with more
/// is refused. With a new key each quarter they last for sixteen years.
pub const FEP_KEYS: usize = 64;
/// A FEP's descriptor is asked for so often; again where none is known or the FEP is silent, and then at pauses that double up
/// to the last; and, where a paper is not by the key that was expected, no sooner than so.
pub const DESCRIPTOR_EVERY: Span = Span::from_secs(3600);
pub const DESCRIPTOR_RETRY: Span = Span::from_secs(2);
pub const DESCRIPTOR_RETRY_LAST: Span = Span::from_secs(30);
pub const DESCRIPTOR_AT_MOST: Span = Span::from_secs(10);

/// A portal looks at its keys so often at least, and warns of one that ends this soon without a successor.
pub const KEYS_LOOKED_AT: Span = Span::from_secs(24 * 3600);
pub const KEY_ENDS_SOON: Span = Span::from_secs(7 * 24 * 3600);

/// Attempts one authorization may name.
pub const ATTEMPTS: usize = 3;
/// Offers in one capability record. Further ones are not announced.
pub const OFFERS: usize = 32;
/// Mesh links a node keeps unless its operator says otherwise. Further ones are closed, or take the place of others.
pub const LINKS: usize = 1024;
/// What one link's control stream is heard of: frames, bytes, and signatures to be checked. The burst is a table of records
/// at once, as after a partition. Beyond, the rest is read later.
pub const LINK_FRAMES: Rate = Rate::per_second(4_000, 2 * RECORDS as u64);
pub const LINK_BYTES: Rate = Rate::per_second(4 * 1024 * 1024, 32 * 1024 * 1024);
pub const LINK_CHECKS: Rate = Rate::per_second(2_000, RECORDS as u64);
/// Signatures that are checked for all links together with which no job ever came to its receipt: a fifth of a processor.
/// Beyond, they take turns, of so many frames each.
pub const STRANGERS_CHECKS: Rate = Rate::per_second(4_000, RECORDS as u64);
pub const STRANGERS_TURN: usize = 8;
pub const STRANGERS_EVERY: Span = Span::from_millis(5);
/// Bytes on control streams after which it is counted what all neighbours hold.
pub const WEIGH_EVERY: usize = 64 * 1024;
/// A peer that takes nothing of what waits for it for so long does not read: where memory is short, it goes first.
pub const STUCK_AFTER: Span = Span::from_secs(1);
/// From link up on a peer keeps its place for so long without hello, even if all are taken.
pub const HELLO_SOON: Span = Span::from_secs(1);
/// Points of offences ([`Offence`](crate::labnet)) at which a link is closed, a node is banned, a network is banned; and
/// how long it takes until one is forgiven.
pub const CLOSE_AT: u64 = 60;
pub const BAN_AT: u64 = 100;
pub const NETWORK_BAN_AT: u64 = 800;
pub const FORGIVE_EVERY: Span = Span::from_secs(3);
/// The first ban's length, doubled with each, up to the last's.
pub const BAN_FIRST: Span = Span::from_secs(10 * 60);
pub const BAN_LAST: Span = Span::from_secs(24 * 3600);
/// Nodes and networks whose offences are remembered, and nodes that were of use. Those with the least are forgotten.
pub const CONDUCT_NODES: usize = 4096;
pub const CONDUCT_NETWORKS: usize = 1024;
pub const USEFUL_NODES: usize = 16 * 1024;
/// Records kept of either kind. Further origins are dropped.
pub const RECORDS: usize = 16 * 1024;
/// Records of either kind that our clock speaks against, kept for the case that it is wrong. Further ones are dropped.
pub const UNTIMELY: usize = 4 * 1024;
pub const UNTIMELY_OF_ONE: usize = UNTIMELY / 4;
/// Topics a node subscribes to, and trees on which a neighbour may be no branch. Further ones are left out.
pub const TOPICS: usize = 256;
/// Proofs that an origin says different things under one version. Further ones are dropped.
pub const EQUIVOCATIONS: usize = 64;
/// Peers that a gateway, and a provider, knows of without being linked to them. Then a newcomer takes the place of one that
/// came the same way.
pub const PEERS: usize = 128;
pub const PROVIDER_PEERS: usize = 32;
/// The part of these that may come of one neighbour, as one of so many; and how many may be in one network: an address, a
/// /24 or /48, a /16 or /32.
pub const PEERS_OF_ONE: usize = 4;
pub const PEERS_IN_NETWORKS: [usize; 3] = [2, 4, 16];
/// Peers told of at once. Further ones of a message are not looked at.
pub const SHUFFLED: usize = 8;
/// Witnesses a record names.
pub const WITNESSES: usize = 8;
/// Witnesses that must miss a node before it counts as dead; all, where it has fewer.
pub const SUSPICIONS: usize = 3;
/// Suspicions of one origin that are held. Further ones are dropped.
pub const SUSPICIONS_OF_ONE: usize = 64;
/// Gateways that a gateway, and a provider, calls by itself for each topic.
pub const GATEWAY_CALLS: usize = 4;
pub const PROVIDER_CALLS: usize = 3;
/// An invitation to call, in bytes, the links over which it may go, and how many of a provider's links that came of
/// invitations are kept.
pub const INVITATION: usize = 1024;
pub const INVITE_HOPS: u8 = 12;
pub const INVITED_LINKS: usize = 32;
/// Invitations that are heard of one neighbour, and that a provider follows. Further ones are dropped.
pub const INVITES_OF_ONE: Rate = Rate::per_second(2, 16);
pub const INVITES_FOLLOWED: Rate = Rate::per_second(8, 64);
/// A network that did not answer such a call is left alone for so long; how many of them are remembered.
pub const UNANSWERED_FOR: Span = Span::from_secs(20 * 60);
pub const UNANSWERED: usize = 256;
/// Providers that a gateway invites for one request, how long the request waits for them, how often one is asked that is
/// waited for, and how long one is asked last that did not come.
pub const INVITED_AT_ONCE: usize = 3;
pub const INVITE_WAIT: Span = Span::from_secs(5);
pub const INVITE_AGAIN: Span = Span::from_secs(1);
pub const INVITED_IN_VAIN: Span = Span::from_secs(60);
/// Jobs a gateway has under way. A further request is answered 429.
pub const GATEWAY_JOBS: usize = 4096;
/// Tools of a request, as OpenAI has it. More are a 400.
pub const TOOLS: usize = 128;
/// Keys whose use a gateway counts. Then those are forgotten that have nothing under way.
pub const KEYS_WATCHED: usize = 16 * 1024;
/// Keys that a FEP did not know, and how long such a one is refused without asking again. The oldest are forgotten.
pub const KEYS_REFUSED: usize = 4096;
pub const KEY_REFUSED_FOR: Span = Span::from_secs(10);
/// How long a stream may be silent before its user is sent a comment, so that nothing on the way takes it for dead.
pub const KEEP_ALIVE: Span = Span::from_secs(10);
/// Requests that a FEP did not answer, and whose hold a gateway asks back in case it was made. Holds of further ones lapse.
pub const GATEWAY_UNSURE: usize = 1024;
/// Jobs that may wait for a slot of a model, as far as its operator may allow it.
pub const QUEUE_MOST: u32 = 1024;
/// Jobs a provider has under way or unsettled. A further stream is reset.
pub const PROVIDER_JOBS: usize = 4096;
/// Requests that a provider hears from one gateway at once, before it knows that they are paid for. A further stream is reset.
pub const JOBS_HEARD_OF_ONE: usize = 128;
/// What requests that are not paid for take at a provider, of one gateway, in bytes. A further one is answered BUSY.
pub const BODIES_OF_ONE: usize = 8 * HTTP_BODY;
/// The same of all, and the bodies that a gateway is being sent, in bytes. A further one is answered 503; at a provider it
/// makes whoever has most lose its oldest, or is answered BUSY.
pub const BODIES_OF_ALL: usize = 64 * HTTP_BODY;
/// What a provider lets each FEP owe it, where its operator says nothing, in units of each payout currency.
pub const EXPOSURE: Micros = Micros(10_000_000);
/// Runs of a FEP's numbers that a provider remembers to have come. The highest are forgotten, and asked for again.
pub const RECEIPT_RUNS: usize = 64;
/// Receipts of jobs that are not remembered, while the store is asked for them. A further one is not heard.
pub const RECEIPT_LOOKS: usize = 256;
/// How long a receipt may be on its way that a later one has overtaken; how often a FEP is asked whether any never came.
pub const PULL_GAP: Span = Span::from_secs(120);
pub const PULL_EVERY: Span = Span::from_secs(600);
/// How often a portal pays out gateways' fees, where its operator says nothing.
pub const GATEWAYS_PAID_EVERY: Span = Span::from_secs(24 * 60 * 60);
/// Currencies that a portal quotes. A further one is refused.
pub const PORTAL_QUOTES: usize = 16;
/// How long a quote may hold at most.
pub const QUOTE_LIFE: Span = Span::from_secs(31 * 24 * 60 * 60);
/// How often a gateway asks its FEP for its descriptor, for the terms in it; sooner where a quote lapses, or the FEP refuses what
/// they allowed.
pub const TERMS_EVERY: Span = Span::from_secs(60);
/// Receipts in one claim. The rest waits for the next.
pub const CLAIM_RECEIPTS: usize = 256;
/// Claims made at once for one address. The rest waits for the next time.
pub const CLAIMS_AT_ONCE: usize = 16;
/// How long a receipt stays disputed where its provider says nothing else: for people to look into it.
pub const DISPUTE_TERM: Span = Span::from_secs(3 * 24 * 3_600);
/// The longest that a FEP takes a dispute to last.
pub const DISPUTE_LONGEST: Span = Span::from_secs(90 * 24 * 3_600);
/// How often a FEP is asked what its people say of a dispute.
pub const DISPUTE_EVERY: Span = Span::from_secs(3_600);
/// How soon after some disputes it is asked about more.
pub const DISPUTE_PAGE_EVERY: Span = Span::from_secs(60);
/// Disputes that are read from the store at once.
pub const DISPUTES_READ: usize = 64;
/// A provider's claims that a FEP has not decided. No further one is made until it decides one.
pub const CLAIMS_OPEN: usize = 256;

/// How long a gossiped record lives, and after what part of that its origin signs it anew.
pub const RECORD_TTL: Span = Span::from_secs(30 * 60);
pub const RECORD_REFRESH: Span = Span::from_secs(15 * 60);
/// How long a neighbour waits for what is only announced, and how much of it is in one message.
pub const ANNOUNCE_EVERY: Span = Span::from_millis(200);
pub const ANNOUNCED: usize = 250;
/// Announcements that may go out to one neighbour at once, in marks. The rest waits for the next time.
pub const ANNOUNCED_AT_ONCE: usize = 1_000;
/// Links between a node and the root of a tree. Beyond them another root is found.
pub const DEEPEST: u8 = 16;
/// How often neighbours are told of a node's distance from a root, at most.
pub const DISTANCE_EVERY: Span = Span::from_millis(200);
/// How long what was announced may still come by itself, before it is asked for; and how long each that has it is given.
pub const WANT_AFTER: Span = Span::from_secs(2);
/// The same of what is announced because two neighbours compared what they hold: it does not come by itself.
pub const WANT_SOON: Span = Span::from_millis(100);
/// For how long after a comparison that is so.
pub const COMPARED: Span = Span::from_secs(5);
pub const WANT_WITHIN: Span = Span::from_secs(2);
/// Records that were announced and have not come. Further ones are not asked for.
pub const WANTED: usize = 16 * 1024;
/// Neighbours that are remembered to hold an announced record. Further ones are not asked for it.
pub const HOLDERS: usize = 8;
/// How often two neighbours compare all they hold, and how often one is listened to that does.
pub const DIGEST_EVERY: Span = Span::from_secs(60);
pub const DIGEST_AT_MOST: Span = Span::from_secs(10);
/// Topics of which a node knows nobody, and neighbours for which it asks others; and how long it does so.
pub const SOUGHT: usize = 16;
pub const SOUGHT_FOR: Span = Span::from_secs(60);
/// How often peers are exchanged with one neighbour after the other: by a young node more often, doubling from the first to
/// the second. No neighbour is heard more often than the first.
pub const SHUFFLE_SOON: Span = Span::from_secs(5);
pub const SHUFFLE_EVERY: Span = Span::from_secs(60);
/// The same for a provider, which needs others only when it loses its gateways.
pub const PROVIDER_SHUFFLE_EVERY: Span = Span::from_secs(10 * 60);
/// From the loss of a link to the suspicion that the node is dead: it may say through others that it is not, or come back.
pub const SUSPECT_AFTER: Span = Span::from_secs(5);
pub const SUSPECT_JITTER: Span = Span::from_secs(3);
/// How soon a node says anew what changed about it: at once, but not more often than that, apart from so many in a row.
pub const SIGN_AT_MOST: Span = Span::from_secs(1);
pub const SIGN_IN_A_ROW: u64 = 5;
/// Peers that a node keeps on disk, to call them first when it starts again.
pub const ANCHORS: usize = 8;
/// How often a node that has too few links looks for somebody to call: at first, and doubling up to the second.
pub const LOOK_FIRST: Span = Span::from_secs(1);
pub const LOOK_LAST: Span = Span::from_secs(60);
/// How often a gateway calls another, while none of the peers that its operator named is linked.
pub const DOUBT_EVERY: Span = Span::from_secs(10);
/// After a call that failed the peer is left alone: doubling from the first to the second.
pub const CALL_AGAIN_FIRST: Span = Span::from_secs(20 * 60);
pub const CALL_AGAIN_LAST: Span = Span::from_secs(4 * 60 * 60);
/// A wall clock that went so much further or less far than the monotonic one was set: what is signed by it is signed anew.
pub const CLOCK_STEP: Span = Span::from_secs(60);
/// A wall clock that is further than this from the middle one of at least so many peers' is not trusted with money.
pub const CLOCK_APART: Span = Span::from_secs(120);
pub const CLOCK_PEERS: usize = 3;
/// How often a node to which nothing happens looks at its wall clock.
pub const CLOCK_LOOK: Span = Span::from_secs(30);
/// Bytes of a control stream that are granted together: a grant for each small record would be as much traffic again.
pub const GRANT_AT_LEAST: usize = 16 * 1024;
/// From link up to the peer's hello. Then the link is closed.
pub const HELLO_WITHIN: Span = Span::from_secs(10);
/// Pause between dials of a peer we want to stay connected to: doubles from the first to the second.
pub const REDIAL_FIRST: Span = Span::from_millis(500);
pub const REDIAL_LAST: Span = Span::from_secs(4);

/// A gateway that has started hears of what is served within this: longer than its providers wait before they call again. Until then
/// no request is refused because there is no such model.
pub const HEARD_WITHIN: Span = Span::from_secs(6);
/// How long it is remembered that a model was served that nobody may serve any more, and of how many. The oldest are forgotten.
pub const BYGONE_FOR: Span = Span::from_secs(60);
pub const BYGONE: usize = 256;

/// One call to a FEP. Then it counts as not answering.
pub const FEP_ANSWER: Span = Span::from_secs(5);
/// Providers and models of which a gateway remembers how they served; and those that failed it last. The oldest are forgotten.
pub const MEASURED: usize = 16 * 1024;
/// What was measured counts so long; whoever was not asked since is new again.
pub const MEASURED_FOR: Span = Span::from_secs(15 * 60);
/// Answers after which a provider is no newcomer to a gateway.
pub const PROBATION: u32 = 3;
/// Answers that a gateway has had from anybody before it holds newcomers back: at first all are new.
pub const WARM_UP: u32 = 64;
/// Failures in a row after which a provider is left alone, for how long at first, and at most.
pub const BREAKER_FAILURES: u32 = 3;
pub const BREAKER_FIRST: Span = Span::from_secs(5);
pub const BREAKER_LAST: Span = Span::from_secs(5 * 60);
/// A provider that is not the last to be tried is given so many times what it usually takes to its first chunk, and at least that
/// long.
pub const PATIENCE_TIMES: u64 = 8;
pub const PATIENCE_LEAST: Span = Span::from_secs(5);
/// Bytes of a model's name in a request: a tenant, an endpoint and what a Portman may call a model.
pub const MODEL_NAME: usize = 512;
/// Names in one list of a request's hints.
pub const HINT_NAMES: usize = 64;
/// With a prompt bound above this it has as long as the last one.
pub const PATIENCE_INPUT: u32 = 16 * 1024;
/// Requests of which a gateway can explain who was chosen, and providers that it names of each. The oldest are forgotten.
pub const EXPLAINED: usize = 512;
pub const EXPLAINED_PROVIDERS: usize = 12;
/// From a provider's acceptance of a request to its first chunk. The gateway then tries the next attempt.
pub const FIRST_CHUNK: Span = Span::from_secs(60);
/// Chunks behind a provider's last signed frame, and the age of that frame when a chunk goes out: then the transcript so far
/// is signed. A gateway that is sent more chunks breaks off.
pub const MARK_CHUNKS: u64 = 64;
pub const MARK_EVERY: Span = Span::from_millis(250);
/// Output tokens that a provider sends beyond those acknowledged: before the first acknowledgement, and after it. It then
/// waits for the next, so long; and ends the job.
pub const UNACKED_FIRST: u32 = 8;
pub const UNACKED: u32 = 64;
pub const ACK_WITHIN: Span = Span::from_secs(10);
/// When a gateway acknowledges: with the first token, and then when so many are not, or so long after it did last.
pub const ACK_TOKENS: u32 = 32;
pub const ACK_EVERY: Span = Span::from_millis(250);
/// Acknowledged tokens after which a provider stores the acknowledgement, in case it crashes.
pub const ACK_STORED: u32 = 1024;
/// Input of one gateway's jobs for which no acknowledgement came, in tokens (as it bounded them). Beyond, a further job is
/// refused. Each is forgiven after a while.
pub const UNACKED_INPUT: u64 = 1 << 20;
pub const UNACKED_INPUT_FORGIVEN: Span = Span::from_secs(3600);
/// Times that a party does not deliver, each so long after the last, before a provider works for it no more; how long that
/// lasts at first, and doubling up to the last; and how many parties are remembered. Then those whose denial ends first are not.
pub const FAULTS: u32 = 3;
pub const FAULT_EVERY: Span = Span::from_secs(60);
pub const DENIAL_FIRST: Span = Span::from_secs(10 * 60);
pub const DENIAL_LAST: Span = Span::from_secs(24 * 3600);
pub const DENIALS: usize = 1024;
/// How long a FEP may owe the receipt of acknowledged work. Then it withholds it.
pub const WITHHELD_AFTER: Span = Span::from_secs(10 * 60);
/// Calls of a FEP that a gateway carries for one provider at once, and for all. Further ones are dropped, and come again.
pub const ERRANDS_OF_ONE: usize = 4;
pub const ERRANDS: usize = 256;
/// How long a provider waits for what it had carried before it has it carried again.
pub const ERRAND_WITHIN: Span = Span::from_secs(15);
/// How long a gateway that wants no more waits for its provider's statement, or release.
pub const CANCEL_WITHIN: Span = Span::from_secs(5);
/// How long a provider whose job was cut off waits for its receipt before it shows the FEP its statement: the gateway's word
/// is worth more to it, where that reaches the FEP first.
pub const STATE_AFTER: Span = Span::from_secs(30);
/// How often, at most, a provider tells its gateways how busy it is, where its operator does not say.
pub const LOAD_EVERY: Span = Span::from_secs(1);
/// A provider that had jobs of other gateways so lately, by what it said, may have jobs of theirs under way: longer than it takes to hear of
/// their choice.
pub const CONTESTED_FOR: Span = Span::from_secs(5);
/// So long one of the gateways that a provider is linked to has its last slots to itself: several times what it takes to hear of a choice, and
/// of what clocks differ by where they are set by the network.
pub const TURN: Span = Span::from_secs(5);
/// Models in what a gateway tells of its market, and names that it counts. Less wanted ones, and further ones, are left out.
pub const MARKET_MODELS: usize = 64;
/// Currencies in which it tells the cheapest offer of a model.
pub const MARKET_CURRENCIES: usize = 4;
pub const MARKET_NAMES: usize = 1024;
/// A gateway tells what is asked for so soon after something was, and then so often, where it has changed.
pub const MARKET_SOON: Span = Span::from_secs(10);
pub const MARKET_EVERY: Span = Span::from_secs(5 * 60);
/// A provider that has started decides what it hosts not before this: it is to have heard what is asked for.
pub const HOSTING_SOON: Span = Span::from_secs(30);
/// A model is unloaded within this, and loaded within four times what it is said to take, and this.
pub const LOAD_GRACE: Span = Span::from_secs(60);
/// Between two chunks of a stream whose reader keeps up. Then the stream ends with an error.
pub const NEXT_CHUNK: Span = Span::from_secs(60);
/// How long a user may read nothing of what waits for them. Then their job is cancelled.
pub const READER_STALL: Span = Span::from_secs(30);
/// How long a gateway may take nothing of what waits for it at a provider, whose slot it holds meanwhile. Longer than it
/// lets its own user.
pub const GATEWAY_STALL: Span = Span::from_secs(60);
/// From a request's arrival to its last byte.
pub const JOB_TOTAL: Span = Span::from_secs(600);
/// What an authorization's life exceeds the job's total by, so that settlement fits in.
pub const SETTLE_MARGIN: Span = Span::from_secs(120);
/// How long who is asked to leave brings jobs to their end. What is then not over is cut off.
pub const LEAVE: Span = Span::from_secs(20);
/// How often it says meanwhile what it waits for.
pub const LEAVE_TOLD_EVERY: Span = Span::from_secs(5);
/// How long it then waits until its neighbours have heard its farewell, and closed.
pub const FAREWELL: Span = Span::from_secs(1);
/// How long after its end a gateway repeats a usage report or a receipt that was not acknowledged.
pub const REDELIVER_FIRST: Span = Span::from_millis(500);
pub const REDELIVER_LAST: Span = Span::from_secs(30);
/// How long a gateway repeats a receipt that its provider does not acknowledge: that can ask the FEP for it.
pub const REDELIVER_FOR: Span = Span::from_secs(3600);

/// Answers that one request may ask for, over all its prompts.
pub const PARTS: u32 = 128;
/// Bytes of prompts that are repeated in an answer.
pub const ECHOED: usize = 1024 * 1024;
/// Texts that one request may have embedded, and those that a runtime is asked for at once.
pub const EMBEDDED_INPUTS: usize = 2048;
pub const EMBEDDED_AT_ONCE: usize = 16;
/// What a runtime answers for these, in bytes. A longer answer ends the job.
pub const EMBEDDED_ANSWER: usize = 4 * 1024 * 1024;

/// Input tokens a gateway accepts beyond one per byte of prompt, for the template around each message or tool, and once
/// for each request.
pub const INPUT_ALLOWANCE_PER_ITEM: u64 = 64;
/// Bytes that may wait for a peer on its control stream. Then the link is closed.
pub const CONTROL_BACKLOG: usize = 8 * 1024 * 1024;
/// Bytes that may wait for a new neighbour on its control stream. Further records that we hold are told once it has read.
pub const CONTROL_FILL: usize = 256 * 1024;
/// What a gateway collects of an answer for a request without `stream`: texts and log probabilities, in bytes. A longer one is an error.
pub const ASSEMBLED: usize = 16 * 1024 * 1024;

// Portal.

/// A call's body, in bytes. A larger one is answered 413.
pub const PORTAL_BODY: usize = 64 * 1024;
/// HTTP exchanges under way. A further one is answered 503.
pub const PORTAL_EXCHANGES: usize = 4096;
/// Users, API keys and enrolled gateways. A further one is answered 503.
pub const PORTAL_USERS: usize = 64 * 1024;
pub const PORTAL_KEYS: usize = 128 * 1024;
pub const PORTAL_GATEWAYS: usize = 4096;
/// Providers that ever got a receipt. An authorization that names a further one is answered 503.
pub const PORTAL_PROVIDERS: usize = 64 * 1024;
/// Holds that are open, or that their gateway's bond stands for. A further authorization is answered 503.
pub const PORTAL_HOLDS: usize = 64 * 1024;
/// Receipts that a provider is shown in one answer. It asks for the rest. An answer must stay a
/// [signed object](crate::wire::object::MOST).
pub const PULL_RECEIPTS: usize = 32;
/// Claims that are accepted and not paid yet. A further one is answered 503.
pub const PORTAL_ACCEPTED: usize = 16 * 1024;
/// Claims of one provider that wait for more to be owed to one address. A further one that does not make it enough is
/// answered 400, and its receipts can be claimed together with others.
pub const PORTAL_CARRIED: usize = 64;
/// Transfers on their way out. A further claim or withdrawal is answered 503.
pub const PORTAL_TRANSFERS: usize = 16 * 1024;
/// Disputes that nobody has decided, in all and of one provider. A further one is answered 503.
pub const PORTAL_DISPUTES: usize = 4096;
pub const PORTAL_DISPUTES_OF_ONE: usize = 512;
/// Until a rail is asked again what became of a transfer: doubling, up to.
pub const RAIL_FIRST: Span = Span::from_secs(1);
pub const RAIL_LAST: Span = Span::from_secs(300);
/// After a rail's final failure, until the payout is scheduled anew.
pub const PAYOUT_ANEW: Span = Span::from_secs(600);
/// Operations written to the store together. The rest waits for the next batch.
pub const PORTAL_GROUP: usize = 64;
/// Reads of calls that are at the store at once. The rest waits, so that no write waits for more than these.
pub const PORTAL_READS: usize = 4;
/// Lines of one listing. A larger `limit` counts as this.
pub const PORTAL_LIST: u32 = 1000;
/// Names, payment references, payout addresses, and what is said of a dispute, in bytes. A longer one is answered 400.
pub const PORTAL_TEXT: usize = 128;
/// How far a gateway's clock may be from the portal's, either way. Beyond, its authorization is answered 400.
pub const CLOCK_SKEW: Span = Span::from_secs(120);
/// The longest life of an authorization. A longer one is answered 400.
pub const HOLD_LIFE: Span = Span::from_secs(3600);
/// How often a portal with open holds writes down how long it has been up.
pub const UPTIME_EVERY: Span = Span::from_secs(30);
/// How long after its authorization's life a hold still waits for its usage report. Then it returns to the user.
pub const HOLD_GRACE: Span = Span::from_secs(60);

// Portman.

/// One line from a labman to its Portman, in bytes: a whole request body and its frame. A longer one closes the link.
pub const PORTMAN_LINE: usize = HTTP_BODY + LINE;
/// Models a Portman announces, running or not, and of which it heeds what it is told of slots; and the length of one's name in
/// bytes. Others are left out.
pub const PORTMAN_MODELS: usize = 256;
pub const PORTMAN_MODEL_ID: usize = 256;
/// How often a Portman asks its runtime for its models, and how long it waits for the answer. Then it has none.
pub const MODELS_EVERY: Span = Span::from_secs(10);
/// While its answer stays the same it is asked at pauses that double up to this.
pub const MODELS_AT_LEAST: Span = Span::from_secs(60);
pub const MODELS_WITHIN: Span = Span::from_secs(5);
/// How often it is asked while it loads or unloads a model, and how long it may take for either. Then the model has not moved.
pub const MOVING_EVERY: Span = Span::from_secs(1);
pub const LOAD_WITHIN: Span = Span::from_secs(10 * 60);
pub const UNLOAD_WITHIN: Span = Span::from_secs(60);
/// What a Portman quotes of a runtime's error, in characters. The rest is cut off.
pub const RUNTIME_MESSAGE: usize = 500;

// Toy.

/// Requests the toy has under way. A further one is answered 503.
pub const TOY_JOBS: usize = 256;
/// Where the toy begins to look for the end of a sentence, and where it ends without one, in tokens. Between the two it
/// draws how much it has to say.
pub const TOY_SHORTEST: usize = 20;
pub const TOY_LONGEST: usize = 60;
/// The most that a request's `min_tokens` makes the toy say, and what it may say beyond to end its sentence, in tokens. A
/// larger `min_tokens` counts as this.
pub const TOY_MIN_TOKENS: usize = 2_000;
pub const TOY_SENTENCE: usize = 40;

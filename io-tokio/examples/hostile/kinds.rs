//! The ways of being hostile.

use std::time::Duration;

use labman_proto_core::identity::NodeId;
use labman_proto_core::wire::cbor::{Blob, encode};
use labman_proto_core::wire::envelope::{Kind as FrameKind, light};
use labman_proto_core::wire::mesh::{Announce, Digest, Key, Mark, Version, Want};
use tokio::time::sleep;

use crate::Plan;
use crate::session::{Peer, Session, Stats};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Connects and says nothing.
    Silent,
    /// Begins its hello and waits.
    HalfFrame,
    /// Says hello a byte a second.
    SlowLoris,
    /// Says bytes that are nothing.
    Garbage,
    /// After hello, records of ever new origins, each signed well.
    Records,
    /// After hello, records whose signatures do not hold.
    Forged,
    /// After hello, the longest frames there are, each but for its last byte, on many streams.
    HugeFrames,
    /// After hello, all streams it may open, full, and reads none.
    NeverReads,
    /// Says what it said before, on this and on earlier connections.
    Replays,
    /// Comes and goes.
    Storm,
    /// Announces what it does not have, wants all there is, compares without end.
    Gossip,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Silent,
        Self::HalfFrame,
        Self::SlowLoris,
        Self::Garbage,
        Self::Records,
        Self::Forged,
        Self::HugeFrames,
        Self::NeverReads,
        Self::Replays,
        Self::Storm,
        Self::Gossip,
    ];

    /// Who is of which kind: of every kind about as many, in every network.
    pub(crate) fn of(number: usize) -> (usize, Self) {
        let at = (number + number / 100) % Self::ALL.len();
        (at, Self::ALL[at])
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::HalfFrame => "half a frame",
            Self::SlowLoris => "slow loris",
            Self::Garbage => "garbage",
            Self::Records => "record flood",
            Self::Forged => "forged records",
            Self::HugeFrames => "huge frames",
            Self::NeverReads => "never reads",
            Self::Replays => "replays",
            Self::Storm => "reconnect storm",
            Self::Gossip => "gossip flood",
        }
    }

    /// Before it comes again.
    pub(crate) const fn pause(self) -> Duration {
        match self {
            Self::Storm => Duration::from_millis(20),
            _ => Duration::from_secs(1),
        }
    }

    /// One connection, until it is closed.
    pub(crate) async fn attack(self, plan: &Plan, peer: &Peer, stats: &Stats) -> Option<()> {
        match self {
            Self::Silent => {
                let connection = peer.connect(plan, stats).await?;
                let why = connection.closed().await;
                stats.was_closed(&why);
            }
            Self::HalfFrame => {
                let mut session = peer.open(plan, stats).await?;
                let hello = peer.hello(plan, &mut session);
                session.say(stats, &hello[..hello.len() / 2]).await?;
                session.ended(stats).await;
            }
            Self::SlowLoris => {
                let mut session = peer.open(plan, stats).await?;
                for byte in peer.hello(plan, &mut session) {
                    session.say(stats, &[byte]).await?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Self::Garbage => {
                let mut session = peer.open(plan, stats).await?;
                let mut garbage = [0; 4096];
                getrandom::fill(&mut garbage).ok()?;
                session.say(stats, &garbage).await?;
                session.ended(stats).await;
            }
            Self::Records => {
                let mut session = peer.admitted(plan, stats).await?;
                for record in plan.records.from(start(peer)) {
                    session.say(stats, record).await?;
                }
            }
            Self::Forged => {
                let mut session = peer.admitted(plan, stats).await?;
                for record in plan.records.from(start(peer)) {
                    let mut forged = record.to_vec();
                    if let Some(last) = forged.last_mut() {
                        *last ^= 1;
                    }
                    session.say(stats, &forged).await?;
                }
            }
            Self::HugeFrames => self.huge_frames(plan, peer, stats).await?,
            Self::NeverReads => self.never_reads(plan, peer, stats).await?,
            Self::Replays => {
                let mut session = peer.admitted(plan, stats).await?;
                let prune = peer.frame(plan, &mut session, FrameKind::Prune, b"\xa0");
                session.say(stats, &[prune.clone(), prune].concat()).await?;
                session.ended(stats).await;
                // Its hello of that connection, on another.
                let hello = peer.hello(plan, &mut session);
                let mut again = peer.open(plan, stats).await?;
                again.say(stats, &hello).await?;
                again.ended(stats).await;
            }
            Self::Storm => {
                let connection = peer.connect(plan, stats).await?;
                connection.close(0u32.into(), b"");
            }
            Self::Gossip => {
                let mut session = peer.admitted(plan, stats).await?;
                self.gossip(plan, peer, stats, &mut session).await?;
            }
        }
        Some(())
    }

    async fn huge_frames(self, plan: &Plan, peer: &Peer, stats: &Stats) -> Option<()> {
        let mut session = peer.admitted(plan, stats).await?;
        let announce = peer.frame(plan, &mut session, FrameKind::Announce, &vec![0; 65_000]);
        session.say(stats, announce.split_last()?.1).await?;
        let body = light(FrameKind::Body, &vec![0; 250 * 1024]);
        let mut held = Vec::new();
        // As fast as the other end lets it: a stream that is reset is opened again.
        loop {
            let Ok((mut send, recv)) = session.connection.open_bi().await else { break };
            let part = body.split_last()?.1;
            let wrote = tokio::time::timeout(Duration::from_millis(300), send.write_all(part)).await;
            held.push((send, recv));
            if !matches!(wrote, Ok(Ok(()))) {
                held.retain(|(send, _)| send.id().index() % 7 != 0);
                sleep(Duration::from_millis(50)).await;
            }
            if held.len() > 200 {
                held.clear();
            }
        }
        session.ended(stats).await;
        Some(())
    }

    async fn never_reads(self, plan: &Plan, peer: &Peer, stats: &Stats) -> Option<()> {
        let mut session = peer.admitted(plan, stats).await?;
        let request = peer.frame(plan, &mut session, FrameKind::ProxyRequest, &vec![0; 60_000]);
        let mut held = Vec::new();
        loop {
            let opened = tokio::time::timeout(Duration::from_secs(2), session.connection.open_bi()).await;
            match opened {
                Ok(Ok((mut send, recv))) => {
                    // All but the last byte: nothing can be said to it yet.
                    let part = request.split_last()?.1;
                    let _ = tokio::time::timeout(Duration::from_millis(200), send.write_all(part)).await;
                    held.push((send, recv));
                }
                Ok(Err(_)) => break,
                // It has all it may have.
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
        session.ended(stats).await;
        Some(())
    }

    async fn gossip(self, plan: &Plan, peer: &Peer, stats: &Stats, session: &mut Session) -> Option<()> {
        for round in start(peer).. {
            let key = |n: u64| {
                let mut id = [round as u8; 32];
                id[..8].copy_from_slice(&(round.wrapping_mul(251) + n).to_be_bytes());
                Key::capability(NodeId(id))
            };
            let version = Version { incarnation: round, seq: 1 };
            let marks = (0..250).map(|n| Mark { key: key(n), version }).collect();
            let announce = peer.frame(plan, session, FrameKind::Announce, &encode(&Announce { marks }));
            session.say(stats, &announce).await?;
            let keys = (0..250).map(key).collect();
            let want = peer.frame(plan, session, FrameKind::Want, &encode(&Want { keys }));
            session.say(stats, &want).await?;
            let digest = Digest { buckets: Blob(vec![round as u8; 2_048]) };
            let digest = peer.frame(plan, session, FrameKind::Digest, &encode(&digest));
            session.say(stats, &digest).await?;
        }
        Some(())
    }
}

/// Where it begins: not where the others do.
fn start(peer: &Peer) -> u64 {
    let [a, b, c, d, ..] = peer.node_id.0;
    u64::from(u32::from_be_bytes([a, b, c, d]))
}

//! Hosts can't reach each other, in five shapes.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::{Span, Time};
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage};
use crate::host::HostId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    pub shape: Shape,
    /// One side; everybody else is on the other.
    pub hosts: Vec<String>,
    /// With `bridged`: reaches both sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Neither side reaches the other.
    Symmetric,
    /// What one side sends does not arrive; what the other sends does.
    OneWay,
    /// Nobody of that side reaches anybody, not even each other.
    Isolated,
    /// Symmetric, but for one who reaches both.
    Bridged,
    /// One after the other loses everybody else, and they come back in another order (as in Jepsen's and foundationdb's
    /// swizzle).
    Swizzled,
}

const SHAPES: [Shape; 5] =
    [Shape::Symmetric, Shape::OneWay, Shape::Isolated, Shape::Bridged, Shape::Swizzled];

impl Kind for Partition {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let shape = SHAPES[draws.below(SHAPES.len() as u64) as usize];
        let mut hosts = Vec::new();
        let mut others = Vec::new();
        for name in stage.networked() {
            let side = if draws.below(3) == 0 { &mut hosts } else { &mut others };
            side.push(name.to_owned());
        }
        if hosts.is_empty() || others.is_empty() {
            return None;
        }
        let bridge =
            (shape == Shape::Bridged).then(|| others.swap_remove(draws.below(others.len() as u64) as usize));
        Some(Self { shape, hosts, bridge })
    }

    fn hosts(&self) -> Vec<&str> {
        self.hosts.iter().chain(&self.bridge).map(String::as_str).collect()
    }

    fn check(&self, _: &Stage) -> Result<(), String> {
        if self.hosts.is_empty() {
            return Err("hosts: name at least one, which is one side".into());
        }
        match (self.shape, &self.bridge) {
            (Shape::Bridged, None) => Err("bridge: with bridged, say who reaches both sides".into()),
            (Shape::Bridged, Some(bridge)) if self.hosts.contains(bridge) => {
                Err(format!("bridge: {bridge:?} is one of hosts, and reaches both sides only from neither"))
            }
            (Shape::Bridged, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => Err("bridge: only bridged has one".into()),
        }
    }

    fn begin(&self, site: &mut Site<'_>) {
        let side: Vec<HostId> = self.hosts.iter().filter_map(|name| site.host(name)).collect();
        let bridge = self.bridge.as_deref().and_then(|name| site.host(name));
        let all: Vec<HostId> = site.hosts.values().copied().collect();
        let (now, until) = (site.world.now(), site.until);
        // Where hosts go one after the other: how long each is cut off, within the whole.
        let windows: Vec<(Time, Time)> = side
            .iter()
            .map(|_| {
                let span = until - now;
                let (a, b) = (site.draws.below(span.0.max(1)), site.draws.below(span.0.max(1)));
                (now + Span(a.min(b)), now + Span(a.max(b)))
            })
            .collect();
        for (index, inside) in side.iter().enumerate() {
            for outside in all.iter().filter(|host| *host != inside && Some(**host) != bridge) {
                let apart = !side.contains(outside);
                let (out, back, end) = match self.shape {
                    Shape::Symmetric | Shape::Bridged => (apart, apart, until),
                    Shape::OneWay => (apart, false, until),
                    Shape::Isolated => (true, true, until),
                    // Blocks begin now: a later begin is one that ends earlier.
                    Shape::Swizzled => (true, true, windows[index].1),
                };
                if out {
                    site.world.block(*inside, *outside, end, "partition");
                }
                if back {
                    site.world.block(*outside, *inside, end, "partition");
                }
            }
        }
    }

    /// Every block has its own end.
    fn end(&self, _: &mut Site<'_>) {}
}

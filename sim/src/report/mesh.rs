//! How the mesh did, as figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::Serialize;

#[derive(Clone, Debug, Default, Serialize)]
pub struct MeshReport {
    pub nodes: u64,
    pub gateways: u64,
    /// Records of the watched that came to all who hear of them.
    pub spread: Vec<Spread>,
    /// Records that a later one overtook before they had come to all.
    pub overtaken: u64,
    /// Records that were under way when the run ended.
    pub unfinished: u64,
    /// The watched that died, and were forgotten.
    pub gone: Vec<Gone>,
    /// The watched that died, and were not forgotten in time.
    pub late: Vec<String>,
    #[serde(skip)]
    pub not_gone: BTreeSet<String>,
    /// Partitions that ended, and how long it took until all that are watched were known in their latest version.
    pub healed: Vec<Healed>,
    /// How often it was looked for one of the watched that lives where it was known, and was not there.
    pub looks: u64,
    pub absences: u64,
    /// How often one that lives was lost, and for how long at most.
    pub lost: u64,
    pub lost_ms: u64,
    /// The longest that a gateway under attack had no link to an honest one.
    pub alone_ms: u64,
    /// Of the peers that it may call, those that are the attacker's, at the most.
    pub swarm_permille: u64,
    /// By what frames are for.
    pub cost: BTreeMap<&'static str, Cost>,
}

/// One record's way to those who hear of it.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    pub provider: String,
    /// Since the start of the workload.
    pub at_ms: u64,
    pub subscribers: u64,
    /// Until 99.9 % of them held it, and all.
    pub reached_999_ms: u64,
    pub reached_all_ms: u64,
    /// Over how many links it came to whom it came over most.
    pub last_hop: u32,
    pub copies: u64,
    pub receivers: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Gone {
    pub provider: String,
    pub after_ms: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Healed {
    pub after_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    pub frames_per_node_second: f64,
    pub bytes_per_node_second: f64,
}

/// What `[[expect]]` may name of it.
pub const FIGURES: &[&str] = &[
    "mesh.spread",
    "mesh.reached_999_ms",
    "mesh.reached_all_ms",
    "mesh.last_hop",
    "mesh.redundancy_permille",
    "mesh.gone",
    "mesh.gone_ms",
    "mesh.late",
    "mesh.healed",
    "mesh.healed_ms",
    "mesh.lost",
    "mesh.lost_ms",
    "mesh.absent_ppm",
    "mesh.alone_ms",
    "mesh.swarm_permille",
    "mesh.record_bytes",
    "mesh.other_bytes",
];

impl MeshReport {
    /// The value of one of [`FIGURES`]. Times are the longest, bytes are by node and second.
    pub fn figure(&self, name: &str) -> Option<i64> {
        let most = |all: &mut dyn Iterator<Item = u64>| all.max().unwrap_or_default();
        let bytes = |of: &dyn Fn(&str) -> bool| {
            let classes = self.cost.iter().filter(|(class, _)| of(class));
            classes.map(|(_, cost)| cost.bytes_per_node_second).sum::<f64>() as u64
        };
        let figure = match name {
            "mesh.spread" => self.spread.len() as u64,
            "mesh.reached_999_ms" => most(&mut self.spread.iter().map(|one| one.reached_999_ms)),
            "mesh.reached_all_ms" => most(&mut self.spread.iter().map(|one| one.reached_all_ms)),
            "mesh.last_hop" => most(&mut self.spread.iter().map(|one| u64::from(one.last_hop))),
            "mesh.redundancy_permille" => self.redundancy_permille(),
            "mesh.gone" => self.gone.len() as u64,
            "mesh.gone_ms" => most(&mut self.gone.iter().map(|one| one.after_ms)),
            "mesh.late" => self.late.len() as u64,
            "mesh.healed" => self.healed.len() as u64,
            "mesh.healed_ms" => most(&mut self.healed.iter().map(|one| one.after_ms)),
            "mesh.lost" => self.lost,
            "mesh.lost_ms" => self.lost_ms,
            "mesh.absent_ppm" => (self.absences * 1_000_000).checked_div(self.looks).unwrap_or_default(),
            "mesh.alone_ms" => self.alone_ms,
            "mesh.swarm_permille" => self.swarm_permille,
            "mesh.record_bytes" => bytes(&|class| class == "capability_records"),
            "mesh.other_bytes" => bytes(&|class| !matches!(class, "capability_records" | "jobs")),
            _ => return None,
        };
        i64::try_from(figure).ok()
    }

    /// Copies beyond the first to each, in thousandths of those who got one.
    fn redundancy_permille(&self) -> u64 {
        let (copies, receivers) = self
            .spread
            .iter()
            .fold((0, 0), |(copies, receivers), one| (copies + one.copies, receivers + one.receivers));
        (copies.saturating_sub(receivers) * 1_000).checked_div(receivers).unwrap_or_default()
    }

    pub(super) fn summary(&self, out: &mut String) -> fmt::Result {
        let figure = |name: &str| self.figure(name).unwrap_or_default();
        writeln!(out, "  mesh      {} nodes, {} of them gateways", self.nodes, self.gateways)?;
        if !self.spread.is_empty() {
            writeln!(
                out,
                "  spread    {} records: 99.9 % of who hears of them within {} ms, all within {} ms, over {} links at \
                 most, {}.{} % copies too many",
                self.spread.len(),
                figure("mesh.reached_999_ms"),
                figure("mesh.reached_all_ms"),
                figure("mesh.last_hop"),
                figure("mesh.redundancy_permille") / 10,
                figure("mesh.redundancy_permille") % 10,
            )?;
        }
        if !self.gone.is_empty() || !self.late.is_empty() {
            let (gone, late) = (self.gone.len(), self.late.len());
            writeln!(out, "  dead      {gone} forgotten within {} ms, {late} late", figure("mesh.gone_ms"))?;
        }
        if !self.healed.is_empty() {
            let (healed, most) = (self.healed.len(), figure("mesh.healed_ms"));
            writeln!(out, "  healed    {healed} partitions, views agreed within {most} ms")?;
        }
        if self.lost > 0 {
            writeln!(
                out,
                "  lost      {} times one that lives, for {} ms at most; absent {} in a million looks",
                self.lost,
                self.lost_ms,
                figure("mesh.absent_ppm")
            )?;
        }
        if self.alone_ms + self.swarm_permille > 0 {
            let (alone, swarm) = (self.alone_ms, self.swarm_permille);
            writeln!(
                out,
                "  siege     without an honest gateway for {alone} ms at most; {}.{} % of peers the attacker's",
                swarm / 10,
                swarm % 10
            )?;
        }
        for (class, Cost { frames_per_node_second, bytes_per_node_second }) in &self.cost {
            writeln!(
                out,
                "  cost      {class:<20} {bytes_per_node_second:>9.1} bytes, {frames_per_node_second:>7.3} frames a node \
                 and second"
            )?;
        }
        Ok(())
    }
}

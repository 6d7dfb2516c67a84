//! Whoever stands beside the world and sees what leaves each machine, with the disk it stands on at that moment.

use labman_proto_core::machine::{Machine, Output};

use super::World;
use crate::disk::Disk;
use crate::host::HostId;

pub trait Witness {
    /// What is wrong with letting that out now, if anything is.
    fn saw(&mut self, host: &str, disk: &Disk, output: &Output) -> Option<String>;
}

impl<M: Machine> World<M> {
    /// From now on this one sees all.
    pub fn watch(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    pub(super) fn witnessed(&mut self, host: HostId, output: &Output) {
        let Some(witness) = &mut self.witness else { return };
        let place = &self.hosts[host.0];
        if let Some(wrong) = witness.saw(&place.name, &place.disk, output) {
            self.fail(host, &wrong);
        }
    }
}

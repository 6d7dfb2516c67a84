//! Runtimes that fail more often from some moment on, or less: the step that a gateway's estimate has to follow.

use super::{Due, Run};
use crate::cast::{Resident, runtime_name};

impl Run<'_> {
    pub(super) fn schedule_turns(&mut self) {
        for (number, provider) in self.scenario.providers.iter().enumerate() {
            for (index, portman) in provider.portmans.iter().enumerate() {
                if let Some(turn) = portman.turns {
                    self.schedule(self.started + turn.at, Due::Turn(number, index));
                }
            }
        }
    }

    pub(super) fn turn(&mut self, number: usize, index: usize) {
        let provider = &self.scenario.providers[number];
        let portman = &provider.portmans[index];
        let host = self.hosts.get(&runtime_name(provider, portman)).copied();
        if let Some((host, turn)) = host.zip(portman.turns) {
            self.world.command(host, |resident| {
                if let Resident::Toy(toy) = resident {
                    toy.set_fails(turn.fails);
                }
            });
        }
    }
}

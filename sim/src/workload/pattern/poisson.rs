//! Nobody knows of anybody else: a Poisson process.

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Draws, Pattern, Window};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poisson {}

impl Pattern for Poisson {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn moments(&self, window: &Window, draws: &mut Draws) -> Vec<Span> {
        window.poisson(&mut draws.gaps)
    }
}

//! A flash crowd as a fluid: what piles up while more come than can be served, and how long it takes until that is gone.

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::Law;
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crowd {
    /// Mean time between two while the crowd comes, and how long that is.
    #[serde(with = "values::span")]
    pub every: Span,
    #[serde(rename = "for", with = "values::span")]
    pub lasting: Span,
    /// Mean time between two afterwards.
    #[serde(with = "values::span")]
    pub then_every: Span,
    pub servers: u32,
    /// Mean time of service.
    #[serde(with = "values::span")]
    pub service: Span,
    /// As many serve once the crowd has come; not said: as many as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_servers: Option<u32>,
}

/// Jobs that wait when it ends: (lambda1 - c mu) T, without those that find a server free when it begins, c - lambda0/mu.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CrowdBacklog(pub Crowd);

/// Until nobody waits any more, in milliseconds: that over c' mu - lambda0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CrowdCleared(pub Crowd);

impl Crowd {
    /// In a second.
    fn come(every: Span) -> f64 {
        1e9 / every.0 as f64
    }

    fn serve(&self, servers: u32) -> f64 {
        f64::from(servers) * Self::come(self.service)
    }

    fn backlog(&self) -> f64 {
        let free = f64::from(self.servers) - Self::come(self.then_every) / Self::come(self.service);
        (Self::come(self.every) - self.serve(self.servers)) * self.lasting.0 as f64 / 1e9 - free.max(0.0)
    }

    fn clears(&self) -> f64 {
        self.serve(self.then_servers.unwrap_or(self.servers)) - Self::come(self.then_every)
    }

    fn check(&self) -> Result<(), String> {
        if [self.every, self.lasting, self.then_every, self.service].iter().any(|span| span.0 == 0) {
            return Err("every, for, then_every and service must be above zero".into());
        }
        match self.backlog() > 0.0 && self.clears() > 0.0 {
            true => Ok(()),
            false => Err("more must come than can be served, and then fewer".into()),
        }
    }
}

impl Law for CrowdBacklog {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn value(&self) -> f64 {
        self.0.backlog()
    }
}

impl Law for CrowdCleared {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn value(&self) -> f64 {
        self.0.backlog() / self.0.clears() * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> Crowd {
        Crowd {
            every: Span::from_millis(20),
            lasting: Span::from_secs(100),
            then_every: Span::from_millis(250),
            servers: 20,
            service: Span::from_secs(1),
            then_servers: None,
        }
    }

    #[test]
    fn what_piles_up_goes_as_fast_as_there_is_room_to_spare() {
        // (50 - 20) * 100 - (20 - 4), over 20 - 4 or 40 - 4.
        assert!((CrowdBacklog(crowd()).value() - 2_984.0).abs() < 1e-6);
        assert!((CrowdCleared(crowd()).value() - 186_500.0).abs() < 1e-6);
        let more = Crowd { then_servers: Some(40), ..crowd() };
        assert!((CrowdCleared(more).value() - 2_984.0 / 36.0 * 1e3).abs() < 1e-6);
    }

    #[test]
    fn a_crowd_that_is_none_is_refused() {
        assert!(Crowd { servers: 50, ..crowd() }.check().is_err());
        assert!(Crowd { then_every: Span::from_millis(50), ..crowd() }.check().is_err());
        assert!(Crowd { service: Span(0), ..crowd() }.check().is_err());
    }
}

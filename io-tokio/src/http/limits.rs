//! How many connections a listener holds, in all and from one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    per_address: usize,
}

/// One connection's place; free again when dropped.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    address: Option<IpAddr>,
}

impl Connections {
    pub(crate) fn new(total: usize, per_address: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS))),
            by_address: Arc::default(),
            per_address,
        }
    }

    /// Waits for a free place, before accepting: what is beyond waits in the kernel.
    pub(crate) async fn slot(&self) -> Slot {
        let permit = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        Slot { _permit: permit, by_address: self.by_address.clone(), address: None }
    }

    /// Counts the slot to an address. `None`: that address has its share.
    pub(crate) fn admit(&self, mut slot: Slot, address: IpAddr) -> Option<Slot> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_address.entry(address).or_default();
        if *open >= self.per_address {
            return None;
        }
        *open += 1;
        slot.address = Some(address);
        drop(by_address);
        Some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[tokio::test]
    async fn one_address_can_not_take_every_place() {
        let connections = Connections::new(8, 1);
        let first = connections.admit(connections.slot().await, HERE);
        assert!(first.is_some());
        assert!(connections.admit(connections.slot().await, HERE).is_none());
        assert!(connections.admit(connections.slot().await, THERE).is_some());
        drop(first);
        assert!(connections.admit(connections.slot().await, HERE).is_some(), "its place is free again");
    }
}

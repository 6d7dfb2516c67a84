//! How many connections a listener holds, in all and from one address. Where all places are taken and somebody comes, whoever asks
//! for nothing and has done so longest goes: strangers who only hold connections open keep nobody out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What a request may need from its connection's beginning until it is there.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(crate) struct Connections {
    shared: Arc<Shared>,
    total: usize,
    per_address: usize,
}

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    /// A place is free, or somebody asks for nothing.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    open: usize,
    by_address: BTreeMap<IpAddr, usize>,
    /// Connections without a request, by when that began.
    idle: BTreeMap<u64, Idle>,
    turns: u64,
}

struct Idle {
    since: Instant,
    reader: Arc<Reader>,
}

/// The client's side of a connection.
#[derive(Default)]
pub(crate) struct Reader {
    /// It has still to take some of its answer.
    behind: AtomicBool,
    must_go: Notify,
}

impl Reader {
    pub(crate) fn is_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Relaxed);
    }
}

/// One connection's place; free again when dropped.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    address: IpAddr,
    reader: Arc<Reader>,
    /// Its turn in the table. `None`: it has a request, or does not say.
    idle: Mutex<Option<u64>>,
}

/// What keeps a connection from its place.
pub(crate) struct NoShare;

impl Connections {
    pub(crate) fn new(total: usize, per_address: usize) -> Self {
        Self { shared: Arc::default(), total, per_address }
    }

    /// A place for a connection that was accepted; waits until there is one.
    pub(crate) async fn place(&self, address: IpAddr) -> Result<Slot, NoShare> {
        loop {
            let changed = self.shared.changed.notified();
            let next = {
                let mut table = lock(&self.shared.table);
                if table.by_address.get(&address).is_some_and(|open| *open >= self.per_address) {
                    return Err(NoShare);
                }
                if table.open < self.total {
                    table.open += 1;
                    *table.by_address.entry(address).or_default() += 1;
                    return Ok(Slot {
                        shared: self.shared.clone(),
                        address,
                        reader: Arc::default(),
                        idle: Mutex::default(),
                    });
                }
                table.make_room()
            };
            let later = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = later => {}
            }
        }
    }
}

impl Table {
    /// Tells the one to go that has asked for nothing longest. If none may be told yet: when one may.
    fn make_room(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let behind = |idle: &Idle| idle.reader.behind.load(Ordering::Relaxed);
        let (turn, due) = self
            .idle
            .iter()
            .find(|(_, idle)| !behind(idle))
            .map(|(turn, idle)| (*turn, idle.since + GRACE))?;
        if due > now {
            return Some(due);
        }
        if let Some(idle) = self.idle.remove(&turn) {
            idle.reader.must_go.notify_one();
        }
        None
    }
}

impl Slot {
    pub(crate) fn reader(&self) -> Arc<Reader> {
        self.reader.clone()
    }

    /// It asks for nothing from now on, and may be told to go.
    pub(crate) fn is_idle(&self) {
        let mut idle = lock(&self.idle);
        let mut table = lock(&self.shared.table);
        let turn = table.turns;
        table.turns += 1;
        if let Some(before) = idle.replace(turn) {
            table.idle.remove(&before);
        }
        table.idle.insert(turn, Idle { since: Instant::now(), reader: self.reader.clone() });
        self.shared.changed.notify_waiters();
    }

    /// It asks for something. `false`: too late, it was told to go.
    pub(crate) fn is_busy(&self) -> bool {
        let Some(turn) = lock(&self.idle).take() else { return true };
        lock(&self.shared.table).idle.remove(&turn).is_some()
    }

    /// Resolves when it must go.
    pub(crate) async fn must_go(&self) {
        self.reader.must_go.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.is_busy();
        let mut table = lock(&self.shared.table);
        table.open -= 1;
        if let Some(open) = table.by_address.get_mut(&self.address) {
            *open -= 1;
            if *open == 0 {
                table.by_address.remove(&self.address);
            }
        }
        self.shared.changed.notify_waiters();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::time::advance;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[tokio::test]
    async fn one_address_can_not_take_every_place() {
        let connections = Connections::new(8, 1);
        let first = connections.place(HERE).await;
        assert!(first.is_ok());
        assert!(connections.place(HERE).await.is_err());
        assert!(connections.place(THERE).await.is_ok());
        drop(first);
        assert!(connections.place(HERE).await.is_ok(), "its place is free again");
    }

    async fn three(connections: &Connections) -> [Slot; 3] {
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.extend(connections.place(HERE).await.ok());
        }
        slots.try_into().ok().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_places_are_taken_the_one_that_was_idle_longest_goes() {
        let connections = Connections::new(3, 8);
        let [busy, first, second] = three(&connections).await;
        for slot in [&busy, &first, &second] {
            slot.is_idle();
        }
        assert!(busy.is_busy());
        // It asked for something in between.
        assert!(first.is_busy());
        first.is_idle();
        advance(GRACE).await;
        assert_eq!(lock(&connections.shared.table).idle.len(), 2, "while nobody comes, nobody goes");
        let next = tokio::spawn(async move { connections.place(HERE).await.is_ok() });
        second.must_go().await;
        assert!(!second.is_busy(), "it is too late for it to ask");
        drop(second);
        assert!(next.await.unwrap());
        assert_eq!(lock(&first.shared.table).idle.len(), 1, "nobody else was told to go");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_or_has_still_to_read_is_left_alone() {
        let connections = Connections::new(3, 8);
        let [reading, fresh, busy] = three(&connections).await;
        reading.is_idle();
        reading.reader().is_behind(true);
        let waiting = tokio::spawn(async move { connections.place(HERE).await.is_ok() });
        tokio::task::yield_now().await;
        // It is looked at again when somebody asks for nothing any more.
        let began = Instant::now();
        fresh.is_idle();
        fresh.must_go().await;
        assert!(began.elapsed() >= GRACE);
        drop(fresh);
        assert!(waiting.await.unwrap());
        assert!(reading.is_busy() && busy.is_busy());
    }
}

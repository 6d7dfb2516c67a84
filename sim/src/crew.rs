//! Runs that share nothing, some at a time, each on one thread; what comes of them stands in their own order, whichever ended
//! first.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// As many as there are cores.
pub fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Does all of `0..many`; `tick` is called on this thread as each ends.
pub fn all<T: Send>(
    many: usize,
    threads: NonZero<usize>,
    each: impl Fn(usize) -> T + Sync,
    mut tick: impl FnMut(&T),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let (next, each) = (&next, &each);
    let worker = move |sender: mpsc::Sender<(usize, T)>| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= many || sender.send((index, each(index))).is_err() {
                break;
            }
        }
    };
    let mut done: Vec<Option<T>> = std::iter::repeat_with(|| None).take(many).collect();
    thread::scope(|scope| {
        for _ in 0..threads.get().min(many) {
            let sender = sender.clone();
            scope.spawn(move || worker(sender));
        }
        drop(sender);
        for (index, what) in receiver {
            tick(&what);
            done[index] = Some(what);
        }
    });
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_threads_what_comes_of_it_stands_in_order() {
        for threads in 1..5 {
            let mut ticks = 0;
            let squares = all(20, NonZero::new(threads).unwrap(), |n| n * n, |_| ticks += 1);
            assert_eq!((squares, ticks), ((0..20).map(|n| n * n).collect(), 20));
        }
        assert!(all(0, cores(), |n| n, |_| {}).is_empty());
    }
}

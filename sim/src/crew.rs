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

/// Does each of `which`; `ended` gets what comes of it, on this thread, as each ends.
///
/// # Errors
/// The first that `ended` returns; none is begun after it.
pub fn each<T: Send, E>(
    which: &[usize],
    threads: NonZero<usize>,
    work: impl Fn(usize) -> T + Sync,
    ended: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let worker = |sender: mpsc::Sender<T>| {
        while let Some(index) = which.get(next.fetch_add(1, Ordering::Relaxed)) {
            if sender.send(work(*index)).is_err() {
                break;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.get().min(which.len()) {
            let sender = sender.clone();
            scope.spawn(|| worker(sender));
        }
        drop(sender);
        // On an error the receiver goes, and the workers with it.
        receiver.into_iter().try_for_each(ended)
    })
}

/// Does all of `0..many`, and gives what comes of them in their order; `tick` is called as each ends.
pub fn all<T: Send>(
    many: usize,
    threads: NonZero<usize>,
    work: impl Fn(usize) -> T + Sync,
    mut tick: impl FnMut(&T),
) -> Vec<T> {
    let which: Vec<usize> = (0..many).collect();
    let mut done: Vec<Option<T>> = std::iter::repeat_with(|| None).take(many).collect();
    let Ok(()) = each(
        &which,
        threads,
        |index| (index, work(index)),
        |(index, what)| {
            tick(&what);
            done[index] = Some(what);
            Ok::<(), std::convert::Infallible>(())
        },
    );
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

//! Things by a number that only rises, found without a search: the links and streams of a world.
//!
//! A page holds a few successive numbers and is freed with the last of them. Iteration is in the order of the numbers,
//! as a tree's would be; a look costs two reads, whatever the size.

use std::marker::PhantomData;

/// Numbers of one page. Few, because one thing that stays keeps its whole page.
const PAGE: usize = 16;

pub struct Table<K, V> {
    pages: Vec<Option<Box<Page<V>>>>,
    keys: PhantomData<K>,
}

struct Page<V> {
    held: usize,
    places: [Option<V>; PAGE],
}

/// A number that is given once, and no later than higher ones.
pub trait Key: Copy {
    fn number(self) -> u64;
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { pages: Vec::new(), keys: PhantomData }
    }
}

impl<K: Key, V> Table<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        let (page, place) = split(*key);
        self.pages.get(page)?.as_ref()?.places.get(place)?.as_ref()
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (page, place) = split(*key);
        self.pages.get_mut(page)?.as_mut()?.places.get_mut(place)?.as_mut()
    }

    pub fn insert(&mut self, key: K, value: V) {
        let (page, place) = split(key);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_default();
        page.held += usize::from(page.places[place].replace(value).is_none());
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (page, place) = split(*key);
        let slot = self.pages.get_mut(page)?;
        let page = slot.as_mut()?;
        let value = page.places.get_mut(place)?.take()?;
        page.held -= 1;
        if page.held == 0 {
            *slot = None;
        }
        Some(value)
    }

    pub fn is_empty(&self) -> bool {
        self.pages.iter().all(Option::is_none)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.pages.iter().flatten().flat_map(|page| page.places.iter().flatten())
    }
}

impl<V> Default for Page<V> {
    fn default() -> Self {
        Self { held: 0, places: [const { None }; PAGE] }
    }
}

fn split(key: impl Key) -> (usize, usize) {
    let number = usize::try_from(key.number()).unwrap_or(usize::MAX);
    (number / PAGE, number % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Key for u64 {
        fn number(self) -> u64 {
            self
        }
    }

    proptest! {
        #[test]
        fn a_table_is_a_map(steps in prop::collection::vec((any::<bool>(), 0..100u64), 0..200)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (at, (insert, key)) in steps.into_iter().enumerate() {
                if insert {
                    table.insert(key, at);
                    map.insert(key, at);
                } else {
                    prop_assert_eq!(table.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(table.get(&key), map.get(&key));
                prop_assert!(table.values().eq(map.values()));
            }
            let pages = table.pages.iter().flatten().count();
            prop_assert_eq!(pages, map.keys().map(|key| key / 16).collect::<std::collections::BTreeSet<_>>().len());
        }
    }
}

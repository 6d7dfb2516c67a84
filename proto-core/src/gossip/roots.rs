//! How far this node is from the roots of its trees, so that the ways of records are short.
//!
//! A tree of the links that were fastest, mended now and then, becomes any tree; of a thousand nodes its longest way is 70
//! links. So each tree has a root, the node on it whose id is nearest to its topic, and everybody tells its neighbours how
//! many links it is away from the nearest that it heard of. The neighbour by which it is nearest is the one above. This is
//! the distance vector of RIP (RFC 1058), with its bound, and the spanning tree of bridges (Perlman, 1985).
//!
//! ```text
//! Unknown --both say, of one root--> Above | Below (a branch) | Aside (only told of what is new)
//! ```
//!
//! Nothing depends on it but which links are branches: a link is one as long as both ends do not agree that it is none, and
//! what does not come is asked for as before. So whoever lies here wins delay, and nothing else.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::identity::NodeId;
use crate::limits::{DEEPEST, DISTANCE_EVERY};
use crate::machine::LinkId;
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::mesh::Distance;
use crate::wire::topic::{Topic, Topics};

#[derive(Default)]
pub(super) struct Roots {
    /// Where this node is in each tree that it is on with a neighbour.
    places: BTreeMap<Topic, Place>,
    neighbours: BTreeMap<LinkId, BTreeMap<Topic, Side>>,
    /// What neighbours are yet to be told of.
    untold: BTreeMap<LinkId, BTreeSet<Topic>>,
    due: Timers<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    root: NodeId,
    links: u8,
    above: Option<LinkId>,
}

/// A neighbour in one tree.
#[derive(Default)]
struct Side {
    says: Option<Distance>,
    edge: Edge,
}

/// What a link is to a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Edge {
    /// The ends do not agree on a root.
    #[default]
    Unknown,
    /// To the neighbour that is nearer to the root.
    Above,
    /// To one that has us above it.
    Below,
    Aside,
}

/// A link has become something else to a tree.
pub(super) struct Turn {
    pub(super) link: LinkId,
    pub(super) tree: Topic,
    pub(super) edge: Edge,
}

impl Roots {
    /// A neighbour with which we are on these trees.
    pub(super) fn link_up(&mut self, now: Time, me: NodeId, link: LinkId, trees: BTreeSet<Topic>) {
        if trees.is_empty() {
            return;
        }
        for tree in &trees {
            self.places.entry(*tree).or_insert(Place::root(me));
        }
        let sides = trees.iter().map(|tree| (*tree, Side::default())).collect();
        self.neighbours.insert(link, sides);
        self.untold.insert(link, trees);
        self.tell_soon(now);
    }

    pub(super) fn link_down(&mut self, now: Time, me: NodeId, link: LinkId) -> Vec<Turn> {
        self.untold.remove(&link);
        let trees = self.neighbours.remove(&link).unwrap_or_default();
        trees.into_keys().flat_map(|tree| self.settle(now, me, tree)).collect()
    }

    pub(super) fn heard(&mut self, now: Time, me: NodeId, link: LinkId, said: Vec<Distance>) -> Vec<Turn> {
        let mut turns = Vec::new();
        for said in said {
            let side = self.neighbours.get_mut(&link).and_then(|sides| sides.get_mut(&said.topic));
            if let Some(side) = side {
                side.says = Some(said);
                turns.extend(self.settle(now, me, said.topic));
            }
        }
        turns
    }

    pub(super) fn edge(&self, link: LinkId, tree: Topic) -> Edge {
        let side = self.neighbours.get(&link).and_then(|sides| sides.get(&tree));
        side.map_or(Edge::Unknown, |side| side.edge)
    }

    /// What neighbours are to be told now.
    pub(super) fn tidings(&mut self, now: Time) -> Vec<(LinkId, Vec<Distance>)> {
        if self.due.expired(now).is_none() {
            return Vec::new();
        }
        let untold = core::mem::take(&mut self.untold);
        let said = untold.into_iter().map(|(link, trees)| {
            let said = trees.into_iter().filter_map(|topic| {
                let Place { root, links, above } = *self.places.get(&topic)?;
                Some(Distance { topic, root, links, above: above == Some(link) })
            });
            (link, said.collect())
        });
        said.collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }

    /// Takes the best place that there is now.
    fn settle(&mut self, now: Time, me: NodeId, tree: Topic) -> Vec<Turn> {
        let Some(before) = self.places.get(&tree).copied() else { return Vec::new() };
        let place = self.best(me, tree, before.above);
        if place != before {
            self.places.insert(tree, place);
            let moved = (place.root, place.links) != (before.root, before.links);
            for (link, sides) in &self.neighbours {
                let concerned = moved || [before.above, place.above].contains(&Some(*link));
                if concerned && sides.contains_key(&tree) {
                    self.untold.entry(*link).or_default().insert(tree);
                }
            }
            self.tell_soon(now);
        }
        let mut turns = Vec::new();
        for (link, sides) in &mut self.neighbours {
            let Some(side) = sides.get_mut(&tree) else { continue };
            let edge = place.edge(*link, side.says.as_ref());
            if edge != side.edge {
                side.edge = edge;
                turns.push(Turn { link: *link, tree, edge });
            }
        }
        turns
    }

    /// Below the neighbour that is nearest to the nearest root; of several below the one that we are below already.
    fn best(&self, me: NodeId, tree: Topic, above: Option<LinkId>) -> Place {
        let offered = self.neighbours.iter().filter_map(|(link, sides)| {
            let says = sides.get(&tree)?.says.as_ref()?;
            // Whoever is below us knows of the root by us; and whether we are it, we know best.
            let offers = !says.above && says.links < DEEPEST && says.root != me;
            offers.then(|| Place { root: says.root, links: says.links + 1, above: Some(*link) })
        });
        let rank =
            |place: &Place| (nearness(&tree, &place.root), place.links, place.above != above, place.above);
        offered.chain([Place::root(me)]).min_by_key(rank).unwrap_or(Place::root(me))
    }

    fn tell_soon(&mut self, now: Time) {
        self.due.start((), now + DISTANCE_EVERY, "our distance from a root has changed");
    }
}

impl Place {
    const fn root(me: NodeId) -> Self {
        Self { root: me, links: 0, above: None }
    }

    fn edge(&self, link: LinkId, says: Option<&Distance>) -> Edge {
        match says {
            Some(says) if says.root == self.root => match (self.above == Some(link), says.above) {
                (true, _) => Edge::Above,
                (false, true) => Edge::Below,
                (false, false) => Edge::Aside,
            },
            _ => Edge::Unknown,
        }
    }
}

impl Edge {
    pub(super) const fn is_branch(self) -> bool {
        matches!(self, Self::Above | Self::Below)
    }
}

/// The trees that two nodes are on together. Those who hear of all topics are on one for all.
pub(super) fn shared(ours: &Topics, theirs: &Topics) -> BTreeSet<Topic> {
    if ours.is_none() || theirs.is_none() {
        return BTreeSet::new();
    }
    let named = match (ours, theirs) {
        (Topics::These(ours), Topics::These(theirs)) => ours.intersection(theirs).copied().collect(),
        (Topics::All, _) | (_, Topics::All) => BTreeSet::new(),
    };
    named.into_iter().chain([Topic::NONE]).collect()
}

/// How near a node is to a topic, the nearest first. Ids and topics are hashes or keys, and evenly spread.
fn nearness(tree: &Topic, node_id: &NodeId) -> ([u8; 8], NodeId) {
    let mut apart = tree.0;
    apart.iter_mut().zip(node_id.0).for_each(|(apart, byte)| *apart ^= byte);
    (apart, *node_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use alloc::collections::VecDeque;

    /// Nodes that hear each other at once, as a graph.
    struct Mesh {
        nodes: Vec<Roots>,
        links: Vec<Vec<usize>>,
        now: Time,
    }

    fn id(node: usize) -> NodeId {
        NodeId(*blake3::hash(&node.to_be_bytes()).as_bytes())
    }

    fn tree() -> Topic {
        Topic::of_family("qwen")
    }

    impl Mesh {
        fn new(nodes: usize) -> Self {
            let links = alloc::vec![Vec::new(); nodes];
            Self { nodes: (0..nodes).map(|_| Roots::default()).collect(), links, now: Time::ZERO }
        }

        /// Each calls so many.
        fn random(nodes: usize, calls: usize) -> Self {
            let (mut mesh, mut rng) = (Self::new(nodes), Seed::from_u64(1).stream("mesh"));
            for one in 0..nodes {
                for _ in 0..calls {
                    mesh.link(one, rng.below(nodes as u64) as usize);
                }
            }
            mesh
        }

        fn link(&mut self, one: usize, other: usize) {
            if one != other && !self.links[one].contains(&other) {
                for [one, other] in [[one, other], [other, one]] {
                    self.links[one].push(other);
                    self.nodes[one].link_up(self.now, id(one), LinkId(other as u64), [tree()].into());
                }
            }
        }

        fn cut(&mut self, one: usize, other: usize) {
            for [one, other] in [[one, other], [other, one]] {
                self.links[one].retain(|node| *node != other);
                self.nodes[one].link_down(self.now, id(one), LinkId(other as u64));
            }
        }

        /// In how many rounds all is quiet.
        fn settle(&mut self) -> usize {
            for round in 0.. {
                self.now = self.now + DISTANCE_EVERY;
                let told = self.nodes.iter_mut().map(|node| node.tidings(self.now)).collect::<Vec<_>>();
                if told.iter().all(Vec::is_empty) {
                    return round;
                }
                for (from, told) in told.into_iter().enumerate() {
                    for (to, said) in told {
                        let to = to.0 as usize;
                        self.nodes[to].heard(self.now, id(to), LinkId(from as u64), said);
                    }
                }
            }
            unreachable!()
        }

        fn branches(&self, of: usize) -> impl Iterator<Item = usize> {
            let node = &self.nodes[of];
            let branch = move |to: &usize| node.edge(LinkId(*to as u64), tree()).is_branch();
            self.links[of].iter().copied().filter(branch)
        }

        /// Over how many links of the tree each is reached from that one, at most; and how many are.
        fn reach(&self, from: usize) -> (usize, usize) {
            let (mut far, mut queue) = (BTreeMap::from([(from, 0)]), VecDeque::from([from]));
            while let Some(node) = queue.pop_front() {
                for next in self.branches(node) {
                    if !far.contains_key(&next) {
                        far.insert(next, far[&node] + 1);
                        queue.push_back(next);
                    }
                }
            }
            (far.values().copied().max().unwrap_or_default(), far.len())
        }
    }

    #[test]
    fn all_agree_on_one_tree_whose_longest_way_is_short() {
        let nodes = 1_000;
        let mut mesh = Mesh::random(nodes, 4);
        mesh.settle();
        let branches: usize = (0..nodes).map(|node| mesh.branches(node).count()).sum();
        assert_eq!(branches, 2 * (nodes - 1), "a tree, and both ends of each link agree");
        for from in (0..nodes).step_by(37) {
            let (longest, reached) = mesh.reach(from);
            assert_eq!(reached, nodes);
            // Two log4 of 10,000 nodes, one of ten of which is on the tree, and a link to it.
            assert!(longest <= 12, "{longest} links");
        }
    }

    #[test]
    fn a_root_that_is_gone_is_forgotten_and_the_next_one_found() {
        let nodes = 200;
        let mut mesh = Mesh::random(nodes, 3);
        mesh.settle();
        let root = (0..nodes).min_by_key(|node| nearness(&tree(), &id(*node))).unwrap();
        for other in mesh.links[root].clone() {
            mesh.cut(root, other);
        }
        let rounds = mesh.settle();
        assert!(rounds <= 2 * usize::from(DEEPEST), "{rounds}");
        let next = (root + 1) % nodes;
        assert_eq!(mesh.reach(next).1, nodes - 1);
        assert!(mesh.nodes[next].places[&tree()].root != id(root));
    }

    #[test]
    fn beyond_the_bound_another_root_is_found_and_links_between_are_branches_of_no_root() {
        let nodes = 3 * usize::from(DEEPEST);
        let mut mesh = Mesh::new(nodes);
        for node in 1..nodes {
            mesh.link(node - 1, node);
        }
        mesh.settle();
        let deepest = mesh.nodes.iter().map(|node| node.places[&tree()].links).max();
        assert!(deepest <= Some(DEEPEST), "{deepest:?}");
        let aside = |node: &usize| {
            mesh.links[*node]
                .iter()
                .any(|to| mesh.nodes[*node].edge(LinkId(*to as u64), tree()) == Edge::Aside)
        };
        assert_eq!((0..nodes).filter(aside).count(), 0, "no link of a chain may be missing");
    }

    #[test]
    fn a_root_that_is_not_there_is_believed_as_long_as_somebody_says_so() {
        let nodes = 200;
        let mut mesh = Mesh::random(nodes, 4);
        mesh.settle();
        let liar = 7;
        mesh.nodes[liar] = Roots::default();
        let mut root = [0; 32];
        root[..8].copy_from_slice(&tree().0);
        let lie = Distance { topic: tree(), root: NodeId(root), links: 0, above: false };
        for to in mesh.links[liar].clone() {
            mesh.nodes[to].heard(mesh.now, id(to), LinkId(liar as u64), alloc::vec![lie]);
        }
        mesh.settle();
        let believes = |mesh: &Mesh, node: usize| mesh.nodes[node].places[&tree()].root == lie.root;
        assert!((0..nodes).all(|node| node == liar || believes(&mesh, node)));
        for to in mesh.links[liar].clone() {
            mesh.cut(liar, to);
        }
        mesh.settle();
        assert!((0..nodes).all(|node| node == liar || !believes(&mesh, node)));
        assert_eq!(mesh.reach(0).1, nodes - 1);
    }
}

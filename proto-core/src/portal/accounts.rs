//! Who is known here: users, their API keys, and the gateways that may spend for them.
//!
//! A key is kept as a hash of the digest that gateways send, so that neither the wire nor a stolen store holds anything
//! one could log in with.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::limits::{PORTAL_GATEWAYS, PORTAL_KEYS, PORTAL_USERS};
use crate::rng::Stream;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::wire::ids::Hash;
use crate::wire::portal::key_digest;

use super::answer::Refused;
use super::rows::{API_KEYS, ApiKeyRow, GATEWAYS, GatewayRow, KeyState, USERS, UserRow};

/// Shown as `u000001`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserId(pub(super) u64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u{:06}", self.0)
    }
}

impl FromStr for UserId {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let number = text.strip_prefix('u').and_then(|digits| digits.parse().ok());
        let user = number.map(Self).filter(|user| alloc::format!("{user}") == text);
        user.ok_or_else(|| {
            Refused::bad_request(alloc::format!("{text:?} is not a user's id, such as u000001"))
        })
    }
}

impl Serialize for UserId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a user's id"))
    }
}

#[derive(Default)]
pub(super) struct Accounts {
    /// With their names.
    users: BTreeMap<UserId, String>,
    last_user: u64,
    /// Found by a prefix of the hash; the whole hash is then compared in constant time.
    keys: BTreeMap<u64, Key>,
    gateways: BTreeMap<NodeId, Gateway>,
}

struct Gateway {
    name: String,
    created_ms: u64,
    payout_to: Option<String>,
}

/// An API key, which nobody here knows.
struct Key {
    hash: blake3::Hash,
    user: UserId,
    created_ms: u64,
    state: KeyState,
}

/// What an operator sees of an API key.
#[derive(Serialize)]
pub(super) struct KeyLine {
    /// The first 16 digits of the stored hash's hex: what the operator calls it.
    pub(super) key: String,
    pub(super) user: UserId,
    pub(super) created_ms: u64,
    pub(super) state: KeyState,
}

impl Key {
    fn row(&self) -> Row {
        let hash = Hash(*self.hash.as_bytes());
        let row = ApiKeyRow { hash, user: self.user, created_ms: self.created_ms, state: self.state };
        Row::json(alloc::format!("{hash}"), &row)
    }

    fn line(&self) -> KeyLine {
        let Self { hash, user, created_ms, state } = self;
        KeyLine { key: name(prefix(hash)), user: *user, created_ms: *created_ms, state: *state }
    }
}

impl Accounts {
    pub(super) fn load(snapshot: &Snapshot, last_user: u64) -> Result<Self, BadRow> {
        let mut accounts = Self { last_user, ..Self::default() };
        for row in snapshot.of(USERS) {
            let UserRow { user, name, .. } = row.parse(USERS)?;
            accounts.users.insert(user, name);
        }
        for row in snapshot.of(API_KEYS) {
            let ApiKeyRow { hash, user, created_ms, state } = row.parse(API_KEYS)?;
            let hash = blake3::Hash::from_bytes(hash.0);
            accounts.keys.insert(prefix(&hash), Key { hash, user, created_ms, state });
        }
        for row in snapshot.of(GATEWAYS) {
            let GatewayRow { node_id, name, payout_to, created_ms } = row.parse(GATEWAYS)?;
            accounts.gateways.insert(node_id, Gateway { name, created_ms, payout_to });
        }
        Ok(accounts)
    }

    pub(super) fn last_user(&self) -> u64 {
        self.last_user
    }

    pub(super) fn users(&self) -> impl Iterator<Item = (UserId, &str)> {
        self.users.iter().map(|(user, name)| (*user, name.as_str()))
    }

    pub(super) fn gateways(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.gateways.iter().map(|(node_id, gateway)| (*node_id, gateway.name.as_str()))
    }

    pub(super) fn known(&self, user: UserId) -> Result<UserId, Refused> {
        match self.users.contains_key(&user) {
            true => Ok(user),
            false => Err(Refused::not_found(alloc::format!("there is no user {user}"))),
        }
    }

    pub(super) fn enrolled(&self, gateway: NodeId) -> Result<NodeId, Refused> {
        match self.gateways.contains_key(&gateway) {
            true => Ok(gateway),
            false => Err(Refused::not_paired(alloc::format!(
                "gateway {gateway} is not enrolled here: the portal's operator adds it by this id"
            ))),
        }
    }

    /// Whose API key has this digest?
    pub(super) fn owner(&self, digest: &Hash) -> Result<UserId, Refused> {
        let hash = stored_hash(digest);
        let found = self.keys.get(&prefix(&hash)).filter(|key| key.hash == hash);
        match found.ok_or_else(|| Refused::invalid_api_key("no such API key"))? {
            Key { state: KeyState::Active, user, .. } => Ok(*user),
            Key { state: KeyState::Frozen, .. } => Err(Refused::invalid_api_key("this API key is frozen")),
            Key { state: KeyState::Revoked, .. } => Err(Refused::invalid_api_key("this API key was revoked")),
        }
    }

    /// The keys of one user, or of all.
    pub(super) fn keys(&self, of: Option<UserId>) -> impl Iterator<Item = KeyLine> {
        self.keys.values().filter(move |key| of.is_none_or(|user| key.user == user)).map(Key::line)
    }

    /// From now on; what was authorized before stands. Nothing brings a revoked key back.
    pub(super) fn set_key(&mut self, key: &str, state: KeyState) -> Result<(KeyLine, Write), Refused> {
        let at = u64::from_str_radix(key, 16).ok().filter(|at| name(*at) == key);
        let found = at.and_then(|at| self.keys.get_mut(&at));
        let key =
            found.ok_or_else(|| Refused::not_found("there is no such API key; name it as the list does"))?;
        if key.state == KeyState::Revoked && state != KeyState::Revoked {
            return Err(Refused::conflict("this API key was revoked; make another"));
        }
        key.state = state;
        Ok((key.line(), Write::Put(API_KEYS, key.row())))
    }

    pub(super) fn add_user(&mut self, name: String, at_ms: u64) -> Result<(UserId, Write), Refused> {
        bounded(self.users.len(), PORTAL_USERS, "users")?;
        self.last_user += 1;
        let user = UserId(self.last_user);
        self.users.insert(user, name.clone());
        let row = Row::json(alloc::format!("{user}"), &UserRow { user, name, created_ms: at_ms });
        Ok((user, Write::Insert(USERS, row)))
    }

    /// A fresh API key, and what it is called from now on; this is the only time that it is seen.
    pub(super) fn add_key(
        &mut self,
        user: UserId,
        random: &mut Stream,
        at_ms: u64,
    ) -> Result<(String, KeyLine, Write), Refused> {
        let user = self.known(user)?;
        bounded(self.keys.len(), PORTAL_KEYS, "API keys")?;
        // A machine restarted under the same seed draws the same keys again: those that are taken are passed over.
        let (key, hash) = loop {
            let key = alloc::format!("sk-labman-{}", bs58::encode(random.bytes::<24>()).into_string());
            let hash = stored_hash(&key_digest(&key));
            if !self.keys.contains_key(&prefix(&hash)) {
                break (key, hash);
            }
        };
        let stored = Key { hash, user, created_ms: at_ms, state: KeyState::Active };
        let (line, row) = (stored.line(), stored.row());
        self.keys.insert(prefix(&hash), stored);
        Ok((key, line, Write::Insert(API_KEYS, row)))
    }

    /// Enrols a gateway, or renames it.
    pub(super) fn add_gateway(
        &mut self,
        node_id: NodeId,
        name: String,
        at_ms: u64,
    ) -> Result<Vec<Write>, Refused> {
        if !self.gateways.contains_key(&node_id) {
            bounded(self.gateways.len(), PORTAL_GATEWAYS, "gateways")?;
        }
        let new = || Gateway { name: String::new(), created_ms: at_ms, payout_to: None };
        let gateway = self.gateways.entry(node_id).or_insert_with(new);
        gateway.name = name;
        Ok(alloc::vec![gateway.row(node_id)])
    }

    /// Where that gateway's fees go.
    pub(super) fn pays_gateway_to(&self, node_id: NodeId) -> Option<&str> {
        self.gateways.get(&node_id)?.payout_to.as_deref()
    }

    pub(super) fn pay_gateway_to(&mut self, node_id: NodeId, address: String) -> Result<Write, Refused> {
        self.enrolled(node_id)?;
        let gateway = self.gateways.get_mut(&node_id).ok_or_else(|| Refused::not_found("no such gateway"))?;
        gateway.payout_to = Some(address);
        Ok(gateway.row(node_id))
    }
}

impl Gateway {
    fn row(&self, node_id: NodeId) -> Write {
        let Self { name, created_ms, payout_to } = self;
        let (name, payout_to) = (name.clone(), payout_to.clone());
        let row = GatewayRow { node_id, name, payout_to, created_ms: *created_ms };
        Write::Put(GATEWAYS, Row::json(alloc::format!("{node_id}"), &row))
    }
}

fn stored_hash(digest: &Hash) -> blake3::Hash {
    blake3::hash(&digest.0)
}

fn prefix(hash: &blake3::Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// What an operator calls a key.
fn name(prefix: u64) -> String {
    alloc::format!("{prefix:016x}")
}

fn bounded(there: usize, most: usize, what: &str) -> Result<(), Refused> {
    match there < most {
        true => Ok(()),
        false => Err(Refused::unavailable(alloc::format!("this portal keeps at most {most} {what}"))),
    }
}

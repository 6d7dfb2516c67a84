//! Who is who: ed25519 keys, and the ids that people see in base58.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not an id: expected 32 bytes in base58, as `labmand id` prints it")]
pub struct BadId {
    pub given: String,
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; 32]);

        /// As of the bytes. Keys differ in their first ones: to look at these as a number is quicker, and maps compare ids all day.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> core::cmp::Ordering {
                let first = |id: &Self| id.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                first(self).cmp(&first(other)).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // 32 bytes are 44 digits at most.
                let mut text = [0; 44];
                let digits = bs58::encode(self.0).onto(text.as_mut_slice()).map_err(|_| fmt::Error)?;
                f.write_str(core::str::from_utf8(&text[..digits]).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let mut id = [0; 32];
                match bs58::decode(text).onto(&mut id) {
                    Ok(32) => Ok(Self(id)),
                    _ => Err(BadId { given: text.to_string() }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        crate::wire::cbor::bytes_newtype!($name, 32);
    };
}

id32!(
    /// A node's public key.
    NodeId
);
id32!(
    /// The public key by which a Front-End Portal is known and trusted: its root, which signs for nothing but its signing keys.
    FepId
);
id32!(
    /// The public key of a signing key, which a FEP's root certified for a time.
    FepKey
);

/// The first 8 bytes of a BLAKE3 key derived from the network's name: frames of another network are invalid here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetId(pub [u8; 8]);

impl NetId {
    pub fn of(name: &str) -> Self {
        let hash = blake3::derive_key("labman net 1", name.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        Self(id)
    }
}

/// Checks that `signature` over `message` was made with the key whose public half is `signer`.
pub type Verify = fn(signer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;

/// A network as its members see it: its id, and how signatures in it are checked.
#[derive(Clone, Copy)]
pub struct Network {
    pub id: NetId,
    verify: Verify,
}

impl Network {
    /// A network whose signatures are what they are everywhere but in a simulator: ed25519.
    pub fn of(name: &str) -> Self {
        Self { id: NetId::of(name), verify: verify_strict }
    }

    /// The one of that id, whatever its name.
    pub fn known_by(id: NetId, verify: Verify) -> Self {
        Self { id, verify }
    }

    pub(crate) fn verify(&self, signer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        (self.verify)(signer, message, signature)
    }
}

/// How a party makes signatures. The daemons' is ed25519; a simulator of thousands may take a cheaper one, and a replay
/// one that only repeats what was signed before.
pub trait Scheme: Send {
    fn public_key(&self) -> [u8; 32];
    fn sign(&self, message: &[u8]) -> [u8; 64];
    /// How everybody checks what [`Self::sign`] makes.
    fn verify(&self) -> Verify;
}

/// Who a machine is: its long-lived key, behind the scheme it signs by. Not `Debug`, not `Clone`.
pub struct Identity {
    scheme: Box<dyn Scheme>,
    public_key: [u8; 32],
}

impl Identity {
    /// From the 32 secret bytes of RFC 8032. The caller wipes its own copy.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self::signing_by(Box::new(Ed25519(SigningKey::from_bytes(secret))))
    }

    pub fn signing_by(scheme: Box<dyn Scheme>) -> Self {
        Self { public_key: scheme.public_key(), scheme }
    }

    /// The same, but each signature is shown to `witness` as it is made.
    pub fn witnessed_by(self, witness: impl Fn(&[u8; 64]) + Send + 'static) -> Self {
        Self::signing_by(Box::new(Witnessed { scheme: self.scheme, witness }))
    }

    pub fn node_id(&self) -> NodeId {
        NodeId(self.public_key)
    }

    pub fn fep_id(&self) -> FepId {
        FepId(self.public_key)
    }

    pub fn fep_key(&self) -> FepKey {
        FepKey(self.public_key)
    }

    /// The network of that name, whose members sign as we do.
    pub fn network(&self, name: &str) -> Network {
        Network { id: NetId::of(name), verify: self.scheme.verify() }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.scheme.sign(message)
    }
}

/// The key wipes itself when dropped.
struct Ed25519(SigningKey);

impl Scheme for Ed25519 {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    fn verify(&self) -> Verify {
        verify_strict
    }
}

struct Witnessed<W> {
    scheme: Box<dyn Scheme>,
    witness: W,
}

impl<W: Fn(&[u8; 64]) + Send> Scheme for Witnessed<W> {
    fn public_key(&self) -> [u8; 32] {
        self.scheme.public_key()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.scheme.sign(message);
        (self.witness)(&signature);
        signature
    }

    fn verify(&self) -> Verify {
        self.scheme.verify()
    }
}

/// Ed25519 as of RFC 8032, with small-order and malleable points refused.
pub fn verify_strict(signer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(signer)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_base58_and_a_mistyped_one_is_named() {
        let id = Identity::from_secret(&[7; 32]).node_id();
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        let error = "not-an-id".parse::<NodeId>().unwrap_err();
        assert!(error.to_string().contains("not-an-id"));
    }
}

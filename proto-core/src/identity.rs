//! Who is who: ed25519 keys, and the ids that people see in base58.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not an id: expected 32 bytes in base58, as `labmand id` prints it")]
pub struct BadId {
    pub given: String,
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&bs58::encode(self.0).into_string())
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
    /// A Front-End Portal's public key.
    FepId
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

/// A long-lived signing key. Not `Debug`, not `Clone`, wiped when dropped.
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// From the 32 secret bytes of RFC 8032. The caller wipes its own copy.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    pub fn node_id(&self) -> NodeId {
        NodeId(self.key.verifying_key().to_bytes())
    }

    pub fn fep_id(&self) -> FepId {
        FepId(self.key.verifying_key().to_bytes())
    }

    /// The secret, for the TLS layer, which must prove the same key.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// Signs `domain || parts...`.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// Strict verification (RFC 8032 with small-order and malleable points refused).
pub(crate) fn verify(signer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
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

//! What nodes subscribe to. A topic is a model's family: who wants to hear of `qwen` hears of all its sizes and versions,
//! and a mesh of many families costs each node what it is interested in.

use alloc::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::names::bare;
use crate::wire::cbor::hex_id;

hex_id!(
    /// A model family's topic. 8 bytes that follow from its name.
    Topic, 8
);

impl Topic {
    /// Of everything that is no family's matter.
    pub const NONE: Self = Self([0; 8]);

    /// The topic of a family, such as `qwen`.
    pub fn of_family(name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("labman topic 1");
        hasher.update(name.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(id)
    }

    /// The topic of a model under its bare name or its slug, `tenant:ep:model`.
    pub fn of_model(slug: &str) -> Self {
        Self::of_family(&family(slug))
    }
}

/// A model's family: the letters that its name begins with, in lower case, without a publisher's `name/` in front.
/// `Qwen/Qwen2.5-7B` and `home:gpu:qwen3:8b` are of `qwen`. A name that begins with no letter is of the nameless family.
pub fn family(slug: &str) -> alloc::string::String {
    let name = bare(slug).rsplit('/').next().unwrap_or_default();
    name.chars().take_while(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// What a node wants to hear of, or whom a record concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    All,
    These(BTreeSet<Topic>),
}

impl Topics {
    pub const fn none() -> Self {
        Self::These(BTreeSet::new())
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Self::These(topics) if topics.is_empty())
    }

    pub fn cover(&self, topic: &Topic) -> bool {
        match self {
            Self::All => true,
            Self::These(topics) => topics.contains(topic),
        }
    }

    /// Is there anything in both?
    pub fn meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, other) => !other.is_none(),
            (one, Self::All) => !one.is_none(),
            (Self::These(one), Self::These(other)) => one.iter().any(|topic| other.contains(topic)),
        }
    }

    /// The topic along whose tree a record spreads that concerns these.
    pub fn tree(&self) -> Topic {
        match self {
            Self::All => Topic::NONE,
            Self::These(topics) => topics.first().copied().unwrap_or(Topic::NONE),
        }
    }

    pub fn with(self, others: &Self) -> Self {
        match (self, others) {
            (Self::These(mut topics), Self::These(others)) => {
                topics.extend(others);
                Self::These(topics)
            }
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        Self::These(topics.into_iter().collect())
    }
}

/// For people: a list, or null for all.
impl serde::Serialize for Topics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_none(),
            Self::These(topics) => serializer.collect_seq(topics),
        }
    }
}

/// On the wire a list; absent, it is all.
impl<C> Encode<C> for Topics {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::All => encoder.null().map(|_| ()),
            Self::These(topics) => topics.encode(encoder, context),
        }
    }

    fn is_nil(&self) -> bool {
        *self == Self::All
    }
}

impl<'b, C> Decode<'b, C> for Topics {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let topics: Option<BTreeSet<Topic>> = Decode::decode(decoder, context)?;
        Ok(topics.map_or(Self::All, Self::These))
    }

    fn nil() -> Option<Self> {
        Some(Self::All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_what_a_model_s_name_begins_with() {
        for slug in ["qwen", "Qwen/Qwen2.5-7B-Instruct", "home:gpu:qwen3:8b", "qwen:7b", "hf.co/Qwen/QWEN3"] {
            assert_eq!(family(slug), "qwen", "{slug}");
        }
        assert_eq!(family("a:b:70b"), "");
        assert_eq!(family(""), "");
    }

    #[test]
    fn all_is_absent_on_the_wire_and_none_an_empty_list() {
        let some = Topics::These([Topic::of_family("qwen"), Topic::of_family("llama")].into());
        for topics in [Topics::All, Topics::none(), some] {
            let bytes = crate::wire::cbor::encode(&topics);
            assert_eq!(crate::wire::cbor::decode::<Topics>(&bytes).unwrap(), topics);
        }
    }
}

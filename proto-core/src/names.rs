//! Names of models: what a request asks for, and which offers serve it.
//!
//! ```text
//!   home:gpu:hf.co/Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M
//!   tenant ep |    publisher    model      format  quantisation
//!             '---------------- bare name ---------------------'
//! ```
//!
//! - A slug names one endpoint's model, and nothing else serves it.
//! - A bare name names a model, wherever it runs. Letter case, the format of its file and what is not said make no difference: without
//!   a publisher it is anybody's, without a quantisation any will do. What is said must be so.
//! - A gateway's operator may give names another meaning: [`Aliases`].
//!
//! The market counts what was served by its own name, and what nobody served by the name that was asked for: whoever would serve that
//! adds it to its own.
//!
//! What is absent: whether a quantisation is good enough, which is the user's to say (`provider.quantizations`).

mod quantisation;

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::ops::RangeInclusive;

use quantisation::Quantisation;
pub(crate) use quantisation::{LEVELS, Level};

use crate::identity::NodeId;

/// Names that users may ask for, and the names or slugs that then serve them, any of which will do.
pub type Aliases = BTreeMap<String, Vec<String>>;

/// What separates the parts of a name that may tell its quantisation.
const SEPARATORS: [char; 5] = ['-', ':', '.', '@', '_'];

/// Ends of names that tell how a model is stored, not which it is.
const FORMATS: [&str; 4] = ["gguf", "ggml", "mlx", "safetensors"];

/// The same where a quantisation follows.
const BEFORE_QUANTISATION: [&str; 4] = ["ud", "i1", "unsloth", "quantized"];

/// A quantisation may itself hold so many separators, as `Q4_0_4_4` does.
const IN_QUANTISATION: usize = 4;

/// Is it `tenant:ep:model`?
pub fn is_slug(name: &str) -> bool {
    model_at(name).is_some()
}

/// Where a slug's model begins: looked for in each offer of each request, so without a search for every colon anew.
fn model_at(name: &str) -> Option<usize> {
    name.bytes().enumerate().filter(|(_, byte)| *byte == b':').nth(1).map(|(at, _)| at + 1)
}

/// Does an offered slug serve what is asked for, where no alias says otherwise?
pub fn is_served_by(asked: &str, slug: &str) -> bool {
    Asked::of(asked, &Aliases::new()).is_served_by(slug)
}

/// The bare name in a slug, or a bare name itself.
pub(crate) fn bare(name: &str) -> &str {
    model_at(name).and_then(|at| name.get(at..)).unwrap_or(name)
}

/// Stands for a slug where much is known of each offer, and looked up for each request: a number is in memory where it is looked for, a
/// text somewhere else. Whoever finds two slugs of one key has them counted as one: they would be its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlugKey(u64);

impl SlugKey {
    pub(crate) fn of(slug: &str) -> Self {
        Self(
            blake3::hash(slug.as_bytes())
                .as_bytes()
                .first_chunk()
                .map_or(0, |first| u64::from_be_bytes(*first)),
        )
    }

    /// Where a map by node and slug has those of one node.
    pub(crate) const fn all_of(node_id: NodeId) -> RangeInclusive<(NodeId, Self)> {
        (node_id, Self(0))..=(node_id, Self(u64::MAX))
    }
}

/// The model alone, in lower case: the same for all that may serve each other's names.
pub(crate) fn model(bare: &str) -> String {
    Parts::of(bare).model.to_ascii_lowercase()
}

/// Of two bare names: does a model serve what is asked for?
pub(crate) fn asks_for(asked: &str, model: &str) -> bool {
    Name::Bare(asked, Parts::of(asked)).is_served(model)
}

/// How many bits a weight of it has, if its name tells.
pub(crate) fn level_of(slug: &str) -> Option<Level> {
    Parts::of(bare(slug)).quantisation.map(|quantisation| quantisation.level)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts<'a> {
    publisher: Option<&'a str>,
    model: &'a str,
    quantisation: Option<Quantisation<'a>>,
}

impl<'a> Parts<'a> {
    fn of(bare: &'a str) -> Self {
        let (publisher, mut model) = match bare.rsplit_once('/') {
            Some((before, model)) => (before.rsplit('/').next(), model),
            None => (None, bare),
        };
        let mut quantisation: Option<Quantisation<'_>> = None;
        while let Some((rest, last)) = cut(model) {
            let is = |other: &&str| last.eq_ignore_ascii_case(other);
            let is_tag = model.as_bytes().get(rest.len()) == Some(&b':');
            let is_format = FORMATS.iter().any(is)
                || quantisation.is_some() && BEFORE_QUANTISATION.iter().any(is)
                || is_tag && is(&"latest");
            match Quantisation::of(last) {
                Some(part) => quantisation = Some(part.before(quantisation)),
                None if is_format => {}
                None => break,
            }
            model = rest;
        }
        Self { publisher, model, quantisation }
    }

    fn serves(&self, asked: &Self) -> bool {
        self.model.eq_ignore_ascii_case(asked.model)
            && match (asked.publisher, self.publisher) {
                (Some(asked), Some(ours)) => asked.eq_ignore_ascii_case(ours),
                (None, _) | (_, None) => true,
            }
            && asked.quantisation.is_none_or(|asked| self.quantisation.is_some_and(|ours| ours.serves(asked)))
    }
}

/// The last part of a name, and what is before it: never nothing.
fn cut(name: &str) -> Option<(&str, &str)> {
    let parts = || name.char_indices().rev().filter(|(_, c)| SEPARATORS.contains(c)).take(IN_QUANTISATION);
    let at = |(at, _): (usize, char)| Some((name.get(..at)?, name.get(at + 1..)?));
    // The longest that is a quantisation: `K_M` and `M` tell nothing.
    let longest = parts().filter_map(at).filter(|(_, last)| Quantisation::of(last).is_some()).last();
    longest.or_else(|| parts().next().and_then(at)).filter(|(rest, _)| !rest.is_empty())
}

/// Looked at for each offer on the mesh, before a name is taken apart.
fn begins_with(offered: &str, model: &str) -> bool {
    let begin = offered.rsplit('/').next().and_then(|name| name.get(..model.len()));
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(model))
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a>(Vec<Name<'a>>);

#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    Slug(&'a str),
    Bare(&'a str, Parts<'a>),
}

impl Name<'_> {
    /// By a model of that bare name.
    fn is_served(&self, offered: &str) -> bool {
        match self {
            Name::Slug(_) => false,
            Name::Bare(asked, parts) => {
                *asked == offered || begins_with(offered, parts.model) && Parts::of(offered).serves(parts)
            }
        }
    }
}

impl<'a> Asked<'a> {
    pub(crate) fn of(name: &'a str, aliases: &'a Aliases) -> Self {
        let parsed = |name: &'a str| {
            if is_slug(name) { Name::Slug(name) } else { Name::Bare(name, Parts::of(name)) }
        };
        match aliases.get(name) {
            Some(names) => Self(names.iter().map(|name| parsed(name)).collect()),
            None => Self([parsed(name)].to_vec()),
        }
    }

    /// May an offer of that bare name serve it? Where a slug is asked for, that must be looked at, too.
    pub(crate) fn may_be(&self, offered: &str) -> bool {
        self.0.iter().any(|name| match name {
            Name::Slug(asked) => bare(asked) == offered,
            Name::Bare(..) => name.is_served(offered),
        })
    }

    pub(crate) fn names_a_slug(&self) -> bool {
        self.0.iter().any(|name| matches!(name, Name::Slug(_)))
    }

    /// Does an offered slug serve it?
    pub(crate) fn is_served_by(&self, slug: &str) -> bool {
        self.0.iter().any(|name| match name {
            Name::Slug(asked) => *asked == slug,
            Name::Bare(..) => name.is_served(bare(slug)),
        })
    }

    /// The name by which it is counted where nobody serves it.
    pub(crate) fn first(&self) -> &'a str {
        self.0.first().map_or("", |name| match name {
            Name::Slug(name) | Name::Bare(name, _) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    fn serves(asked: &str, slug: &str) -> bool {
        Asked::of(asked, &Aliases::new()).is_served_by(slug)
    }

    #[test]
    fn a_bare_name_matches_any_tenant_and_a_slug_only_itself() {
        assert!(serves("home:gpu:qwen", "home:gpu:qwen"));
        assert!(serves("qwen", "home:gpu:qwen"));
        assert!(serves("qwen:7b", "home:gpu:qwen:7b"));
        assert!(serves("home:gpu:qwen:7b", "home:gpu:qwen:7b"));
        assert!(!serves("gpu:qwen", "home:gpu:qwen"));
        assert!(!serves("away:gpu:qwen", "home:gpu:qwen"));
        assert!(!serves("home:gpu:qwen", "home:gpu:qwen-q4_0"));
    }

    #[test]
    fn every_runtime_s_way_to_name_a_model_is_understood() {
        for (name, publisher, model, level) in [
            ("qwen2.5:7b-instruct-q4_K_M", None, "qwen2.5:7b-instruct", Some("int4")),
            ("qwen2.5:7b", None, "qwen2.5:7b", None),
            ("llama3.2:latest", None, "llama3.2", None),
            ("mistral-large-latest", None, "mistral-large-latest", None),
            ("Qwen/Qwen2.5-7B-Instruct", Some("Qwen"), "Qwen2.5-7B-Instruct", None),
            ("Qwen/Qwen2.5-7B-Instruct-AWQ", Some("Qwen"), "Qwen2.5-7B-Instruct", Some("int4")),
            ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", Some("Qwen"), "Qwen2.5-7B-Instruct", Some("int8")),
            ("RedHatAI/Llama-3.3-70B-FP8", Some("RedHatAI"), "Llama-3.3-70B", Some("fp8")),
            ("RedHatAI/Llama-3.3-70B-quantized.w4a16", Some("RedHatAI"), "Llama-3.3-70B", Some("int4")),
            ("hf.co/bartowski/Llama-3.2-3B-GGUF:IQ3_XXS", Some("bartowski"), "Llama-3.2-3B", Some("int3")),
            ("DeepSeek-R1-UD-IQ1_S.gguf", None, "DeepSeek-R1", Some("int1")),
            ("stories260K.Q8_0.gguf", None, "stories260K", Some("int8")),
            ("Llama-3.2-1B.Q4_0_4_4.gguf", None, "Llama-3.2-1B", Some("int4")),
            ("unsloth/mistral-7b-unsloth-bnb-4bit", Some("unsloth"), "mistral-7b", Some("int4")),
            ("mistral-7b-8bit-GPTQ", None, "mistral-7b", Some("int8")),
            ("mistral-7b-W8A16-AWQ", None, "mistral-7b", Some("int8")),
            ("mistral-7b-BF16-Q4_K_M", None, "mistral-7b", Some("int4")),
            ("gemma-3-4b-it", None, "gemma-3-4b-it", None),
            ("phi-4", None, "phi-4", None),
            ("gpt-oss-20b-MXFP4", None, "gpt-oss-20b", Some("fp4")),
            ("sales-q3", None, "sales-q3", None),
            ("bar_q4_report", None, "bar_q4_report", None),
            ("q4_0", None, "q4_0", None),
            ("-gguf", None, "-gguf", None),
            ("\u{e9}-q4_\u{e9}", None, "\u{e9}-q4_\u{e9}", None),
            ("", None, "", None),
        ] {
            let parts = Parts::of(name);
            assert_eq!((parts.publisher, parts.model), (publisher, model), "{name}");
            assert_eq!(level_of(name).map(Level::name), level, "{name}");
        }
    }

    #[test]
    fn without_a_quantisation_any_will_do_and_what_is_said_must_be_so() {
        for (asked, offered, does) in [
            ("qwen2.5:7b", "qwen2.5:7b-q4_K_M", true),
            ("QWEN2.5:7B", "qwen2.5:7b-q4_K_M", true),
            ("qwen2.5:7b-q4_k_m", "qwen2.5:7b-q4_K_M", true),
            ("qwen2.5:7b-q4_0", "qwen2.5:7b-q4_K_M", false),
            ("qwen2.5:7b-q4_0", "qwen2.5:7b", false),
            ("qwen2.5:7b-int4", "qwen2.5:7b-q4_K_M", true),
            ("qwen2.5:7b-4bit", "qwen2.5:7b-AWQ", true),
            ("qwen2.5:7b-f16", "qwen2.5:7b-fp16", true),
            ("qwen2.5:7b-int8", "qwen2.5:7b-q4_K_M", false),
            ("qwen2.5-7b-GPTQ-Int4", "qwen2.5-7b-Q4_K_M", false),
            ("qwen2.5-7b-GPTQ", "qwen2.5-7b-GPTQ-Int4", true),
            ("qwen2.5-7b-GPTQ", "qwen2.5-7b-GPTQ-Int8", false),
            ("qwen2.5-7b-int4", "qwen2.5-7b-GPTQ-Int4", true),
            ("qwen2.5:7b", "qwen2.5:14b", false),
            ("qwen2.5", "qwen2.5:7b", false),
            ("Qwen2.5-7B", "Qwen/Qwen2.5-7B-AWQ", true),
            ("Qwen/Qwen2.5-7B", "qwen2.5-7b.Q8_0.gguf", true),
            ("Qwen/Qwen2.5-7B", "evil/Qwen2.5-7B", false),
        ] {
            assert_eq!(serves(asked, &format!("home:gpu:{offered}")), does, "{asked} by {offered}");
        }
    }

    #[test]
    fn an_alias_stands_for_any_of_its_names_and_not_for_itself() {
        let aliases = Aliases::from([("fast".into(), vec!["qwen".into(), "home:gpu:llama".into()])]);
        let asked = Asked::of("fast", &aliases);
        assert!(asked.is_served_by("away:gpu:qwen-q4_0"));
        assert!(asked.is_served_by("home:gpu:llama"));
        assert!(!asked.is_served_by("away:gpu:llama"));
        assert!(!asked.is_served_by("home:gpu:fast"));
        assert_eq!(asked.first(), "qwen");
    }

    #[test]
    fn whoever_serves_a_name_hears_of_all_that_is_asked_for_by_it() {
        assert!(asks_for("qwen", "qwen-q4_0"));
        assert!(!asks_for("qwen-q4_0", "qwen"));
        // A runtime may call its model what looks like a slug.
        assert!(asks_for("localhost:5000/lib/qwen:7b", "localhost:5000/lib/qwen:7b"));
    }
}

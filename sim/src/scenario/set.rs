//! Changes to a scenario's document before it is read: `fep.fees.fep_bps=50`.
//!
//! A path goes into a table by key and into a list by number, from 0. What is absent: any knowledge of which keys there
//! are. Keys are made as they are named, and the reading that follows refuses the unknown ones. Lists do not grow.
//!
//! One path leads to no value: `variant.name=two` makes all changes of the scenario's variant of that name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use toml::{Table, Value};

use super::load::{blame, read};
use super::{Scenario, parse};
use crate::again::quoted;

/// What a scenario is called among its variants.
pub const BASE: &str = "base";

/// The path whose value says which of the scenario's variants it becomes.
pub const VARIANT: &str = "variant.name";

/// What a reading says that wanted a text.
const WANTS_TEXT: [&str; 2] = ["expected a string", "money is a text"];

/// A scenario's file as it was read, to be changed in different ways.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    text: String,
    root: Value,
}

/// A scenario that came of a document and some changes.
#[derive(Clone, Debug)]
pub struct Changed {
    pub scenario: Scenario,
    /// Of the document after the changes, 16 hex digits of BLAKE3: keys are sorted and comments are gone, so it depends on
    /// what the document says and not on how it was laid out.
    pub hash: String,
}

/// One value, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    path: String,
    /// As it was written: TOML, or what is meant as a string.
    value: String,
}

impl Document {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = read(path).map_err(|bad| bad.to_string())?;
        Self::new(path.display().to_string(), text)
    }

    /// `file` is what errors call it.
    pub fn new(file: String, text: String) -> Result<Self, String> {
        match toml::from_str::<Table>(&text) {
            Ok(table) => Ok(Self { file, text, root: Value::Table(table) }),
            // A scenario's errors have the line.
            Err(error) => {
                Err(parse(&file, &text).err().unwrap_or_else(|| blame(&file, &text, &error)).to_string())
            }
        }
    }

    /// What its file is called, wherever it lies.
    pub(crate) fn file_name(&self) -> String {
        Path::new(&self.file).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// As it was read, with its comments.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The scenario after these changes, made in their order.
    pub fn with(&self, sets: &[Set]) -> Result<Changed, String> {
        let root = self.changed(sets)?;
        let text = toml::to_string(&root).map_err(|error| format!("{}: {error}", self.file))?;
        let scenario = match sets {
            [] => parse(&self.file, &self.text).map_err(|bad| bad.to_string())?,
            _ => parse(&self.file, &text).map_err(|bad| self.blame(sets, &bad.what))?,
        };
        let hash = blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        Ok(Changed { scenario, hash })
    }

    /// The document after these changes, read by nobody yet.
    ///
    /// # Errors
    /// If one can't be made.
    pub(crate) fn changed(&self, sets: &[Set]) -> Result<Value, String> {
        let mut root = self.root.clone();
        for set in sets {
            set.apply(&mut root).map_err(|why| format!("{}: {why}", self.file))?;
        }
        Ok(root)
    }

    /// Those of these changes that do not stand, by number, each with the later one that undid it: made once more, they would change
    /// something.
    ///
    /// # Errors
    /// If one can't be made.
    pub fn undone(&self, sets: &[Set]) -> Result<Vec<(usize, usize)>, String> {
        let stands = |set: &Set, root: &Value| {
            let mut again = root.clone();
            set.apply(&mut again).map(|()| again == *root)
        };
        let last = self.changed(sets)?;
        let mut undone = Vec::new();
        for (at, set) in sets.iter().enumerate() {
            if stands(set, &last)? {
                continue;
            }
            let mut root = self.changed(&sets[..=at])?;
            for (by, later) in sets.iter().enumerate().skip(at + 1) {
                later.apply(&mut root)?;
                if !stands(set, &root)? {
                    undone.push((at, by));
                    break;
                }
            }
        }
        Ok(undone)
    }

    /// What the scenario compares, after these changes: itself as [`BASE`], and its variants by name.
    ///
    /// # Errors
    /// A variant that changes what is not there, or to what can't be.
    pub fn variants(&self, sets: &[Set]) -> Result<Vec<(String, Changed)>, String> {
        let base = self.with(sets)?;
        let named = |super::Variant { name, .. }: &super::Variant| {
            Ok((name.clone(), self.with(&[sets, &[Set::variant(name)]].concat())?))
        };
        let others: Vec<(String, Changed)> =
            base.scenario.variants.iter().map(named).collect::<Result<_, String>>()?;
        Ok([vec![(BASE.into(), base)], others].concat())
    }

    /// The changed document has lines that nobody has seen. What is wrong in the file itself gets the file's line; the rest
    /// is due to the changes.
    fn blame(&self, sets: &[Set], what: &str) -> String {
        match parse(&self.file, &self.text) {
            Err(bad) if bad.what == what => bad.to_string(),
            Ok(_) | Err(_) => {
                let changes: String = sets.iter().map(|set| format!(" {}", self.told(set))).collect();
                let all = sets.iter().flat_map(|set| self.single(set)).collect::<Vec<Set>>();
                let remedy = all.iter().rev().find_map(|set| set.remedy(what)).unwrap_or_default();
                format!("{} with{changes}: {what}{remedy}", self.file)
            }
        }
    }

    /// A change, or all those of a variant.
    fn single(&self, set: &Set) -> Vec<Set> {
        let of = |name| changes_of(&self.root, name).unwrap_or_default();
        let sets = |name| of(name).iter().filter_map(|set| set.parse().ok()).collect();
        set.as_variant().map_or_else(|| vec![set.clone()], sets)
    }

    /// A change as whoever reads an error knows it. Of a variant that is what it sets: its name alone leads to no value.
    fn told(&self, set: &Set) -> String {
        match set.as_variant().filter(|name| *name != BASE) {
            None => format!("--set {set}"),
            Some(name) => {
                let sets = changes_of(&self.root, name).unwrap_or_default();
                format!("variant {name} ({})", sets.join(", "))
            }
        }
    }
}

impl Set {
    pub fn new(path: &str, value: &str) -> Result<Self, String> {
        match path.split('.').any(|key| key.trim() != key || key.is_empty()) {
            true => Err(format!("{path:?} is no path: write keys and numbers with dots between")),
            false => Ok(Self { path: path.into(), value: value.into() }),
        }
    }

    /// All that the scenario's variant of this name changes.
    pub fn variant(name: &str) -> Self {
        Self { path: VARIANT.into(), value: name.into() }
    }

    /// Where the value goes.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The variant that it makes of the scenario.
    fn as_variant(&self) -> Option<&str> {
        (self.path == VARIANT).then(|| self.value.trim_matches('"'))
    }

    /// An error names the change, and the variant whose it is.
    fn apply(&self, root: &mut Value) -> Result<(), String> {
        let typed = |why| format!("--set {self}: {why}");
        let Some(name) = self.as_variant() else { return self.put(root).map_err(typed) };
        for set in changes_of(root, name).map_err(typed)? {
            let named = |why| format!("variant {name}: {set}: {why}");
            set.parse::<Self>().and_then(|set| set.put(root)).map_err(named)?;
        }
        Ok(())
    }

    /// How to write the value, if it was taken for something else than a text, or for one, and `what` is wrong for that.
    fn remedy(&self, what: &str) -> Option<String> {
        let Self { path, value } = self;
        what.strip_prefix(path.rsplit('.').next()?)?.strip_prefix(": ")?;
        match value.parse::<Value>() {
            Err(_) if value.starts_with(['{', '[']) => Some(
                "; it is no TOML, and so was taken for a text: texts within it stand in quotes, as in \
                 'latency.mesh={ constant = \"20ms\" }'"
                    .into(),
            ),
            Ok(Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_))
                if WANTS_TEXT.iter().any(|wants| what.contains(wants)) =>
            {
                let written = quoted(&format!("{path}=\"{value}\""));
                Some(format!("; write a text in quotes, and those within others for the shell: {written}"))
            }
            Ok(_) | Err(_) => None,
        }
    }

    fn put(&self, root: &mut Value) -> Result<(), String> {
        let (mut place, mut passed) = (root, String::new());
        for key in self.path.split('.') {
            place = step(place, &passed, key)?;
            passed = if passed.is_empty() { key.into() } else { format!("{passed}.{key}") };
        }
        *place = self.value_for(place);
        Ok(())
    }

    /// What is a string in the file stays one, so that an amount of money can be written without quotes.
    fn value_for(&self, present: &Value) -> Value {
        match self.value.parse::<Value>() {
            Ok(value @ (Value::String(_) | Value::Table(_) | Value::Array(_))) => value,
            Ok(value) if !present.is_str() => value,
            Ok(_) | Err(_) => Value::String(self.value.clone()),
        }
    }
}

/// What the variant of this name sets.
fn changes_of(root: &Value, name: &str) -> Result<Vec<String>, String> {
    let variants = root.get("variant").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let called = |variant: &Value| variant.get("name").and_then(text);
    if name == BASE {
        return Ok(Vec::new());
    }
    let Some(variant) = variants.iter().find(|variant| called(variant).as_deref() == Some(name)) else {
        let there: Vec<String> = variants.iter().filter_map(called).collect();
        return Err(format!(
            "there is no such variant, only {}",
            [vec![BASE.into()], there].concat().join(", ")
        ));
    };
    let sets = variant.get("set").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // What is no text is refused by the reading that follows.
    Ok(sets.iter().filter_map(text).collect())
}

/// Goes from the place at `path` to the one that `key` names in it, which is made if it is a table's. An error tells the last
/// of the path only: it stands behind the whole.
fn step<'a>(place: &'a mut Value, path: &str, key: &str) -> Result<&'a mut Value, String> {
    let last = path.rsplit('.').find(|key| !is_number(key)).unwrap_or_default();
    match place {
        Value::Table(_) if is_number(key) => Err(format!("the file has no list {last:?}")),
        Value::Table(table) => Ok(table.entry(key).or_insert_with(|| Value::Table(Table::new()))),
        Value::Array(list) => {
            let many = list.len();
            let index: usize = key
                .parse()
                .map_err(|_| format!("{last} is a list of {many}: say which, {last}.0 for the first"))?;
            list.get_mut(index).ok_or_else(|| format!("{last}: there are {many}, counted from 0"))
        }
        _ => Err(format!("{last} is a plain value, there is no {key:?} in it")),
    }
}

fn is_number(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("write path=value")?;
        Self::new(path.trim(), value.trim())
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::latency::Latency;
    use labman_proto_core::time::Span;

    const SMALL: &str = r#"name = "small"
duration = "1m"
[fep]
name = "fep"
[[gateway]]
name = "gateway"
[[provider]]
name = "provider"
tenant = "acme"
[[provider.portman]]
ep = "box"
model = "toy"
price = { output_per_mtok = "0.50" }
[[user]]
name = "ada"
deposit = "5"
"#;

    fn with(sets: &[&str]) -> Result<Changed, String> {
        let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
        Document::new("small.toml".into(), SMALL.into())?.with(&sets)
    }

    #[test]
    fn a_value_goes_where_its_path_leads_be_it_in_the_file_or_not() {
        let scenario = with(&[
            "fep.fees.fep_bps=50",
            "provider.0.portman.0.slots=9",
            "latency.mesh={ constant = \"20ms\" }",
            "duration=5m",
            "user.0.deposit=7",
            "provider.0.portman.0.price.output_per_mtok=2",
        ])
        .unwrap()
        .scenario;
        assert_eq!(scenario.fep.fees.fep_bps, 50);
        assert_eq!(scenario.providers[0].portmans[0].slots, 9);
        assert_eq!(scenario.latency.mesh, Latency::Constant(Span::from_millis(20)));
        assert_eq!(scenario.duration, Span::from_secs(300));
        assert_eq!(scenario.users[0].deposit.0, 7_000_000);
        assert_eq!(scenario.providers[0].portmans[0].price.output_per_mtok.0, 2_000_000);
    }

    #[test]
    fn a_variant_is_taken_by_its_name_and_others_may_change_it_further() {
        let text =
            format!("{SMALL}[[variant]]\nname = \"two\"\nset = [\"duration=2m\", \"provider.0.count=2\"]\n");
        let document = Document::new("small.toml".into(), text).unwrap();
        let with = |sets: &[&str]| {
            let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
            let scenario = document.with(&sets)?.scenario;
            Ok::<_, String>((scenario.duration.as_millis() / 60_000, scenario.providers.len()))
        };
        assert_eq!(with(&["variant.name=two"]), Ok((2, 2)));
        assert_eq!(with(&["variant.name=two", "duration=5m"]), Ok((5, 2)));
        assert_eq!(with(&["variant.name=base"]), Ok((1, 1)));
        let error = with(&["variant.name=three"]).unwrap_err();
        assert_eq!(error, "small.toml: --set variant.name=three: there is no such variant, only base, two");
    }

    #[test]
    fn a_variant_s_mistake_is_told_with_its_name_and_its_path_once() {
        let error = |set: &str, chosen: &[Set]| {
            let text = format!("{SMALL}[[variant]]\nname = \"two\"\nset = [\"{set}\"]\n");
            Document::new("small.toml".into(), text).unwrap().with(chosen).unwrap_err()
        };
        let two = Set::variant("two");
        assert_eq!(
            error("provider.0.portmann.0.slots=2", std::slice::from_ref(&two)),
            "small.toml: variant two: provider.0.portmann.0.slots=2: the file has no list \"portmann\""
        );
        assert_eq!(
            error("provider.7.tenant=x", std::slice::from_ref(&two)),
            "small.toml: variant two: provider.7.tenant=x: provider: there are 1, counted from 0"
        );
        let value = error("provider.0.portman.0.slots=lots", &["duration=5m".parse().unwrap(), two]);
        let wanted =
            "small.toml with --set duration=5m variant two (provider.0.portman.0.slots=lots): slots: invalid";
        assert!(value.starts_with(wanted), "{value}");
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused_with_what_there_is() {
        let error = |set: &str| with(&["duration=5m", set]).unwrap_err();
        let key = error("fep.fees.fep_pbs=50");
        assert!(
            key.starts_with(
                "small.toml with --set duration=5m --set fep.fees.fep_pbs=50: fep_pbs: unknown field"
            ) && key.contains("`fep_bps`"),
            "{key}"
        );
        let index = error("provider.2.tenant=x");
        assert_eq!(index, "small.toml: --set provider.2.tenant=x: provider: there are 1, counted from 0");
        let which = error("provider.tenant=x");
        assert!(which.ends_with("provider is a list of 1: say which, provider.0 for the first"), "{which}");
        assert!(error("job.0.prompt=x").ends_with("the file has no list \"job\""));
        assert!(error("duration.x=1").ends_with("duration is a plain value, there is no \"x\" in it"));
        let kind = error("duration=60 parsecs");
        assert!(kind.contains(": duration: \"60 parsecs\" is no length of time"), "{kind}");
        assert!(error("network={ a = 1 }").contains("invalid type"));
        assert!("duration".parse::<Set>().unwrap_err().contains("path=value"));
        assert!("fep..name=x".parse::<Set>().unwrap_err().contains("is no path"));
    }

    #[test]
    fn a_text_that_is_taken_for_something_else_is_told_how_to_quote_it() {
        let error = |set: &str| with(&[set]).unwrap_err();
        let number = error("network=1");
        assert!(number.ends_with("within others for the shell: 'network=\"1\"'"), "{number}");
        // It is absent from the file, so nobody knows that it is a text.
        let money = error("provider.0.portman.0.price.per_request=0.5");
        assert!(money.ends_with(": 'provider.0.portman.0.price.per_request=\"0.5\"'"), "{money}");
        for bare in ["latency.mesh={ constant = 20ms }", "gateway.0.families=[qwen]"] {
            let bare = error(bare);
            assert!(bare.ends_with("as in 'latency.mesh={ constant = \"20ms\" }'"), "{bare}");
        }
        let text = format!("{SMALL}[[variant]]\nname = \"two\"\nset = [\"network=1\"]\n");
        let document = Document::new("small.toml".into(), text).unwrap();
        let variant = document.with(&[Set::variant("two")]).unwrap_err();
        assert!(variant.ends_with("'network=\"1\"'"), "{variant}");
        for another in ["provider.0.portman.0.slots=lots", "duration=5", "network={ a = 1 }", "fep.fee=1"] {
            let another = error(another);
            assert!(!another.contains("quotes"), "{another}");
        }
    }

    #[test]
    fn a_mistake_of_the_file_s_own_keeps_the_file_s_line() {
        let text = SMALL.replace("tenant =", "tenent =");
        let document = Document::new("small.toml".into(), text).unwrap();
        for sets in [vec![], vec!["duration=5m".parse().unwrap()]] {
            let error = document.with(&sets).unwrap_err();
            assert!(error.starts_with("small.toml:9: tenent: unknown field"), "{error}");
        }
        let error = Document::new("small.toml".into(), "name = \"x\nduration = 3".into()).unwrap_err();
        assert!(error.starts_with("small.toml:1: "), "{error}");
    }

    #[test]
    fn the_hash_depends_on_what_the_document_says_and_not_on_its_layout() {
        let hash = |text: &str| Document::new("x".into(), text.into()).unwrap().with(&[]).unwrap().hash;
        let same = SMALL.replace("duration = \"1m\"", "# A comment.\nduration   = '1m'");
        assert_eq!(hash(SMALL), hash(&same));
        assert_ne!(hash(SMALL), with(&["duration=5m"]).unwrap().hash);
        assert_eq!(hash(SMALL), with(&["duration=1m"]).unwrap().hash);
    }
}

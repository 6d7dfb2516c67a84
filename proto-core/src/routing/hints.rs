//! A user's `provider` object, in the form that users of OpenRouter know: whom to try, whom not, at what price.

use alloc::{format, string::String, string::ToString, vec::Vec};

use serde_json::{Map, Value};

use crate::economics::{Fees, Price, Rate, dearest};
use crate::identity::NodeId;
use crate::limits::HINT_NAMES;
use crate::money::Micros;
use crate::names::{LEVELS, Level, level_of};
use crate::openai::error::ApiError;

/// The level of a model whose name tells none.
const UNKNOWN: &str = "unknown";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// Tried first, in this order.
    pub(crate) order: Vec<String>,
    /// Nobody else; empty: anybody.
    pub(crate) only: Vec<String>,
    pub(crate) ignore: Vec<String>,
    /// Levels of quantisation, by their names; empty: any. `unknown`: where the model's name tells none.
    quantizations: Vec<String>,
    pub(crate) sort: Option<Sort>,
    pub(crate) max_price: Option<MaxPrice>,
    /// One provider is named, and nobody takes its place.
    pub(crate) no_fallbacks: bool,
    /// Nobody serves a request of which something would be left out.
    pub(crate) require_parameters: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Price,
    Throughput,
    Latency,
}

/// What the user pays at most, fees included, in units of the FEP's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MaxPrice {
    /// Per million input tokens.
    prompt: Option<Micros>,
    /// Per million output tokens.
    completion: Option<Micros>,
    request: Option<Micros>,
}

impl Hints {
    /// # Errors
    ///
    /// Says which key of the object is wrong.
    pub(crate) fn parse(value: Option<&Value>) -> Result<Self, ApiError> {
        let fields = match value {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(ApiError::bad_param("provider", "`provider` must be an object.")),
        };
        let mut hints = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "order" => hints.order = names(name, value)?,
                "only" => hints.only = names(name, value)?,
                "ignore" => hints.ignore = names(name, value)?,
                "quantizations" => hints.quantizations = levels(name, value)?,
                "sort" => hints.sort = sort(value)?,
                "max_price" => hints.max_price = max_price(value)?,
                "allow_fallbacks" => hints.no_fallbacks = !flag(name, value)?,
                "require_parameters" => hints.require_parameters = flag(name, value)?,
                _ => {
                    let known = "order, only, ignore, quantizations, sort, max_price, allow_fallbacks or require_parameters";
                    return Err(wrong(name, &format!("is not known here: write {known}")));
                }
            }
        }
        Ok(hints)
    }

    pub(crate) fn quantised_as_wanted(&self, slug: &str) -> bool {
        if self.quantizations.is_empty() {
            return true;
        }
        let level = level_of(slug).map_or(UNKNOWN, Level::name);
        self.quantizations.iter().any(|wanted| wanted == level)
    }

    /// Is that provider among these? By its id, its tenant, `tenant:ep` or the whole slug.
    pub(crate) fn names(list: &[String], provider: &NodeId, slug: &str) -> Option<usize> {
        if list.is_empty() {
            return None;
        }
        let id = provider.to_string();
        let mut parts = slug.splitn(3, ':');
        let tenant = parts.next().unwrap_or_default();
        let endpoint = parts.next().map(|ep| format!("{tenant}:{ep}"));
        let is_it = |name: &String| {
            name == slug || name == tenant || *name == id || endpoint.as_ref().is_some_and(|ep| ep == name)
        };
        list.iter().position(is_it)
    }
}

impl MaxPrice {
    /// Would a user pay no more than this, for each million tokens and for the request?
    pub(crate) fn allows(&self, price: &Price, fees: &Fees, rate: Rate) -> bool {
        let per_request = Price { per_request: price.per_request, ..Price::default() };
        let tokens = Price { per_request: Micros::ZERO, ..*price };
        let within = |most: Option<Micros>, price: &Price, input, output| {
            most.is_none_or(|most| {
                dearest(price, fees, rate, input, output).is_some_and(|bill| bill.charge <= most)
            })
        };
        within(self.prompt, &tokens, 1_000_000, 0)
            && within(self.completion, &tokens, 0, 1_000_000)
            && within(self.request, &per_request, 0, 0)
    }
}

fn names(field: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    let list = value.as_array().filter(|list| list.len() <= HINT_NAMES);
    let list = list.ok_or_else(|| wrong(field, &format!("must be a list of at most {HINT_NAMES} names")))?;
    let name = |name: &Value| name.as_str().map(ToString::to_string);
    list.iter().map(name).collect::<Option<_>>().ok_or_else(|| wrong(field, "must hold names only"))
}

fn levels(field: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    let names = names(field, value)?;
    if names.iter().all(|name| name == UNKNOWN || LEVELS.contains(&name.as_str())) {
        return Ok(names);
    }
    Err(wrong(field, &format!("must hold levels: {} or {UNKNOWN}", LEVELS.join(", "))))
}

fn sort(value: &Value) -> Result<Option<Sort>, ApiError> {
    match value.as_str() {
        Some("price") => Ok(Some(Sort::Price)),
        Some("throughput") => Ok(Some(Sort::Throughput)),
        Some("latency") => Ok(Some(Sort::Latency)),
        None if value.is_null() => Ok(None),
        _ => Err(wrong("sort", "must be `price`, `throughput` or `latency`")),
    }
}

fn max_price(value: &Value) -> Result<Option<MaxPrice>, ApiError> {
    let fields: &Map<String, Value> = match value {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        _ => return Err(wrong("max_price", "must be an object")),
    };
    let mut most = MaxPrice::default();
    for (name, value) in fields {
        let field = match name.as_str() {
            "prompt" => &mut most.prompt,
            "completion" => &mut most.completion,
            "request" => &mut most.request,
            _ => {
                return Err(wrong(
                    &format!("max_price.{name}"),
                    "is not known: prompt, completion or request",
                ));
            }
        };
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => String::new(),
        };
        let amount: Option<Micros> = text.parse().ok().filter(|amount: &Micros| amount.0 >= 0);
        let what = "must be an amount with at most six decimals, not below 0";
        *field = Some(amount.ok_or_else(|| wrong(&format!("max_price.{name}"), what))?);
    }
    Ok(Some(most))
}

fn flag(field: &str, value: &Value) -> Result<bool, ApiError> {
    value.as_bool().ok_or_else(|| wrong(field, "must be true or false"))
}

fn wrong(field: &str, what: &str) -> ApiError {
    ApiError::bad_param(format!("provider.{field}"), format!("`provider.{field}` {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |value: Value| Hints::parse(Some(&value)).unwrap_err();
        for (value, param) in [
            (json!("cheap"), "provider"),
            (json!({ "order": "a" }), "provider.order"),
            (json!({ "only": [1] }), "provider.only"),
            (json!({ "ignore": alloc::vec!["x"; HINT_NAMES + 1] }), "provider.ignore"),
            (json!({ "sort": "mood" }), "provider.sort"),
            (json!({ "max_price": 1 }), "provider.max_price"),
            (json!({ "max_price": { "prompt": -1 } }), "provider.max_price.prompt"),
            (json!({ "max_price": { "image": 1 } }), "provider.max_price.image"),
            (json!({ "max_price": { "completion": "1.0000001" } }), "provider.max_price.completion"),
            (json!({ "allow_fallbacks": 1 }), "provider.allow_fallbacks"),
            (json!({ "quantizations": ["q4_0"] }), "provider.quantizations"),
            (json!({ "data_collection": "deny" }), "provider.data_collection"),
        ] {
            let error = wrong(value);
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)));
        }
    }

    #[test]
    fn nothing_said_is_nothing_wanted() {
        assert_eq!(Hints::parse(None).unwrap(), Hints::default());
        assert_eq!(
            Hints::parse(Some(&json!({ "sort": null, "max_price": null }))).unwrap(),
            Hints::default()
        );
        assert!(Hints::parse(Some(&json!({ "allow_fallbacks": false }))).unwrap().no_fallbacks);
    }

    #[test]
    fn a_provider_is_named_by_its_id_its_tenant_its_endpoint_or_its_slug() {
        let provider = NodeId([7; 32]);
        for name in [provider.to_string().as_str(), "acme", "acme:gpu", "acme:gpu:qwen:7b"] {
            assert_eq!(Hints::names(&["x".into(), name.into()], &provider, "acme:gpu:qwen:7b"), Some(1));
        }
        for name in ["gpu", "qwen:7b", "acm", ""] {
            assert_eq!(Hints::names(&[name.into()], &provider, "acme:gpu:qwen:7b"), None);
        }
    }

    #[test]
    fn a_quantisation_is_told_by_the_model_s_name() {
        let wanted = |levels: Value| Hints::parse(Some(&json!({ "quantizations": levels }))).unwrap();
        for (levels, name, does) in [
            (json!([]), "qwen", true),
            (json!(["int8", "fp16"]), "qwen-Q8_0.gguf", true),
            (json!(["int8", "fp16"]), "qwen-q4_k_m", false),
            (json!(["int8"]), "qwen", false),
            (json!(["unknown"]), "qwen", true),
            (json!(["unknown"]), "qwen-awq", false),
        ] {
            let slug = format!("home:gpu:{name}");
            assert_eq!(wanted(levels.clone()).quantised_as_wanted(&slug), does, "{levels} {name}");
        }
    }

    #[test]
    fn the_most_that_is_paid_includes_fees_and_the_rate() {
        let price = Price {
            input_per_mtok: Micros(1_000_000),
            output_per_mtok: Micros(2_000_000),
            per_request: Micros(100),
            ..Price::default()
        };
        let most = |value: Value| max_price(&value).unwrap().unwrap();
        let fees = Fees { fep_bps: 500, gateway_bps: 500 };
        assert!(most(json!({ "prompt": 1, "completion": "2.0" })).allows(
            &price,
            &Fees::default(),
            Rate::ONE
        ));
        assert!(!most(json!({ "prompt": 1.05 })).allows(&price, &fees, Rate::ONE));
        assert!(most(json!({ "prompt": 1.2 })).allows(&price, &fees, Rate::ONE));
        assert!(!most(json!({ "request": 0.000099 })).allows(&price, &Fees::default(), Rate::ONE));
        let cached = Price { cached_per_mtok: Micros(100_000_000), ..price };
        assert!(!most(json!({ "prompt": 50 })).allows(&cached, &Fees::default(), Rate::ONE));
        assert!(most(json!({ "request": "0.0001" })).allows(&price, &Fees::default(), Rate::ONE));
    }
}

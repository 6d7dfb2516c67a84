//! What a method and a path ask for.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::ApiError;
use super::task::Call;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Call(Call),
    Models,
    /// By a name that a request may use.
    Model(String),
    /// A browser asks what it may ask.
    Preflight,
}

const MODELS: &str = "/v1/models";

/// How the calls, and all that is only looked at, may be asked for.
const CALLED: &str = "POST, OPTIONS";
const LOOKED_AT: &str = "GET, HEAD, OPTIONS";

impl Route {
    /// `HEAD` asks for what `GET` would be answered, but for its body.
    ///
    /// # Errors
    ///
    /// There is no such path, or it is asked for in another way.
    pub(crate) fn of(method: &str, path: &str) -> Result<Self, ApiError> {
        if method == "OPTIONS" {
            return Ok(Self::Preflight);
        }
        let path = path.split('?').next().unwrap_or_default();
        let name = path.strip_prefix(MODELS).and_then(|rest| rest.strip_prefix('/'));
        match (Call::at(path), method) {
            (Some(call), "POST") => Ok(Self::Call(call)),
            (Some(_), _) => Err(wrong_method(method, path, CALLED)),
            (None, "GET" | "HEAD") if path == MODELS => Ok(Self::Models),
            (None, "GET" | "HEAD") if name.is_some() => name.map(decoded).unwrap_or(Ok(Self::Models)),
            (None, _) if path == MODELS || name.is_some() => Err(wrong_method(method, path, LOOKED_AT)),
            (None, _) => Err(unknown(method, path)),
        }
    }
}

/// A slash or a colon of a name may be written as it is, or escaped, as the SDKs do.
fn decoded(name: &str) -> Result<Route, ApiError> {
    let name = unescaped(name).ok_or_else(|| {
        let message = "The model's name in the path has a `%` that begins no escape, or escapes that are no UTF-8: write `%25` for `%`.";
        ApiError::bad_param("model", message)
    })?;
    Ok(Route::Model(name.into_owned()))
}

/// RFC 3986, 2.1, once: what comes of an escape is none.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    let mut parts = text.split('%');
    let first = parts.next()?;
    if first.len() == text.len() {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes: Vec<u8> = first.into();
    for part in parts {
        // `from_str_radix` would take a sign.
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn wrong_method(method: &str, path: &str, allowed: &'static str) -> ApiError {
    let message = format!("{path} does not take {method}: use {}.", allowed.replace(", OPTIONS", ""));
    ApiError { allowed: Some(allowed), ..ApiError::new(405, Some("method_not_supported"), message) }
}

fn unknown(method: &str, path: &str) -> ApiError {
    let message = format!(
        "There is no {method} {path} here. Try POST /v1/chat/completions, /v1/responses, /v1/completions or /v1/embeddings, or GET {MODELS}."
    );
    ApiError::new(404, Some("unknown_url"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_name_may_be_escaped_and_is_so_once() {
        for (path, name) in [
            ("/v1/models/Qwen%2FQwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"),
            ("/v1/models/home%3Agpu%3aqwen?x=1", "home:gpu:qwen"),
            ("/v1/models/home:gpu:Qwen/Qwen2.5+x", "home:gpu:Qwen/Qwen2.5+x"),
            ("/v1/models/a%252Fb", "a%2Fb"),
            ("/v1/models/%C3%A9", "\u{e9}"),
        ] {
            assert_eq!(Route::of("GET", path), Ok(Route::Model(name.into())), "{path}");
        }
        for wrong in ["a%", "a%2", "a%zz", "a%+1b", "%ff", "%\u{e9}\u{e9}"] {
            let error = Route::of("GET", &format!("/v1/models/{wrong}")).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some("model")), "{wrong}");
        }
    }

    #[test]
    fn a_path_that_is_asked_for_in_another_way_says_in_which() {
        let said = |method, path| Route::of(method, path).map_err(|error| (error.status, error.allowed));
        assert_eq!(said("HEAD", "/v1/models"), Ok(Route::Models));
        assert_eq!(said("HEAD", "/v1/models/m"), Ok(Route::Model("m".into())));
        assert_eq!(said("OPTIONS", "/v1/chat/completions"), Ok(Route::Preflight));
        assert_eq!(said("POST", "/v1/responses"), Ok(Route::Call(Call::Response)));
        for (method, path, allowed) in [
            ("GET", "/v1/chat/completions", "POST, OPTIONS"),
            ("HEAD", "/v1/embeddings?a=b", "POST, OPTIONS"),
            ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
            ("DELETE", "/v1/models/m", "GET, HEAD, OPTIONS"),
        ] {
            assert_eq!(said(method, path), Err((405, Some(allowed))), "{method} {path}");
        }
        for path in ["/", "/v1", "/v1/modelsandmore", "/v1/chat/completions/1"] {
            assert_eq!(said("GET", path), Err((404, None)), "{path}");
        }
    }
}

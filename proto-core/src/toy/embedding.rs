//! Embeddings without a meaning: of equal texts they are equal.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Value, json};

/// Few: it is to try the mesh with.
const DIMENSIONS: usize = 8;

pub(super) fn embed(request: &Value) -> Result<Value, String> {
    let texts: Vec<&Value> = match request.get("input") {
        Some(Value::Array(texts)) if texts.iter().any(|text| !text.is_number()) => texts.iter().collect(),
        Some(text @ (Value::String(_) | Value::Array(_))) => [text].into(),
        _ => return Err("input must be a text or a list of texts".into()),
    };
    let tokens: usize = texts.iter().map(|text| tokens(text)).sum();
    let entry = |(at, text): (usize, &&Value)| json!({ "object": "embedding", "index": at, "embedding": vector(text) });
    let data: Vec<Value> = texts.iter().enumerate().map(entry).collect();
    Ok(json!({
        "object": "list", "model": request.get("model"), "data": data,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
}

/// Words of a text.
fn tokens(text: &Value) -> usize {
    match text {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(tokens) => tokens.len(),
        _ => 0,
    }
}

/// Each number lies between -1 and 1.
fn vector(text: &Value) -> Vec<f64> {
    let hash = blake3::hash(format!("labman toy 1 embedding {text}").as_bytes());
    let numbers = hash.as_bytes().chunks(2).take(DIMENSIONS);
    numbers.map(|two| f64::from(i16::from_be_bytes(two.try_into().unwrap_or_default())) / 32_768.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_equal_and_others_are_not() {
        let answer = embed(&json!({ "input": ["one two", "three", "one two", [1, 2, 3]] })).unwrap();
        let vector = |at: usize| &answer["data"][at]["embedding"];
        assert_eq!(vector(0), vector(2));
        assert_ne!(vector(0), vector(1));
        assert_eq!(vector(3).as_array().unwrap().len(), DIMENSIONS);
        assert_eq!(answer["usage"]["prompt_tokens"], 8);
        assert_eq!(embed(&json!({ "input": [1, 2] })).unwrap()["data"].as_array().unwrap().len(), 1);
        assert!(embed(&json!({ "input": 5 })).is_err());
    }
}

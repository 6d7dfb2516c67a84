//! Embeddings: a vector is a chunk, and they come in the order of their texts. On the mesh they are 32-bit floats, little-endian, in base64:
//! one of ten thousand dimensions fits into a chunk.

use alloc::{format, string::String, vec::Vec};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Frame;
use crate::economics::Counts;
use crate::openai::error::ApiError;
use crate::openai::request::Vectors;

/// What a runtime's answer to some texts holds: a chunk for each, the first of that number.
///
/// # Errors
///
/// What is wrong with the answer.
pub(crate) fn chunks(answer: &Value, first: u32, texts: usize) -> Result<Vec<String>, &'static str> {
    let data = answer.get("data").and_then(Value::as_array).ok_or("the runtime sent no embeddings")?;
    if data.len() != texts {
        return Err("the runtime sent another number of embeddings than it was asked for");
    }
    let mut chunks: Vec<(u64, String)> = Vec::new();
    for (at, item) in data.iter().enumerate() {
        let at = item.get("index").and_then(Value::as_u64).unwrap_or(at as u64);
        let vector = item
            .get("embedding")
            .and_then(Value::as_array)
            .ok_or("the runtime sent an embedding without a vector")?;
        let number =
            |number: &Value| number.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
        let vector: Option<Vec<f32>> = vector.iter().map(number).collect();
        let vector = vector
            .filter(|vector| !vector.is_empty())
            .ok_or("the runtime sent an embedding that is no vector of numbers")?;
        let chunk = json!({ "index": u64::from(first) + at, "embedding": encode(&vector) });
        chunks.push((at, format!("{chunk}")));
    }
    chunks.sort_by_key(|(at, _)| *at);
    if !chunks.iter().zip(0..).all(|((at, _), number)| *at == number) {
        return Err("the runtime numbered its embeddings wrongly");
    }
    Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
}

fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64.encode(&bytes)
}

/// One text's.
#[derive(Debug, PartialEq)]
pub struct Embedding {
    pub number: u32,
    vector: Vec<f32>,
}

impl Embedding {
    /// # Errors
    ///
    /// What a provider must not send.
    pub fn parse(data: &[u8]) -> Result<Self, &'static str> {
        let chunk: Value = serde_json::from_slice(data).map_err(|_| "a chunk is not JSON")?;
        let number = chunk.get("index").and_then(Value::as_u64).and_then(|at| u32::try_from(at).ok());
        let bytes = chunk.get("embedding").and_then(Value::as_str);
        let bytes = bytes.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let floats = bytes.filter(|bytes| !bytes.is_empty() && bytes.len() % 4 == 0);
        let (Some(number), Some(bytes)) = (number, floats) else { return Err("a chunk is no embedding") };
        let float = |bytes: &[u8]| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes);
        let vector: Vec<f32> = bytes.chunks(4).map(float).collect();
        match vector.iter().all(|number| number.is_finite()) {
            true => Ok(Self { number, vector }),
            false => Err("an embedding that is no vector of numbers"),
        }
    }

    pub fn dimensions(&self) -> usize {
        self.vector.len()
    }

    /// Its entry in the list, as the user wants it written.
    ///
    /// # Errors
    ///
    /// It has fewer dimensions than were asked for.
    pub fn entry(mut self, wanted: Vectors) -> Result<Vec<u8>, ApiError> {
        if let Some(dimensions) = wanted.dimensions {
            let has = self.vector.len();
            if has < dimensions as usize {
                let message =
                    format!("The model's embeddings have {has} dimensions, and {dimensions} are asked for.");
                return Err(ApiError::bad_param("dimensions", message));
            }
            if has > dimensions as usize {
                self.vector.truncate(dimensions as usize);
                normalise(&mut self.vector);
            }
        }
        let vector = match wanted.base64 {
            true => format!("\"{}\"", encode(&self.vector)),
            false => serde_json::to_string(&self.vector).unwrap_or_default(),
        };
        let number = self.number;
        Ok(format!("{{\"object\":\"embedding\",\"index\":{number},\"embedding\":{vector}}}").into_bytes())
    }
}

/// What stands before the first entry, and behind the last.
pub const LIST_BEGIN: &[u8] = b"{\"object\":\"list\",\"data\":[";

pub fn list_end(frame: &Frame, counts: &Counts) -> Vec<u8> {
    let usage = json!({ "prompt_tokens": counts.input, "total_tokens": counts.input });
    format!("],\"model\":{},\"usage\":{usage}}}", json!(frame.model)).into_bytes()
}

/// To unit length, as embeddings that are cut short are.
fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
    let length = libm::sqrt(square);
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        json!({ "data": [
            { "index": 1, "embedding": [0.5, 1e-3] },
            { "index": 0, "embedding": [3, 4, 12] },
        ]})
    }

    #[test]
    fn what_a_runtime_sends_comes_to_the_user_number_by_number() {
        let chunks = chunks(&answer(), 16, 2).unwrap();
        let embeddings: Vec<Embedding> =
            chunks.iter().map(|chunk| Embedding::parse(chunk.as_bytes()).unwrap()).collect();
        assert_eq!(embeddings.iter().map(|one| one.number).collect::<Vec<_>>(), [16, 17]);
        let mut entries = embeddings.into_iter().map(|one| one.entry(Vectors::default()).unwrap());
        assert_eq!(
            entries.next().unwrap(),
            br#"{"object":"embedding","index":16,"embedding":[3.0,4.0,12.0]}"#
        );
        assert_eq!(entries.next().unwrap(), br#"{"object":"embedding","index":17,"embedding":[0.5,0.001]}"#);
    }

    #[test]
    fn what_is_cut_short_has_unit_length_again() {
        let one = || Embedding { number: 0, vector: [3.0, 4.0, 12.0].into() };
        let wanted = |dimensions, base64| Vectors { base64, dimensions: Some(dimensions) };
        let entry = one().entry(wanted(2, false)).unwrap();
        assert_eq!(entry, br#"{"object":"embedding","index":0,"embedding":[0.6,0.8]}"#);
        assert_eq!(one().entry(wanted(4, false)).unwrap_err().param.as_deref(), Some("dimensions"));
        let entry = String::from_utf8(one().entry(wanted(3, true)).unwrap()).unwrap();
        assert!(entry.contains("\"embedding\":\"AABAQAAAgEAAAEBB\""), "{entry}");
    }

    #[test]
    fn a_runtime_s_nonsense_is_named() {
        for wrong in [
            json!({}),
            json!({ "data": [] }),
            json!({ "data": [{ "embedding": [] }, { "embedding": [1] }] }),
            json!({ "data": [{ "embedding": [1] }, { "embedding": ["x"] }] }),
            json!({ "data": [{ "embedding": [1] }, { "embedding": [1e300] }] }),
            json!({ "data": [{ "index": 1, "embedding": [1] }, { "index": 1, "embedding": [1] }] }),
        ] {
            assert!(chunks(&wrong, 0, 2).is_err(), "{wrong}");
        }
        for wrong in ["{}", r#"{"index":0,"embedding":"AA=="}"#, r#"{"index":0,"embedding":"AADAfw=="}"#] {
            assert!(Embedding::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}

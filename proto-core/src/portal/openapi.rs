//! `GET /openapi.json`: the calls of a surface as an OpenAPI 3.1 document, made from the table that answers them.

use alloc::string::String;

use serde_json::{Map, Value, json};

use crate::http::Surface;
use crate::limits::PORTAL_TEXT;
use crate::wire::portal::OBJECT_TYPE;

use super::routes::{self, Field, Gives, Is, Route, Takes};

pub(super) fn document(surface: Surface) -> Value {
    let (title, about) = match surface {
        Surface::Public => (
            "labman FEP",
            "What gateways and providers call. Objects are signed CBOR: protocol.md, sections 4 and 10.",
        ),
        Surface::Admin => ("labman FEP, operator", "Served on the operator's Unix socket only."),
    };
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::of(surface) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(surface, route);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "description": about, "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": { "Refusal": refusal() } },
    })
}

fn operation(surface: Surface, route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters(surface, route),
        "responses": responses(&route.gives),
    });
    match route.takes {
        Takes::Nothing | Takes::Query(_) => {}
        Takes::Json(fields) => {
            let content = json!({ "application/json": { "schema": object(fields, true) } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        Takes::Object(name) => {
            let content = json!({ OBJECT_TYPE: { "schema": binary(name) } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
    }
    operation
}

fn parameters(surface: Surface, route: &Route) -> Value {
    let mut parameters = Value::Array(alloc::vec::Vec::new());
    let mut add = |place: &str, name: &str, about: &str, schema: Value| {
        if let Value::Array(all) = &mut parameters {
            all.push(json!({ "in": place, "name": name, "description": about, "schema": schema }));
        }
    };
    if let Takes::Query(fields) = route.takes {
        fields.iter().for_each(|field| add("query", field.name, field.about, schema(field.is)));
    }
    if surface == Surface::Admin && route.method == "POST" {
        let about =
            "The same key and body again: the stored answer. Another body: 409. Refusals are not stored.";
        add("header", "Idempotency-Key", about, schema(Is::Text));
    }
    parameters
}

fn responses(gives: &Gives) -> Value {
    let json_of = |schema: Value| json!({ "description": "done", "content": { "application/json": { "schema": schema } } });
    let object_of =
        |name: &str| json!({ "description": name, "content": { OBJECT_TYPE: { "schema": binary(name) } } });
    let refused = json!({
        "description": "refused, and why",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } },
    });
    let mut responses = json!({ "default": refused });
    responses["200"] = match gives {
        Gives::Json(fields) => json_of(object(fields, true)),
        Gives::Secret(fields, once) => {
            let mut given = object(fields, true);
            if let Some(required) = given["required"].as_array_mut() {
                required.retain(|name| name != once);
            }
            json_of(given)
        }
        Gives::Object(name) | Gives::ObjectOrNothing(name) => object_of(name),
        Gives::Document => json_of(json!({ "type": "object" })),
    };
    if let Gives::ObjectOrNothing(_) = gives {
        responses["204"] = json!({ "description": "nothing was owed" });
    }
    responses
}

fn object(fields: &[Field], closed: bool) -> Value {
    let property = |field: &Field| {
        let mut schema = schema(field.is);
        schema["description"] = field.about.into();
        (String::from(field.name), schema)
    };
    let required: alloc::vec::Vec<_> = fields.iter().map(|field| field.name).collect();
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": !closed })
}

fn schema(is: Is) -> Value {
    match is {
        Is::Text => {
            json!({ "type": "string", "minLength": 1, "maxLength": PORTAL_TEXT, "pattern": "^[ -~]+$" })
        }
        Is::UserId => json!({ "type": "string", "pattern": "^u[0-9]{6,}$" }),
        Is::NodeId => json!({ "type": "string", "pattern": "^[1-9A-HJ-NP-Za-km-z]{32,44}$" }),
        Is::Amount => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,6})?$" }),
        Is::Count => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Is::Count64 => json!({ "type": "integer", "minimum": 0 }),
        Is::Flag => json!({ "type": "boolean" }),
        Is::Month => json!({ "type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$" }),
        Is::OneOf(names) => json!({ "type": "string", "enum": names }),
        Is::List => json!({ "type": "array", "items": { "type": "object" } }),
        Is::Hex => json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" }),
        Is::MaybeText => json!({ "type": ["string", "null"] }),
    }
}

fn binary(name: &str) -> Value {
    json!({ "type": "string", "format": "binary", "description": name })
}

fn refusal() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
        } },
    })
}

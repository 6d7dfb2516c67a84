//! Heads, between hyper's types and the machines'.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri, http};
use labman_proto_core::http::{RequestHead, ResponseHead};

/// Names are lower-case already: hyper sees to that.
pub(super) fn request_head(parts: &http::request::Parts) -> RequestHead {
    RequestHead {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: headers(&parts.headers),
    }
}

pub(super) fn response_head(parts: &http::response::Parts) -> ResponseHead {
    ResponseHead { status: parts.status.as_u16(), headers: headers(&parts.headers) }
}

/// Fails on what is not a valid status or header.
pub(super) fn response<B>(head: ResponseHead, body: B) -> Result<Response<B>, http::Error> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(head.status)?;
    fill(response.headers_mut(), head.headers)?;
    Ok(response)
}

/// Fails on what is not a valid method, URL or header.
pub(super) fn request<B>(uri: Uri, head: RequestHead, body: B) -> Result<Request<B>, http::Error> {
    let mut request = Request::builder().method(head.method.as_str()).uri(uri).body(body)?;
    fill(request.headers_mut(), head.headers)?;
    Ok(request)
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn fill(map: &mut HeaderMap, headers: Vec<(String, String)>) -> Result<(), http::Error> {
    for (name, value) in headers {
        map.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(())
}

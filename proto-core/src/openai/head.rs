//! Headers that every answer has.

use crate::http::ResponseHead;
use crate::wire::ids::RequestId;

/// Its id, and what a browser's preflight asks for.
pub(crate) fn usual(head: ResponseHead, id: RequestId) -> ResponseHead {
    head.with("x-request-id", &alloc::format!("req_{id}"))
        .with("access-control-allow-origin", "*")
        .with("access-control-allow-methods", "GET, HEAD, POST, OPTIONS")
        // The wildcard does not stand for this one.
        .with("access-control-allow-headers", "*, authorization")
        .with("access-control-max-age", "86400")
        .with("access-control-expose-headers", "*")
}

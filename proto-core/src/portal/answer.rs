//! What a call ends in: an answer, or a refusal that says what to do.

use alloc::{string::String, vec::Vec};

use crate::http::ResponseHead;
use crate::machine::{Outbox, StreamId};
use crate::wire::cbor::Blob;
use crate::wire::object::BadObject;
use crate::wire::portal::{OBJECT_TYPE, PortalError, PortalErrorBody, PortalErrorCode};

use super::look::Look;
use super::writer::Commit;
use crate::store::{Keys, Range};

/// Where a call stands after a room has looked at it.
pub(super) enum Step {
    Answer(Answer),
    /// What was answered to an earlier call under the same idempotency key.
    Again(Answer),
    /// Answered once this is durable.
    Commit(Commit),
    /// Decided once this was read.
    Look(Range, Look),
    /// Likewise, by keys.
    Find(Keys, Look),
    /// Answered together with an earlier call for the same hold, which is being written.
    Wait,
}

pub(super) type Stepped = Result<Step, Refused>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Object(Blob),
    Json {
        status: u16,
        body: Vec<u8>,
    },
    NoContent,
    /// It is on record, and nothing is decided yet.
    Noted,
}

impl Answer {
    pub(super) fn ok<T: serde::Serialize>(body: &T) -> Self {
        Self::json(200, body)
    }

    pub(super) fn json<T: serde::Serialize>(status: u16, body: &T) -> Self {
        // Our own answer types have string keys and no custom serializers that err.
        Self::Json { status, body: serde_json::to_vec(body).unwrap_or_default() }
    }

    pub(super) fn send(self, stream: StreamId, out: &mut Outbox) {
        match self {
            Self::Object(object) => {
                let head = ResponseHead::new(200).with("content-type", OBJECT_TYPE);
                out.respond_whole(stream, head, object.0);
            }
            Self::Json { status, body } => out.respond_whole(stream, ResponseHead::json(status), body),
            Self::NoContent => {
                out.respond(stream, ResponseHead::new(204));
                out.finish(stream);
            }
            Self::Noted => {
                out.respond(stream, ResponseHead::new(202));
                out.finish(stream);
            }
        }
    }
}

/// A refusal; the status follows from the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    code: PortalErrorCode,
    message: String,
}

macro_rules! refusals {
    ($($name:ident => $code:ident),+ $(,)?) => {
        impl Refused {
            $(pub(super) fn $name(message: impl Into<String>) -> Self {
                Self { code: PortalErrorCode::$code, message: message.into() }
            })+
        }
    };
}

refusals! {
    invalid_api_key => InvalidApiKey,
    insufficient_quota => InsufficientQuota,
    not_paired => NotPaired,
    bad_request => BadRequest,
    not_found => NotFound,
    conflict => Conflict,
    unavailable => Unavailable,
}

impl Refused {
    pub(super) fn answer(self) -> Answer {
        let status = match self.code {
            PortalErrorCode::InvalidApiKey => 401,
            PortalErrorCode::InsufficientQuota => 402,
            PortalErrorCode::NotPaired => 403,
            PortalErrorCode::BadRequest => 400,
            PortalErrorCode::NotFound => 404,
            PortalErrorCode::Conflict => 409,
            PortalErrorCode::Unavailable => 503,
        };
        self.answer_with(status)
    }

    /// With a status of its own, where HTTP has a more telling one than the code's.
    pub(super) fn answer_with(self, status: u16) -> Answer {
        let error = PortalErrorBody { code: self.code, message: self.message };
        Answer::json(status, &PortalError { error })
    }
}

impl From<BadObject> for Refused {
    fn from(error: BadObject) -> Self {
        let message = alloc::format!("{error}");
        match error {
            BadObject::Signer | BadObject::Signature => Self::not_paired(message),
            BadObject::Length | BadObject::Foreign | BadObject::Content(_) => Self::bad_request(message),
        }
    }
}

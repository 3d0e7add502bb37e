//! Why a command was refused.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What sort of refusal it is; the HTTP room maps it to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The wish itself is wrong: 400.
    Invalid,
    /// The caller's role does not allow it: 403.
    Forbidden,
    /// What it names does not exist for the caller: 404.
    NotFound,
    /// It would clash with what is there, or came too late: 409.
    Conflict,
    /// What it is about has changed since the caller saw it: 412.
    PreconditionFailed,
    /// Once was possible and never will be again: 410.
    Gone,
    /// More than one batch can hold: 413.
    TooLarge,
    /// A sort of file that is not taken: 415.
    Unsupported,
    /// It can be read and makes no sense: 422.
    Unprocessable,
    /// Too much of it is under way: 429.
    TooMany,
}

/// A refusal: nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its sort.
    pub kind: Kind,
    /// Stable code for programs, e.g. `mission.not_planning`.
    pub code: &'static str,
    /// Text for people, fixed by the API pages.
    pub detail: Cow<'static, str>,
    /// What else a program may want to know, by name.
    pub facts: Map<String, Value>,
}

impl Rejection {
    fn new(kind: Kind, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, detail: detail.into(), facts: Map::new() }
    }

    /// Tells more: the members of an object.
    #[must_use]
    pub fn telling(mut self, facts: Value) -> Self {
        if let Value::Object(facts) = facts {
            self.facts.extend(facts);
        }
        self
    }

    /// The wish itself is wrong.
    pub fn invalid(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, code, detail)
    }

    /// The caller's role does not allow it.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(Kind::Forbidden, "forbidden", "Forbidden")
    }

    /// The caller's role allows the rest, but not this.
    pub fn forbidden_because(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, code, detail)
    }

    /// What it names does not exist, or not for this caller.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, code, detail)
    }

    /// It clashes with what is there.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, code, detail)
    }

    /// What it is about has changed since the caller saw it.
    #[must_use]
    pub fn precondition_failed() -> Self {
        let detail = "The resource has changed since it was read";
        Self::new(Kind::PreconditionFailed, "precondition.failed", detail)
    }

    /// Can never be done again.
    pub fn gone(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Gone, code, detail)
    }

    /// It can be read and makes no sense.
    pub fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unprocessable, code, detail)
    }

    /// Too much of it is under way.
    pub fn too_many(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooMany, code, detail)
    }

    /// A sort of file that is not taken.
    pub fn unsupported(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unsupported, code, detail)
    }

    /// More than one batch can hold.
    pub fn too_large(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooLarge, code, detail)
    }
}

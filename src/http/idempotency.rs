//! `Idempotency-Key`: a write that is sent again under one name acts once (`DESIGN.md` 5).
//!
//! The request id is the first 16 bytes of SHA-256(principal ‖ 0 ‖ key), so a name belongs to its
//! caller. The fingerprint is the first 8 bytes of SHA-256(method ‖ 0 ‖ path ‖ 0 ‖ body): the same
//! name with another wish is refused. The query stays out, since it only names the workspace, which
//! has a journal of its own.

use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use taffrail_journal::Request;

use super::problem::Problem;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;

/// A name, and what was asked for under it.
pub(super) struct Key {
    key: String,
    fingerprint: [u8; 8],
}

impl Key {
    /// The name a caller gave this wish, if any.
    ///
    /// # Errors
    /// 400 unless it is 1 to 255 visible ASCII characters.
    pub(super) fn of(request: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let Some(value) = request.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let visible = |key: &&str| {
            (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let key = value.to_str().ok().filter(visible).ok_or_else(|| {
            Problem::invalid(
                "idempotency.key_malformed",
                "Idempotency-Key must be 1-255 visible ASCII characters",
            )
        })?;
        let digest = Sha256::new()
            .chain_update(request.method.as_str())
            .chain_update([0])
            .chain_update(request.uri.path())
            .chain_update([0])
            .chain_update(body)
            .finalize();
        Ok(Some(Self { key: key.to_owned(), fingerprint: head(&digest) }))
    }

    /// As the journal remembers it.
    pub(super) fn request(&self, principal: &str) -> Request {
        let digest =
            Sha256::new().chain_update(principal).chain_update([0]).chain_update(&self.key).finalize();
        Request { id: head(&digest), fingerprint: self.fingerprint }
    }
}

fn head<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut head = [0; N];
    head.copy_from_slice(&digest[..N]);
    head
}

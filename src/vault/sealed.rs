//! Secrets that must be known again, and so are kept encrypted: those of webhooks, because checking a call
//! needs them (`platform.md` 7), and credentials that people told an agent, until it has asked for them.

use std::fmt;
use std::io;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use serde::{Deserialize, Serialize};
use taffrail_domain::Time;

use super::secret::hex;

const SECRET_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// 64 hex digits. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// A fresh secret, 256 bits from the operating system.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn fresh() -> io::Result<Self> {
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random)?;
        Ok(Self(hex(&random)))
    }

    /// The secret itself, for the one answer that shows it and for checking calls.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for WebhookSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// The file of a credential that an agent waits for.
#[derive(Serialize, Deserialize)]
pub(super) struct AnswerFile {
    /// Nobody asks for it any more from then on.
    pub(super) until: Time,
    pub(super) sealed: Sealed,
}

/// A secret's file.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    nonce: [u8; NONCE_BYTES],
    ciphertext: Vec<u8>,
}

impl Sealed {
    /// Encrypts a secret; `id` is sealed with it, so that no file stands in for another.
    pub(super) fn seal(key: &[u8; 32], id: &str, secret: &str) -> io::Result<Self> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: secret.as_bytes(), aad: id.as_bytes() };
        let sealed = cipher(key).encrypt(&Nonce::from(nonce), payload);
        let ciphertext = sealed.map_err(|_| io::Error::other("a secret could not be encrypted"))?;
        Ok(Self { nonce, ciphertext })
    }

    /// The secret; `None` if the file was made with another key or for another id.
    pub(super) fn open(&self, key: &[u8; 32], id: &str) -> Option<String> {
        let payload = Payload { msg: &self.ciphertext, aad: id.as_bytes() };
        let plain = cipher(key).decrypt(&Nonce::from(self.nonce), payload).ok()?;
        String::from_utf8(plain).ok()
    }
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_for_its_id() {
        let secret = WebhookSecret::fresh().expect("randomness");
        let sealed = Sealed::seal(&[7; 32], "a", secret.reveal()).expect("seals");
        assert_eq!(sealed.open(&[7; 32], "a"), Some(secret.reveal().to_owned()));
        assert_eq!(sealed.open(&[8; 32], "a"), None);
        assert_eq!(sealed.open(&[7; 32], "b"), None);
        assert!(!String::from_utf8_lossy(&sealed.ciphertext).contains(secret.reveal()));
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }
}

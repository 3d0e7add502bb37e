//! The instance's own key: makes e-mails comparable without making them readable.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use taffrail_domain::Text;

use super::files::Folder;
use super::secret::hex;

const FILE: &str = "key";

/// 32 random bytes, made once per data directory.
#[derive(Serialize, Deserialize)]
pub(super) struct InstanceKey([u8; 32]);

impl InstanceKey {
    /// Reads the key, or makes it on first use. Blocking.
    pub(super) fn open(folder: &Folder) -> io::Result<Self> {
        if let Some(key) = folder.read(FILE)? {
            return Ok(key);
        }
        let mut key = Self([0; 32]);
        getrandom::fill(&mut key.0)?;
        folder.replace(FILE, &serde_json::to_vec(&key)?)?;
        Ok(key)
    }

    /// HMAC-SHA-256 of a text, as hex.
    pub(super) fn hash(&self, text: &str) -> Text {
        hex(&self.mac(text)).into()
    }

    /// A key of its own for each purpose.
    pub(super) fn derived(&self, purpose: &str) -> [u8; 32] {
        self.mac(purpose)
    }

    /// HMAC-SHA-256 of a text under the key of a purpose, as hex.
    pub(super) fn sign(&self, purpose: &str, text: &str) -> String {
        hex(&Self(self.derived(purpose)).mac(text))
    }

    fn mac(&self, text: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

//! The vault: what may have to be forgotten alone, outside the journal.
//!
//! Names, e-mails, password hashes, digests of token secrets and webhook secrets live here, one file per id. A file is
//! written before the fact about it is appended and removed if the append fails; it counts only while
//! the instance log says the same. Nothing here may ever reach a log line or a journal.

mod files;
mod key;
mod last_used;
mod password;
mod sealed;
mod secret;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use taffrail_domain::{SecretId, Text, Time, TokenId, UserId};

pub use password::{Password, PasswordError, PasswordHash, Passwords};
pub use sealed::WebhookSecret;
pub use secret::TokenSecret;

use files::Folder;
use key::InstanceKey;
use last_used::LastUsed;
use sealed::{AnswerFile, Sealed};
use secret::Digest;

/// What the key of webhook secrets is for.
const INTERNAL: &str = "internal token";
const WEBHOOKS: &str = "taffrail webhook secrets v1";
const ANSWERS: &str = "taffrail answers to agents v1";
const TESTED: &str = "taffrail tested routines v1";
const WAITPOINTS: &str = "taffrail waitpoints v1";

/// Letters of a waitpoint's name, and of what its token has beside that.
const WAITPOINT_LETTERS: usize = 32;

/// How long a test of a routine lets it be saved (`periphery.md` 10): five minutes.
const TESTED_MS: u64 = 5 * 60 * 1_000;

/// All that is known of a person beside the journal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// As the person wrote it, trimmed and in lower case.
    pub email: String,
    /// What people call them.
    pub full_name: String,
    /// Argon2id, PHC text.
    pub password_hash: PasswordHash,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile(…)")
    }
}

/// A token's file: only the digest of the secret.
#[derive(Serialize, Deserialize)]
struct TokenFile {
    digest: Digest,
}

/// The side store; everything in it is also in memory.
pub struct Vault {
    users: Folder,
    tokens: Folder,
    webhooks: Folder,
    answers: Folder,
    key: InstanceKey,
    passwords: Passwords,
    contents: RwLock<Contents>,
    last_used: LastUsed,
}

#[derive(Default)]
struct Contents {
    profiles: HashMap<UserId, Arc<Profile>>,
    digests: HashMap<TokenId, Digest>,
    tokens: HashMap<Digest, TokenId>,
    webhooks: HashMap<SecretId, Sealed>,
    answers: HashMap<SecretId, AnswerFile>,
}

impl Contents {
    fn insert_token(&mut self, token: TokenId, digest: Digest) {
        self.tokens.insert(digest, token.clone());
        self.digests.insert(token, digest);
    }

    fn remove_token(&mut self, token: &TokenId) {
        if let Some(digest) = self.digests.remove(token) {
            self.tokens.remove(&digest);
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// Opens `<data>/vault`, making it on first use, and reads all of it. Blocking.
    ///
    /// # Errors
    /// What the file system says; a file that cannot be understood is an error too.
    pub fn open(data: &Path) -> io::Result<Self> {
        let root = data.join("vault");
        let (users, tokens) = (Folder::open(&root.join("users"))?, Folder::open(&root.join("tokens"))?);
        let webhooks = Folder::open(&root.join("webhooks"))?;
        let answers = Folder::open(&root.join("answers"))?;
        let mut contents = Contents::default();
        for (id, profile) in users.read_all::<Profile>()? {
            contents.profiles.insert(id.into(), Arc::new(profile));
        }
        for (id, file) in tokens.read_all::<TokenFile>()? {
            contents.insert_token(id.into(), file.digest);
        }
        for (id, sealed) in webhooks.read_all::<Sealed>()? {
            contents.webhooks.insert(id.into(), sealed);
        }
        for (id, answer) in answers.read_all::<AnswerFile>()? {
            contents.answers.insert(id.into(), answer);
        }
        let root = Folder::open(&root)?;
        Ok(Self {
            users,
            tokens,
            webhooks,
            answers,
            key: InstanceKey::open(&root)?,
            passwords: Passwords::default(),
            contents: RwLock::new(contents),
            last_used: LastUsed::open(root)?,
        })
    }

    /// A person's file.
    #[must_use]
    pub fn profile(&self, user: &UserId) -> Option<Arc<Profile>> {
        self.read(|contents| contents.profiles.get(user).cloned())
    }

    /// The token whose secret this is. Whether it still opens anything, the instance log says.
    #[must_use]
    pub fn token_by_secret(&self, secret: &str) -> Option<TokenId> {
        let digest = Digest::of(secret);
        self.read(|contents| {
            let (stored, token) = contents.tokens.get_key_value(&digest)?;
            // The map compares digests of secrets byte by byte; this says the same without a clock to read.
            stored.is(&digest).then(|| token.clone())
        })
    }

    /// The keyed hash under which an e-mail is unique, without being readable in the journal.
    #[must_use]
    pub fn email_key(&self, email: &str) -> Text {
        self.key.hash(&normal_email(email))
    }

    /// The master of the internal API's tokens, where the operator chose none: the same after a restart.
    #[must_use]
    pub fn internal_token(&self) -> String {
        secret::hex(&self.key.derived(INTERNAL))
    }

    /// Says that something passed a test: its issue time, and an HMAC over that and what passed.
    #[must_use]
    pub fn tested(&self, what: &str, now: Time) -> String {
        format!("{}.{}", now.0, self.key.sign(TESTED, &format!("{}\0{what}", now.0)))
    }

    /// Whether this says so of just that, and was said a moment ago.
    #[must_use]
    pub fn is_tested(&self, token: &str, what: &str, now: Time) -> bool {
        let issued = token.split_once('.').and_then(|(issued, _)| issued.parse().ok()).map(Time);
        issued.is_some_and(|issued| {
            let is_fresh = issued <= now && now.0 - issued.0 <= TESTED_MS;
            is_fresh && same_secret(token, &self.tested(what, issued))
        })
    }

    /// The token of a waitpoint: its name, and half of an HMAC over it. Nothing of it is stored anywhere.
    #[must_use]
    pub fn waitpoint_token(&self, waitpoint: &str) -> String {
        let mut vouched = self.key.sign(WAITPOINTS, waitpoint);
        vouched.truncate(WAITPOINT_LETTERS);
        format!("{waitpoint}{vouched}")
    }

    /// The waitpoint that a token is of, if it is one of ours.
    #[must_use]
    pub fn waitpoint_of<'a>(&self, token: &'a str) -> Option<&'a str> {
        let (waitpoint, _) = token.split_at_checked(WAITPOINT_LETTERS)?;
        same_secret(token, &self.waitpoint_token(waitpoint)).then_some(waitpoint)
    }

    /// The hashing of passwords.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Writes a person's file, durably. To be followed by the fact, or by [`Vault::forget_user`].
    ///
    /// # Errors
    /// What the file system says.
    pub async fn put_user(&self, user: &UserId, profile: Profile) -> io::Result<()> {
        self.users.write(user.as_str(), &profile).await?;
        self.write(|contents| contents.profiles.insert(user.clone(), Arc::new(profile)));
        Ok(())
    }

    /// Writes a token's file, durably. To be followed by the fact, or by [`Vault::forget_token`].
    ///
    /// # Errors
    /// What the file system says.
    pub async fn put_token(&self, token: &TokenId, secret: &TokenSecret) -> io::Result<()> {
        let digest = Digest::of(secret.reveal());
        self.tokens.write(token.as_str(), &TokenFile { digest }).await?;
        self.write(|contents| contents.insert_token(token.clone(), digest));
        Ok(())
    }

    /// The secret of a webhook.
    #[must_use]
    pub fn webhook_secret(&self, id: &SecretId) -> Option<WebhookSecret> {
        let key = self.key.derived(WEBHOOKS);
        self.read(|contents| contents.webhooks.get(id)?.open(&key, id.as_str()).map(Into::into))
    }

    /// Writes a webhook's secret, durably. To be followed by the fact, or by [`Vault::forget_webhook_secret`].
    ///
    /// # Errors
    /// What the file system says.
    pub async fn put_webhook_secret(&self, id: &SecretId, secret: &WebhookSecret) -> io::Result<()> {
        let sealed = Sealed::seal(&self.key.derived(WEBHOOKS), id.as_str(), secret.reveal())?;
        self.webhooks.write(id.as_str(), &sealed).await?;
        self.write(|contents| contents.webhooks.insert(id.clone(), sealed));
        Ok(())
    }

    /// Removes a webhook's secret.
    ///
    /// # Errors
    /// What the file system says; in memory it is forgotten all the same.
    pub async fn forget_webhook_secret(&self, id: &SecretId) -> io::Result<()> {
        self.write(|contents| contents.webhooks.remove(id));
        self.webhooks.remove(id.as_str()).await
    }

    /// A credential that an agent waits for; `None` once nobody does.
    #[must_use]
    pub fn answer(&self, id: &SecretId, now: Time) -> Option<String> {
        let key = self.key.derived(ANSWERS);
        self.read(|contents| {
            let answer = contents.answers.get(id).filter(|answer| now < answer.until)?;
            answer.sealed.open(&key, id.as_str())
        })
    }

    /// Writes a credential for an agent down, durably and encrypted, as long as it is waited for. To be
    /// followed by the fact; without it nobody ever asks, and it goes with its time.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn put_answer(&self, id: &SecretId, answer: &str, until: Time) -> io::Result<()> {
        let answer =
            AnswerFile { until, sealed: Sealed::seal(&self.key.derived(ANSWERS), id.as_str(), answer)? };
        self.answers.write(id.as_str(), &answer).await?;
        self.write(|contents| contents.answers.insert(id.clone(), answer));
        Ok(())
    }

    /// Removes the credentials that nobody waits for any more.
    ///
    /// # Errors
    /// What the file system says; in memory they are forgotten all the same.
    pub async fn sweep_answers(&self, now: Time) -> io::Result<()> {
        let over: Vec<SecretId> = self.write(|contents| {
            let over = contents.answers.iter().filter(|(_, answer)| answer.until <= now);
            let over = over.map(|(id, _)| id.clone()).collect::<Vec<_>>();
            over.iter().for_each(|id| drop(contents.answers.remove(id)));
            over
        });
        for id in &over {
            self.answers.remove(id.as_str()).await?;
        }
        Ok(())
    }

    /// Removes a person's file.
    ///
    /// # Errors
    /// What the file system says; in memory it is forgotten all the same.
    pub async fn forget_user(&self, user: &UserId) -> io::Result<()> {
        self.write(|contents| contents.profiles.remove(user));
        self.users.remove(user.as_str()).await
    }

    /// Removes a token's file.
    ///
    /// # Errors
    /// What the file system says; in memory it is forgotten all the same.
    pub async fn forget_token(&self, token: &TokenId) -> io::Result<()> {
        self.write(|contents| contents.remove_token(token));
        self.last_used.forget(token);
        self.tokens.remove(token.as_str()).await
    }

    /// Removes every file whose fact was never appended; says how many.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn sweep(
        &self,
        is_user: impl Fn(&UserId) -> bool,
        is_token: impl Fn(&TokenId) -> bool,
        is_webhook: impl Fn(&SecretId) -> bool,
    ) -> io::Result<usize> {
        let (users, tokens, webhooks) = self.read(|contents| {
            let users = contents.profiles.keys().filter(|user| !is_user(user)).cloned();
            let tokens = contents.digests.keys().filter(|token| !is_token(token)).cloned();
            let webhooks = contents.webhooks.keys().filter(|secret| !is_webhook(secret)).cloned();
            (users.collect::<Vec<_>>(), tokens.collect::<Vec<_>>(), webhooks.collect::<Vec<_>>())
        });
        for user in &users {
            self.forget_user(user).await?;
        }
        for token in &tokens {
            self.forget_token(token).await?;
        }
        for secret in &webhooks {
            self.forget_webhook_secret(secret).await?;
        }
        Ok(users.len() + tokens.len() + webhooks.len())
    }

    /// When a token last opened something.
    #[must_use]
    pub fn last_used_at(&self, token: &TokenId) -> Option<Time> {
        self.last_used.get(token)
    }

    /// Notes that a token opened something. In memory; [`Vault::flush`] writes it down.
    pub fn note_use(&self, token: &TokenId, now: Time) {
        self.last_used.note(token, now);
    }

    /// Writes down when tokens were last used, if that changed.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn flush(&self) -> io::Result<()> {
        self.last_used.flush().await
    }

    fn read<T>(&self, look: impl FnOnce(&Contents) -> T) -> T {
        look(&self.contents.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        change(&mut self.contents.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The form of an e-mail that is stored and compared.
#[must_use]
pub fn normal_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Whether two secrets are the same, in a time that does not tell where or how they differ.
pub(crate) fn same_secret(one: &str, other: &str) -> bool {
    Digest::of(one).is(&Digest::of(other))
}

#[cfg(test)]
mod tests;

//! Tickets for sockets: what may stand in an address, because it opens one socket once and soon nothing
//! (`platform.md` 2.3, 9.1 row 7). They are kept here alone: a restart forgets them, and whoever holds one
//! asks for another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::boot::Session;

/// How long a ticket opens a socket.
pub const TICKET_LIFE: Duration = Duration::from_secs(15 * 60);
/// Tickets that are kept at a time; of more, the oldest open nothing.
const TICKETS_MAX: usize = 16_384;
const RANDOM_BYTES: usize = 32;

/// The tickets of one instance.
#[derive(Default)]
pub struct Tickets {
    all: Mutex<HashMap<[u8; 32], (Session, Instant)>>,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(…)")
    }
}

impl Tickets {
    /// A fresh ticket.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn issue(&self, session: Session) -> std::io::Result<String> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let ticket: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TICKETS_MAX {
            all.retain(|_, (_, until)| *until > now);
        }
        if all.len() >= TICKETS_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, (_, until))| *until).map(|(ticket, _)| *ticket)
        {
            all.remove(&oldest);
        }
        all.insert(digest(&ticket), (session, now + TICKET_LIFE));
        Ok(ticket)
    }

    /// Who stands behind a ticket, this once.
    pub fn redeem(&self, ticket: &str) -> Option<Session> {
        // Found by its digest: how long that takes tells nothing of other tickets.
        let found = self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(ticket));
        found.filter(|(_, until)| *until > Instant::now()).map(|(session, _)| session)
    }
}

fn digest(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_opens_once_and_not_for_long() {
        let session = Session { user: "u".into(), token: "t".into(), scopes: None, expires_at: None };
        let tickets = Tickets::default();
        let ticket = tickets.issue(session.clone()).unwrap();
        assert_eq!(tickets.redeem("another"), None);
        assert_eq!(tickets.redeem(&ticket), Some(session.clone()));
        assert_eq!(tickets.redeem(&ticket), None);
        let late = tickets.issue(session).unwrap();
        tokio::time::advance(TICKET_LIFE).await;
        assert_eq!(tickets.redeem(&late), None);
    }
}

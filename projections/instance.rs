//! The instance log's world.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};
use taffrail_domain::instance::{Instance, InstanceCommand, InstanceEvent, Token};
use taffrail_domain::{Context, Draft, Entry, Event, LogTag, Offset, Rejection, Time, TokenId, UserId};

use crate::World;

/// Users, tokens and the registry of workspaces, at one head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceWorld {
    head: Offset,
    time: Time,
    /// What deciders look at.
    pub state: Instance,
    tokens_by_user: OrdSet<(UserId, Offset, TokenId)>,
}

impl InstanceWorld {
    /// A user's tokens, newest first, revoked ones included.
    pub fn tokens_of<'a>(&'a self, user: &UserId) -> impl Iterator<Item = &'a Token> + 'a {
        let first = (user.clone(), Offset(0), TokenId::from(""));
        let last = (user.clone(), Offset(u64::MAX), TokenId::from(""));
        self.tokens_by_user.range(first..last).rev().filter_map(|(_, _, id)| self.state.tokens.get(id))
    }
}

impl World for InstanceWorld {
    type Command = InstanceCommand;

    fn empty(_: LogTag) -> Self {
        Self::default()
    }

    fn log(&self) -> LogTag {
        LogTag::INSTANCE
    }

    fn head(&self) -> Offset {
        self.head
    }

    fn time(&self) -> Time {
        self.time
    }

    fn decide(&self, command: &InstanceCommand, _: &Context<'_>) -> Result<Vec<Draft>, Rejection> {
        self.state.decide(command)
    }

    fn apply(&mut self, entry: &Entry) {
        (self.head, self.time) = (entry.offset, entry.time);
        self.state.apply(entry);
        if let Some(Event::Instance(InstanceEvent::TokenIssued(token))) = &entry.event {
            let row = (token.user_id.clone(), entry.offset, TokenId::from(&*entry.subject));
            self.tokens_by_user.insert(row);
        }
    }
}

//! A decision as it unfolds: each fact is folded into a copy of the workspace at once, so that what follows
//! from it is decided on what is then true. Copying a workspace costs next to nothing.

use crate::{Context, Draft, Offset, Workspace};

pub(crate) struct Unfolding<'a> {
    /// What is true with everything decided so far.
    pub(crate) state: Workspace,
    pub(crate) context: &'a Context<'a>,
    drafts: Vec<Draft>,
}

impl<'a> Unfolding<'a> {
    pub(crate) fn of(state: &Workspace, context: &'a Context<'a>) -> Self {
        Self { state: state.clone(), context, drafts: vec![] }
    }

    /// One more fact.
    pub(crate) fn add(&mut self, draft: Draft) {
        let entry = draft.at(self.next(), self.context.now, self.context.actor.clone());
        self.state.apply(&entry);
        self.drafts.push(Draft { subject: entry.subject, event: entry.event, face: entry.face });
    }

    pub(crate) fn extend(&mut self, drafts: impl IntoIterator<Item = Draft>) {
        drafts.into_iter().for_each(|draft| self.add(draft));
    }

    /// Where the next fact will stand.
    pub(crate) fn next(&self) -> Offset {
        self.context.next.plus(self.drafts.len() as u64)
    }

    pub(crate) fn finish(self) -> Vec<Draft> {
        self.drafts
    }
}

//! A decision as it unfolds: each fact is folded into a copy of the workspace at once, so that what follows
//! from it is decided on what is then true. Copying a workspace costs next to nothing.

use crate::{Context, Draft, Offset, Text, Workspace};

pub(crate) struct Unfolding<'a> {
    /// What is true with everything decided so far.
    pub(crate) state: Workspace,
    pub(crate) context: &'a Context<'a>,
    /// The routine's run that all of it follows from, while there is one: faces without a trace get it.
    pub(crate) trace: Option<Text>,
    drafts: Vec<Draft>,
}

/// Where a decision stood.
pub(crate) struct Mark {
    state: Workspace,
    len: usize,
}

impl<'a> Unfolding<'a> {
    pub(crate) fn of(state: &Workspace, context: &'a Context<'a>) -> Self {
        Self { state: state.clone(), context, trace: None, drafts: vec![] }
    }

    /// One more fact.
    pub(crate) fn add(&mut self, mut draft: Draft) {
        if let (Some(trace), Some(face)) = (&self.trace, &mut draft.face)
            && face.trace_id.is_none()
        {
            face.trace_id = Some(trace.clone());
        }
        let entry = draft.at(self.next(), self.context.now, self.context.actor.clone());
        self.state.apply(&entry);
        self.drafts.push(Draft { subject: entry.subject, event: entry.event, face: entry.face });
    }

    pub(crate) fn extend(&mut self, drafts: impl IntoIterator<Item = Draft>) {
        drafts.into_iter().for_each(|draft| self.add(draft));
    }

    /// Where it stands: to go back to, if what follows is too much.
    pub(crate) fn mark(&self) -> Mark {
        Mark { state: self.state.clone(), len: self.drafts.len() }
    }

    /// Forgets what was decided since.
    pub(crate) fn go_back(&mut self, mark: Mark) {
        self.state = mark.state;
        self.drafts.truncate(mark.len);
    }

    /// What was decided behind the first ones.
    pub(crate) fn since(&self, len: usize) -> &[Draft] {
        self.drafts.get(len..).unwrap_or_default()
    }

    /// How many facts there are so far.
    pub(crate) fn len(&self) -> usize {
        self.drafts.len()
    }

    /// Where the next fact will stand.
    pub(crate) fn next(&self) -> Offset {
        self.context.next.plus(self.drafts.len() as u64)
    }

    pub(crate) fn finish(self) -> Vec<Draft> {
        self.drafts
    }
}

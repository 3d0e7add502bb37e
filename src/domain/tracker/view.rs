//! Saved views: filters and orders that people keep under a name (`issues.md` 16).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{asked, name, not_empty, room, some, word};
use super::{Body, SavedViewCreated, SavedViewDeleted, SavedViewDraft, SavedViewUpdated};
use crate::entry::words;
use crate::roster::audit;
use crate::unfolding::Unfolding;
use crate::{Actor, Draft, Face, Offset, Rejection, SavedViewId, Text, Time, UserId, Workspace};

/// Most views of one person.
const VIEWS_MAX: usize = 500;
/// Longest of the texts that only their owner understands.
const TEXT_BYTES_MAX: usize = 64 << 10;

words! {
    /// How a view shows issues.
    ViewType {
        /// One below the other.
        #[default]
        List = "list",
        /// By status, side by side.
        Board = "board",
    }
}

/// What people set of a view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SavedViewFacts {
    /// What it is called.
    pub name: Text,
    /// What it shows, as it was sent.
    pub filters_json: Text,
    /// In which order, as it was sent.
    pub sort_json: Option<Text>,
    /// How.
    pub view_type: ViewType,
    /// Whether it is its owner's first of its type.
    pub is_default: bool,
    /// Whether others see it.
    pub shared: bool,
}

/// A view as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedView {
    /// Its id.
    pub id: SavedViewId,
    /// Whose it is.
    pub owner: UserId,
    /// What people set of it.
    pub facts: SavedViewFacts,
    /// When it was saved.
    pub created_at: Time,
    /// Offset of its creation.
    pub born: Offset,
}

impl SavedViewFacts {
    fn with(&self, patch: &SavedViewDraft) -> Result<Self, Rejection> {
        let mut facts = self.clone();
        if let Some(wish) = &patch.name {
            facts.name = name(Some(wish))?;
        }
        if let Some(filters) = &patch.filters_json {
            facts.filters_json = filters_json(Some(filters))?;
        }
        if let Some(sort) = &patch.sort_json {
            facts.sort_json = some(short("sort_json must be at most 64 KB", sort)?);
        }
        if let Some(kind) = &patch.view_type {
            let all = ViewType::ALL.iter().map(|kind| kind.as_str());
            facts.view_type = word(ViewType::parse(kind), "view_type", all)?;
        }
        facts.is_default = patch.is_default.unwrap_or(facts.is_default);
        facts.shared = patch.shared.unwrap_or(facts.shared);
        Ok(facts)
    }
}

fn filters_json(wish: Option<&String>) -> Result<Text, Rejection> {
    match wish.map(String::as_str).unwrap_or_default() {
        "" => Err(Rejection::invalid("saved_view.filters_required", "filters_json is required")),
        filters => short("filters_json must be at most 64 KB", filters).map(Into::into),
    }
}

fn short<'a>(detail: &'static str, text: &'a str) -> Result<&'a str, Rejection> {
    if text.len() > TEXT_BYTES_MAX {
        Err(Rejection::invalid("saved_view.too_long", detail))
    } else {
        Ok(text)
    }
}

/// What a view of one's own is called is nobody's business.
fn face(verb: &str, id: &SavedViewId, view: &SavedViewFacts, actor: &Actor) -> Face {
    let details = if view.shared { &*view.name } else { "" };
    audit(verb, "SAVED_VIEW", id.as_str(), details, actor)
}

impl Workspace {
    /// A view.
    ///
    /// # Errors
    /// `Saved view not found`.
    pub fn saved_view(&self, id: &str) -> Result<&SavedView, Rejection> {
        let found = self.tracker.views.get(id).map(|view| &**view);
        found.ok_or_else(|| Rejection::not_found("saved_view.not_found", "Saved view not found"))
    }

    /// The views that a person sees: their own default ones first, then by name.
    #[must_use]
    pub fn views_for(&self, user: &UserId) -> Vec<&SavedView> {
        let is_seen = |view: &&SavedView| view.owner == *user || view.facts.shared;
        let mut views: Vec<_> = self.tracker.views.values().map(|view| &**view).filter(is_seen).collect();
        views.sort_by_key(|view| {
            let is_first = view.facts.is_default && view.owner == *user;
            (!is_first, view.facts.name.clone(), view.born)
        });
        views
    }

    /// A view of the caller's own.
    fn own_view(
        &self,
        id: &SavedViewId,
        actor: &Actor,
        detail: &'static str,
    ) -> Result<&SavedView, Rejection> {
        let view = self.saved_view(id.as_str())?;
        if actor.user() != Some(&view.owner) {
            return Err(Rejection::forbidden_because("saved_view.not_own", detail));
        }
        Ok(view)
    }
}

impl Unfolding<'_> {
    pub(super) fn create_view(&mut self, draft: &SavedViewDraft) -> Result<(), Rejection> {
        let owner_id = self.context.actor.user().ok_or_else(Rejection::forbidden)?.clone();
        let nothing = SavedViewFacts {
            name: name(draft.name.as_deref())?,
            filters_json: filters_json(draft.filters_json.as_ref())?,
            sort_json: None,
            view_type: ViewType::default(),
            is_default: false,
            shared: false,
        };
        let view_type = draft.view_type.clone().filter(|word| !word.is_empty());
        let view = nothing.with(&SavedViewDraft { view_type, ..draft.clone() })?;
        let own = self.state.tracker.views.values().filter(|view| view.owner == owner_id);
        room(own.count(), VIEWS_MAX, "saved views of yours")?;
        let id = SavedViewId::from(self.context.mint.cuid());
        if view.is_default {
            self.clear_default(&owner_id, view.view_type, &id);
        }
        let face = face("created", &id, &view, self.context.actor);
        self.add(Draft::public(id.as_str(), SavedViewCreated { owner_id, view }, face));
        Ok(())
    }

    pub(super) fn update_view(
        &mut self,
        id: &SavedViewId,
        patch: &Body<SavedViewDraft>,
    ) -> Result<(), Rejection> {
        let detail = "Only the view owner can update it";
        let before = self.state.own_view(id, self.context.actor, detail)?.clone();
        let patch = asked(patch)?;
        let view = before.facts.with(patch)?;
        not_empty(patch)?;
        if view != before.facts {
            if view.is_default {
                self.clear_default(&before.owner, view.view_type, id);
            }
            self.put_view(id, view);
        }
        Ok(())
    }

    pub(super) fn delete_view(&mut self, id: &SavedViewId) -> Result<(), Rejection> {
        let detail = "Only the view owner can delete it";
        let view = self.state.own_view(id, self.context.actor, detail)?.clone();
        let face = face("deleted", id, &view.facts, self.context.actor);
        self.add(Draft::public(id.as_str(), SavedViewDeleted { owner_id: view.owner }, face));
        Ok(())
    }

    /// One default for each person and type: another one ends the one before.
    fn clear_default(&mut self, owner: &UserId, view_type: ViewType, but: &SavedViewId) {
        let is_other = |view: &&SavedView| {
            view.owner == *owner
                && view.facts.view_type == view_type
                && view.facts.is_default
                && view.id != *but
        };
        let others = self.state.tracker.views.values().map(|view| &**view).filter(is_other);
        let others: Vec<SavedView> = others.cloned().collect();
        for other in others {
            self.put_view(&other.id, SavedViewFacts { is_default: false, ..other.facts });
        }
    }

    fn put_view(&mut self, id: &SavedViewId, view: SavedViewFacts) {
        let face = face("updated", id, &view, self.context.actor);
        self.add(Draft::public(id.as_str(), SavedViewUpdated { view }, face));
    }
}

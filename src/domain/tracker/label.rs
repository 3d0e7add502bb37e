//! Labels (`issues.md` 15.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{asked, name, not_empty, room, short};
use super::{Body, LabelCreated, LabelDeleted, LabelDraft, LabelUpdated};
use crate::issue::Detached;
use crate::roster::audit;
use crate::unfolding::Unfolding;
use crate::{Context, Draft, LabelId, Offset, Rejection, Text, Time, Workspace};

/// Most labels of a workspace.
const LABELS_MAX: usize = 10_000;

/// What people set of a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelFacts {
    /// What it is called: unique in its workspace, capitals count.
    pub name: Text,
    /// Its color, any text.
    pub color: Text,
    /// What it is shown with.
    pub label_group: Option<Text>,
}

/// A label as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Its id.
    pub id: LabelId,
    /// What people set of it.
    pub facts: LabelFacts,
    /// When it was created.
    pub created_at: Time,
    /// Offset of its creation.
    pub born: Offset,
}

fn color(wish: Option<&str>) -> Result<Text, Rejection> {
    let color = wish.unwrap_or_default().trim();
    let required = || Rejection::invalid("label.color_required", "color is required");
    short("color", color)?.ok_or_else(required)
}

impl Workspace {
    /// A label.
    ///
    /// # Errors
    /// `Label not found`.
    pub fn label(&self, id: &str) -> Result<&Label, Rejection> {
        let found = self.tracker.labels.get(id);
        found.map(|label| &**label).ok_or_else(|| Rejection::not_found("label.not_found", "Label not found"))
    }

    pub(super) fn create_label(
        &self,
        draft: &LabelDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let label = LabelFacts {
            name: name(draft.name.as_deref())?,
            color: color(draft.color.as_deref())?,
            label_group: short("label_group", draft.label_group.as_deref().unwrap_or_default())?,
        };
        self.label_name_is_free(&label.name, None)?;
        room(self.tracker.labels.len(), LABELS_MAX, "labels")?;
        let id = LabelId::from(context.mint.cuid());
        let face = audit("created", "LABEL", id.as_str(), &label.name, context.actor);
        Ok(vec![Draft::public(id.as_str(), LabelCreated { label }, face)])
    }

    pub(super) fn update_label(
        &self,
        id: &LabelId,
        patch: &Body<LabelDraft>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let before = self.label(id.as_str())?;
        let patch = asked(patch)?;
        let mut label = before.facts.clone();
        if let Some(wish) = &patch.name {
            label.name = name(Some(wish))?;
        }
        if let Some(wish) = &patch.color {
            label.color = color(Some(wish))?;
        }
        if let Some(group) = &patch.label_group {
            label.label_group = short("label_group", group)?;
        }
        not_empty(patch)?;
        self.label_name_is_free(&label.name, Some(id))?;
        if label == before.facts {
            return Ok(vec![]);
        }
        let face = audit("updated", "LABEL", id.as_str(), &label.name, context.actor);
        Ok(vec![Draft::public(id.as_str(), LabelUpdated { label }, face)])
    }

    fn label_name_is_free(&self, name: &Text, own: Option<&LabelId>) -> Result<(), Rejection> {
        match self.tracker.label_names.get(name) {
            Some(holder) if Some(holder) != own => {
                let detail = format!("A label named \"{name}\" already exists in this workspace");
                Err(Rejection::conflict("label.name_taken", detail))
            }
            _ => Ok(()),
        }
    }
}

impl Unfolding<'_> {
    /// A label goes, from issues, rules and templates too.
    pub(super) fn delete_label(&mut self, id: &LabelId) -> Result<(), Rejection> {
        let label = self.state.label(id.as_str())?.clone();
        let issues = self.state.issues.of_label(id).cloned().collect();
        self.detach(&Detached::Label(id.clone()), issues);
        self.change_rules(|rule| rule.labels.retain(|own| own != id));
        self.change_templates(|template| template.labels.retain(|own| own != id));
        let face = audit("deleted", "LABEL", id.as_str(), &label.facts.name, self.context.actor);
        self.add(Draft::public(id.as_str(), LabelDeleted { name: label.facts.name }, face));
        Ok(())
    }
}

//! Projects (`issues.md` 15.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{asked, date, description, name, not_empty, room, short, word};
use super::{Body, MilestoneDeleted, ProjectCreated, ProjectDeleted, ProjectDraft, ProjectUpdated};
use crate::entry::words;
use crate::issue::{Detached, IssuePriority, Party, PartyType, Tally};
use crate::roster::audit;
use crate::unfolding::Unfolding;
use crate::{Context, Draft, MilestoneId, Offset, ProjectId, Rejection, Text, Time, Workspace};

/// Most projects of a workspace.
const PROJECTS_MAX: usize = 10_000;
const COLOR_DEFAULT: &str = "blue";

words! {
    /// Where a project stands.
    ProjectStatus {
        /// Not planned yet.
        #[default]
        Backlog = "backlog",
        /// To be done.
        Planned = "planned",
        /// Under way.
        InProgress = "in_progress",
        /// Not now.
        Paused = "paused",
        /// Done.
        Completed = "completed",
        /// Not wanted any more.
        Cancelled = "cancelled",
    }
}

words! {
    /// How a project does.
    ProjectHealth {
        /// As it should.
        #[default]
        OnTrack = "on_track",
        /// It may not.
        AtRisk = "at_risk",
        /// It does not.
        OffTrack = "off_track",
    }
}

/// What people set of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectFacts {
    /// What it is called.
    pub name: Text,
    /// Its name in URLs: made of its name, unique in its workspace.
    pub slug: Text,
    /// What it is about.
    pub description: Option<Text>,
    /// Icon name.
    pub icon: Option<Text>,
    /// Its color.
    pub color: Text,
    /// Where it stands.
    pub status: ProjectStatus,
    /// How much it matters.
    pub priority: IssuePriority,
    /// How it does.
    pub health: ProjectHealth,
    /// Who leads it.
    pub lead: Option<Party>,
    /// When it begins, as it was sent.
    pub start_date: Option<Text>,
    /// When it is to be done, as it was sent.
    pub target_date: Option<Text>,
}

/// A project as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What people set of it.
    pub facts: ProjectFacts,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Offset of its creation.
    pub born: Offset,
    /// Offset of its last change.
    pub changed: Offset,
}

/// What has a slug by its name has that one; the others are called by their ids.
fn slug(name: &str, id: &ProjectId) -> Text {
    slug_of(name).unwrap_or_else(|| id.as_str().into())
}

/// Lower case, spaces to hyphens, letters and digits only; none, if there are none of these.
pub(super) fn slug_of(name: &str) -> Option<Text> {
    let mut slug = String::new();
    for letter in name.trim().to_lowercase().chars() {
        match letter {
            'a'..='z' | '0'..='9' => slug.push(letter),
            ' ' | '-' if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.into())
}

impl Workspace {
    /// A project by id, or by slug (`client.md` 7, row 11).
    ///
    /// # Errors
    /// `Project not found`.
    pub fn project(&self, id_or_slug: &str) -> Result<&Project, Rejection> {
        let found = self.tracker.project(id_or_slug);
        let not_found = || Rejection::not_found("project.not_found", "Project not found");
        found.map(|project| &**project).ok_or_else(not_found)
    }

    /// How the issues of a project stand.
    #[must_use]
    pub fn project_tally(&self, project: &ProjectId) -> Tally {
        self.issues.tallies.of_project(project)
    }

    pub(super) fn create_project(
        &self,
        draft: &ProjectDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let id = ProjectId::from(context.mint.cuid());
        let name = name(draft.name.as_deref())?;
        let nothing = ProjectFacts {
            slug: slug(&name, &id),
            name,
            description: None,
            icon: None,
            color: COLOR_DEFAULT.into(),
            status: ProjectStatus::default(),
            priority: IssuePriority::default(),
            health: ProjectHealth::default(),
            lead: None,
            start_date: None,
            target_date: None,
        };
        // An empty word on create is one that is not said.
        let unless_empty = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
        let draft = ProjectDraft {
            name: None,
            status: unless_empty(&draft.status),
            health: unless_empty(&draft.health),
            ..draft.clone()
        };
        let project = self.project_with(&nothing, &draft, &id)?;
        self.project_slug_is_free(&project.slug, None)?;
        room(self.tracker.projects.len(), PROJECTS_MAX, "projects")?;
        let face = audit("created", "PROJECT", id.as_str(), &project.name, context.actor);
        Ok(vec![Draft::public(id.as_str(), ProjectCreated { project: project.into() }, face)])
    }

    pub(super) fn update_project(
        &self,
        project: &str,
        patch: &Body<Box<ProjectDraft>>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let before = self.project(project)?;
        let (id, patch) = (&before.id, asked(patch)?);
        let project = self.project_with(&before.facts, patch, id)?;
        not_empty(patch)?;
        self.project_slug_is_free(&project.slug, Some(id))?;
        if project == before.facts {
            return Ok(vec![]);
        }
        let face = audit("updated", "PROJECT", id.as_str(), &project.name, context.actor);
        Ok(vec![Draft::public(id.as_str(), ProjectUpdated { project: project.into() }, face)])
    }

    fn project_with(
        &self,
        before: &ProjectFacts,
        patch: &ProjectDraft,
        id: &ProjectId,
    ) -> Result<ProjectFacts, Rejection> {
        let mut facts = before.clone();
        if let Some(wish) = &patch.name {
            facts.name = name(Some(wish))?;
            facts.slug = slug(&facts.name, id);
        }
        if let Some(status) = &patch.status {
            let all = ProjectStatus::ALL.iter().map(|status| status.as_str());
            facts.status = word(ProjectStatus::parse(status), "status", all)?;
        }
        if let Some(word) = &patch.priority {
            facts.priority = super::fields::priority(word)?.unwrap_or_default();
        }
        if let Some(health) = &patch.health {
            let all = ProjectHealth::ALL.iter().map(|health| health.as_str());
            facts.health = word(ProjectHealth::parse(health), "health", all)?;
        }
        facts.lead = self.lead_with(before.lead.as_ref(), patch)?;
        if let Some(day) = &patch.start_date {
            facts.start_date = date("start_date", day)?;
        }
        if let Some(day) = &patch.target_date {
            facts.target_date = date("target_date", day)?;
        }
        if let Some(text) = &patch.description {
            facts.description = description(text)?;
        }
        if let Some(text) = &patch.icon {
            facts.icon = short("icon", text)?;
        }
        if let Some(text) = &patch.color {
            facts.color = short("color", text)?.unwrap_or_else(|| COLOR_DEFAULT.into());
        }
        Ok(facts)
    }

    /// Type and id of a lead come as a pair; the half that is not sent is the one that is there.
    fn lead_with(&self, before: Option<&Party>, patch: &ProjectDraft) -> Result<Option<Party>, Rejection> {
        if patch.lead_type.is_none() && patch.lead_id.is_none() {
            return Ok(before.cloned());
        }
        let kind = match patch.lead_type.as_deref() {
            None => before.map(|before| before.kind),
            Some("") => None,
            Some(word) => Some(PartyType::parse(word).ok_or_else(|| {
                Rejection::invalid("project.lead_type", "lead_type must be 'user' or 'agent'")
            })?),
        };
        if patch.lead_type.as_deref() == Some("") && patch.lead_id.is_none() {
            // Either half clears both (`issues.md` 15.2).
            return Ok(None);
        }
        let id = patch.lead_id.as_deref().or(before.map(|before| &*before.id));
        let Some(id) = id.filter(|id| !id.is_empty()) else { return Ok(None) };
        let kind = kind.ok_or_else(|| {
            Rejection::invalid("project.lead_type_required", "lead_type is required when lead_id is set")
        })?;
        self.party(kind, id, "lead_id").map(Some)
    }

    fn project_slug_is_free(&self, slug: &Text, own: Option<&ProjectId>) -> Result<(), Rejection> {
        match self.tracker.project_slugs.get(slug) {
            Some(holder) if Some(holder) != own => {
                let detail = format!("A project with the slug \"{slug}\" already exists in this workspace");
                Err(Rejection::conflict("project.slug_taken", detail))
            }
            _ => Ok(()),
        }
    }
}

impl Unfolding<'_> {
    /// A project goes with its milestones; its issues stay, and nothing points to it any more.
    pub(super) fn delete_project(&mut self, project: &str) -> Result<(), Rejection> {
        let project = self.state.project(project)?.clone();
        let own: Vec<(MilestoneId, Text)> = self
            .state
            .tracker
            .milestones_of(&project.id)
            .map(|milestone| (milestone.id.clone(), milestone.facts.name.clone()))
            .collect();
        let milestones: Vec<MilestoneId> = own.iter().map(|(id, _)| id.clone()).collect();
        let issues = self.state.issues.of_project(&project.id).map(|issue| issue.id.clone()).collect();
        self.detach(&Detached::Project(project.id.clone()), issues);
        for milestone in &milestones {
            let issues = self.state.issues.of_milestone(milestone).map(|issue| issue.id.clone()).collect();
            self.detach(&Detached::Milestone(milestone.clone()), issues);
        }
        self.change_rules(|rule| drop(rule.project_id.take_if(|own| *own == project.id)));
        self.change_templates(|template| {
            template.project_id.take_if(|own| *own == project.id);
            template.milestone_id.take_if(|own| milestones.contains(own));
        });
        for (id, name) in own {
            let face = audit("deleted", "MILESTONE", id.as_str(), &name, self.context.actor);
            let deleted = MilestoneDeleted { project_id: project.id.clone() };
            self.add(Draft::public(id.as_str(), deleted, face));
        }
        let face = audit("deleted", "PROJECT", project.id.as_str(), &project.facts.name, self.context.actor);
        let deleted = ProjectDeleted { slug: project.facts.slug, milestones };
        self.add(Draft::public(project.id.as_str(), deleted, face));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_name() {
        let id = ProjectId::from("cid");
        for (name, expected) in [
            ("Mobile App", "mobile-app"),
            ("  Q3: Ship -- the *beta*!  ", "q3-ship-the-beta"),
            ("Čeština", "etina"),
            ("--", "cid"),
            ("日本", "cid"),
        ] {
            assert_eq!(&*slug(name, &id), expected, "{name}");
        }
    }
}

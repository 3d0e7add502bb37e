//! What changed since a cursor: all that a client without a connection has to catch up with (`issues.md` 22).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{Relation, RelationType};
use taffrail_domain::{EntryId, MissionId, Offset, RelationId, Text, Workspace};
use taffrail_projections::{Change, Thing, WorkspaceWorld, World};

use super::answer::Told;
use super::caller::Member;
use super::gate::ReadIssues;
use super::issue_comments::CommentView;
use super::issue_view::{IssueView, LabelView, Showing};
use super::milestones::MilestoneView;
use super::page::PageQuery;
use super::problem::Problem;
use super::projects::ProjectView;
use super::query::{Query, Word};
use super::time::Seconds;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 500;
/// About the bytes of a page: it ends behind the change that reaches them.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Since when.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ChangesQuery {
    /// `next` of the answer before; everything there is without it.
    after: Word,
    /// Changes, 1 to 500; 100 without it.
    #[serde(flatten)]
    page: PageQuery,
}

/// A page of changes, oldest first. Each thing stands once, as it is now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueChanges")]
pub(super) struct ChangesView {
    changes: Vec<ChangeView>,
    /// From where to go on: opaque.
    next: ChangesCursor,
    /// Whether there is more already.
    has_more: bool,
}

/// A thing that changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueChange")]
struct ChangeView {
    /// Where it last changed.
    cursor: EntryId,
    /// `issue`, `comment`, `relation`, `label`, `project` or `milestone`.
    r#type: &'static str,
    id: String,
    /// Whether it is gone.
    deleted: bool,
    /// As it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ThingView>,
}

/// A thing as it is now.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "IssueThing")]
enum ThingView {
    Issue(Box<IssueView>),
    Comment(CommentView),
    Relation(LinkView),
    Label(LabelView),
    Project(Box<ProjectView>),
    Milestone(MilestoneView),
}

/// A link as it is stored.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueLink")]
struct LinkView {
    id: RelationId,
    source_id: MissionId,
    target_id: MissionId,
    relation_type: RelationType,
    created_at: Seconds,
}

/// `GET /api/v1/issues/changes`
pub(super) async fn list_issue_changes(
    member: Member<ReadIssues>,
    Query(query): Query<ChangesQuery>,
) -> Result<Told<ChangesView>, Problem> {
    let world = member.world();
    let (offset, thing) = match query.after.get() {
        None => (Offset(0), None),
        Some(text) => {
            let bad = || Problem::invalid("changes.bad_after", "bad after");
            let place = ChangesCursor::parse(text).ok_or_else(bad)?;
            let is_here = place.entry.log == world.log() && place.entry.offset <= world.head();
            (place.entry.offset, is_here.then_some(place.thing).ok_or_else(bad)?)
        }
    };
    let limit = query.page.page(PAGE_DEFAULT, PAGE_MAX).limit;
    let mut changes = world.changes.after(offset, thing).peekable();
    let (mut page, mut bytes) = (vec![], 0);
    while page.len() < limit
        && bytes < PAGE_BYTES_MAX
        && let Some(change) = changes.next()
    {
        bytes += text_bytes(&change.thing, &world.state);
        page.push(change);
    }
    let next = match (page.last(), changes.peek()) {
        (Some(last), Some(more)) => ChangesCursor {
            entry: world.entry_id(last.offset),
            thing: (more.offset == last.offset).then(|| last.thing.clone()),
        },
        // Who has everything goes on from the head: what changes next comes behind it.
        _ => ChangesCursor { entry: world.entry_id(world.head()), thing: None },
    };
    let has_more = changes.peek().is_some();
    let showing = member.showing(&world.state);
    let views = page.iter().map(|change| ChangeView::of(change, &world, &showing)).collect();
    Ok(Told::new(&ChangesView { changes: views, next, has_more }))
}

/// Bytes of the texts of a thing that may be long.
fn text_bytes(thing: &Thing, state: &Workspace) -> usize {
    let of = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
    match thing {
        Thing::Issue(id) => state
            .issues
            .all
            .get(id)
            .map_or(0, |issue| of(&issue.description) + issue.facts.routine_inputs.get().len()),
        Thing::Comment(id) => state.issues.comments.get(id).map_or(0, |comment| comment.body.len()),
        Thing::Project(id) => state.tracker.projects.get(id).map_or(0, |found| of(&found.facts.description)),
        Thing::Milestone(id) => {
            state.tracker.milestones.get(id).map_or(0, |found| of(&found.facts.description))
        }
        Thing::Relation(_) | Thing::Label(_) => 0,
    }
}

/// A cursor of the feed: an entry, and what of all that it changed is told already, if not all is.
#[derive(JsonSchema)]
#[schemars(with = "String")]
struct ChangesCursor {
    entry: EntryId,
    thing: Option<Thing>,
}

impl ChangesCursor {
    fn parse(text: &str) -> Option<Self> {
        let (entry, thing) = text.split_once('.').map_or((text, None), |(entry, thing)| (entry, Some(thing)));
        let thing = match thing {
            Some(text) => Some(read(text)?),
            None => None,
        };
        Some(Self { entry: EntryId::parse(entry)?, thing })
    }
}

impl Serialize for ChangesCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.thing {
            None => self.entry.serialize(serializer),
            Some(thing) => {
                let (kind, id) = named(thing);
                serializer.collect_str(&format_args!("{}.{kind}.{id}", self.entry))
            }
        }
    }
}

/// What a thing is called: its kind and its id.
fn named(thing: &Thing) -> (&'static str, &str) {
    match thing {
        Thing::Issue(id) => ("issue", id.as_str()),
        Thing::Comment(id) => ("comment", id.as_str()),
        Thing::Relation(id) => ("relation", id.as_str()),
        Thing::Label(id) => ("label", id.as_str()),
        Thing::Project(id) => ("project", id.as_str()),
        Thing::Milestone(id) => ("milestone", id.as_str()),
    }
}

/// Reads what [`named`] says, with a point between the two.
fn read(text: &str) -> Option<Thing> {
    let (kind, id) = text.split_once('.')?;
    Some(match kind {
        "issue" => Thing::Issue(id.into()),
        "comment" => Thing::Comment(id.into()),
        "relation" => Thing::Relation(id.into()),
        "label" => Thing::Label(id.into()),
        "project" => Thing::Project(id.into()),
        "milestone" => Thing::Milestone(id.into()),
        _ => return None,
    })
}

impl ChangeView {
    fn of(change: &Change, world: &WorkspaceWorld, showing: &Showing<'_>) -> Self {
        let state = &world.state;
        let data = match &change.thing {
            Thing::Issue(id) => {
                state.issues.all.get(id).map(|issue| ThingView::Issue(showing.issue(issue).into()))
            }
            Thing::Comment(id) => {
                let comment = state.issues.comments.get(id);
                comment.map(|comment| ThingView::Comment(showing.comment(comment)))
            }
            Thing::Relation(id) => {
                state.issues.relations.get(id).map(|link| ThingView::Relation(LinkView::of(link)))
            }
            Thing::Label(id) => {
                state.tracker.labels.get(id).map(|label| ThingView::Label(LabelView::of(label)))
            }
            Thing::Project(id) => {
                let project = state.tracker.projects.get(id);
                project.map(|project| ThingView::Project(ProjectView::of(project, showing).into()))
            }
            Thing::Milestone(id) => {
                let milestone = state.tracker.milestones.get(id);
                milestone.map(|milestone| ThingView::Milestone(MilestoneView::of(milestone, state)))
            }
        };
        let (r#type, id) = named(&change.thing);
        Self {
            cursor: world.entry_id(change.offset),
            r#type,
            id: id.to_owned(),
            deleted: data.is_none(),
            data,
        }
    }
}

impl LinkView {
    fn of(link: &Relation) -> Self {
        Self {
            id: link.id.clone(),
            source_id: link.source.clone(),
            target_id: link.target.clone(),
            relation_type: link.relation_type,
            created_at: Seconds(link.created_at),
        }
    }
}

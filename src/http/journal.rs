//! The journal: list, count, one entry (`journal.md` 2.1, 3.1–3.3).

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::{
    ActorType, AgentId, CrewId, Entry, EntryId, Face, Json as Object, MissionId, Offset, Priority, Rejection,
    Severity, WorkspaceId,
};
use taffrail_projections::{Filter, Order, WorkspaceWorld, World};
use tokio::task::spawn_blocking;

use super::App;
use super::answer::{Shown, Told};
use super::caller::Member;
use super::gate::ReadJournal;
use super::problem::Problem;
use super::query::{Csv, Number, Query, Word};
use super::time::{self, Millis};
use crate::boot::Read;
use crate::search::Phrase;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: i64 = 500;
const SEARCH_BYTES_MAX: usize = 200;
/// Bodies that one page reads. The entry that reaches it is the page's last: `next_cursor` is then set
/// although the page is not full. One large entry is always shown, so every page moves on.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// An entry on the wire: what is empty is left out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entry")]
pub(super) struct EntryView<'a> {
    id: EntryId,
    workspace_id: &'a WorkspaceId,
    ts: Millis,
    entry_type: &'a str,
    severity: Severity,
    priority: Priority,
    actor_type: ActorType,
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    crew_id: Option<&'a CrewId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mission_id: Option<&'a MissionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<&'a Object>,
}

/// One page of entries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entries")]
pub(super) struct PageView<'a> {
    entries: Vec<EntryView<'a>>,
    next_cursor: String,
    count: usize,
}

/// How many entries match.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EntryCount")]
pub(super) struct CountView {
    total: u64,
}

/// Which entries; all conditions together (`journal.md` 3.1).
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EntryFilter {
    /// Of this crew.
    crew_id: Word,
    /// Of any of these crews, comma separated; replaces `crew_id`.
    crew_ids: Csv,
    /// Of this agent.
    agent_id: Word,
    /// Of any of these agents, comma separated; replaces `agent_id`.
    agent_ids: Csv,
    /// Of this mission, living or not.
    mission_id: Word,
    /// Of this trace.
    trace_id: Word,
    /// Of this run: as trace or as actor.
    run_id: Word,
    /// Any of these types, comma separated.
    entry_type: Csv,
    /// None of these types, comma separated.
    exclude_entry_type: Csv,
    /// Any of `info`, `notice`, `warn`, `error`, comma separated.
    severity: Csv,
    /// Any of these sorts of actor, comma separated.
    actor_type: Csv,
    /// Any of `normal`, `high`, `pin`, `permanent`, comma separated.
    priority: Csv,
    /// Not before this time (RFC 3339).
    since: Word,
    /// Not after this time (RFC 3339).
    until: Word,
    /// Full text: words that follow one another in the summary or in the payload, in any of their forms.
    q: Word,
    /// Only behind this entry.
    pub(super) after: Word,
}

/// Which entries, from where and how many.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EntryQuery {
    #[serde(flatten)]
    pub(super) filter: EntryFilter,
    /// `desc` (newest first, the default) or `asc`.
    order: Word,
    /// `next_cursor` of the page before.
    cursor: Word,
    /// Most entries, 1 to 500; 100 without it.
    limit: Number,
}

/// `GET /api/v1/journal`
pub(super) async fn list_entries(
    member: Member<ReadJournal>,
    Query(query): Query<EntryQuery>,
) -> Result<Told<PageView<'static>>, Problem> {
    let world = member.world();
    let (mut filter, phrase) = filter(&query.filter, &world)?;
    let order = order(&query)?;
    go_on_behind(cursor(&query, &world)?, order, &mut filter);
    let limit = limit(&query)?;
    filter.within = found(&member.app, &world, phrase.as_ref(), filter.after).await?;
    let select = move |world: &WorkspaceWorld| world.timeline.select(&filter, order, limit, &world.state);
    let offsets = scan(&world, select).await?;
    let (entries, reached_the_budget) = page(&member, &world, offsets).await?;
    // A full page may have a next one; only reading it tells.
    let last = entries.last().filter(|_| entries.len() == limit || reached_the_budget);
    let next_cursor = last.map(|last| format!("{}|{}", Millis(last.time), world.entry_id(last.offset)));
    let views: Vec<_> = entries.iter().filter_map(|entry| EntryView::of(entry, &world, &member.id)).collect();
    let count = views.len();
    let page = PageView { entries: views, next_cursor: next_cursor.unwrap_or_default(), count };
    Ok(Told::new(&page).unborrowed())
}

/// The entries of one page as far as the budget goes, and whether it ended there. The public sees no
/// events: they are not kept.
async fn page(
    member: &Member<ReadJournal>,
    world: &WorkspaceWorld,
    offsets: Vec<Offset>,
) -> Result<(Vec<Entry>, bool), Problem> {
    let mut entries = Vec::with_capacity(offsets.len());
    let mut bytes = 0;
    let take = |read: Read| {
        bytes += read.body_bytes;
        entries.push(Entry { event: None, ..read.entry });
        if bytes < PAGE_BYTES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    member.app.each_entry(world.log(), offsets, take).await?;
    Ok((entries, bytes >= PAGE_BYTES_MAX))
}

/// `GET /api/v1/journal/count`: the same filters; where a page would begin does not matter.
pub(super) async fn count_entries(
    member: Member<ReadJournal>,
    Query(query): Query<EntryFilter>,
) -> Result<Told<CountView>, Problem> {
    let world = member.world();
    let (mut filter, phrase) = filter(&query, &world)?;
    filter.within = found(&member.app, &world, phrase.as_ref(), filter.after).await?;
    let total = scan(&world, move |world| world.timeline.count(&filter, &world.state)).await?;
    Ok(Told::new(&CountView { total }))
}

/// Looks through a world off the runtime: where no index serves what is asked, all of it is looked at.
pub(super) async fn scan<T: Send + 'static>(
    world: &Arc<WorkspaceWorld>,
    look: impl FnOnce(&WorkspaceWorld) -> T + Send + 'static,
) -> Result<T, Problem> {
    let world = Arc::clone(world);
    spawn_blocking(move || look(&world)).await.map_err(|error| {
        tracing::error!(%error, "a scan panicked");
        Problem::internal()
    })
}

/// `GET /api/v1/journal/{entry}`
pub(super) async fn get_entry(
    member: Member<ReadJournal>,
    Path(entry): Path<String>,
) -> Result<Shown<EntryView<'static>>, Problem> {
    let world = member.world();
    let offset = public_offset(&world, &entry)?;
    let entries = member.app.entries_at(world.log(), vec![offset]).await?;
    let view = entries.first().and_then(|entry| EntryView::of(entry, &world, &member.id));
    Ok(Shown::new(offset, &view.ok_or_else(Problem::internal)?).unborrowed())
}

/// The offset that a public entry id names here.
///
/// # Errors
/// 404, the same for an unknown and a foreign one.
pub(super) fn public_offset(world: &WorkspaceWorld, id: &str) -> Result<Offset, Rejection> {
    world.public_offset(id).ok_or_else(|| Rejection::not_found("entry.not_found", "entry not found"))
}

impl<'a> EntryView<'a> {
    /// `None` for an entry that the public does not see.
    fn of(entry: &'a Entry, world: &WorkspaceWorld, workspace: &'a WorkspaceId) -> Option<Self> {
        let face: &Face = entry.face.as_ref()?;
        Some(Self {
            id: world.entry_id(entry.offset),
            workspace_id: workspace,
            ts: Millis(entry.time),
            entry_type: &face.entry_type,
            severity: face.severity,
            priority: world.timeline.priority(entry.offset),
            actor_type: face.actor_type,
            summary: &face.summary,
            crew_id: face.crew_id.as_ref(),
            agent_id: face.agent_id.as_ref(),
            mission_id: face.mission_id.as_ref(),
            actor_id: face.actor_id.as_deref(),
            trace_id: face.trace_id.as_deref(),
            payload: Some(&face.payload).filter(|payload| !payload.is_empty()),
            refs: Some(&face.refs).filter(|refs| !refs.is_empty()),
        })
    }
}

/// An entry as streams show it.
pub(super) fn shown(entry: &Entry, world: &WorkspaceWorld) -> Option<Bytes> {
    let workspace = &world.state.roster.opened.as_ref()?.id;
    let view = EntryView::of(entry, world, workspace)?;
    serde_json::to_vec(&view).ok().map(Bytes::from)
}

/// All conditions but the place of the page, in the order of the API page, and what the index is to be asked.
pub(super) fn filter(
    query: &EntryFilter,
    world: &WorkspaceWorld,
) -> Result<(Filter, Option<Phrase>), Problem> {
    let one_or_many = |one: &Word, many: &Csv| {
        if many.0.is_empty() { one.cloned().into_iter().collect() } else { many.0.clone() }
    };
    let filter = Filter {
        crews: one_or_many(&query.crew_id, &query.crew_ids),
        agents: one_or_many(&query.agent_id, &query.agent_ids),
        mission: query.mission_id.cloned(),
        trace: query.trace_id.cloned(),
        run: query.run_id.cloned(),
        types: query.entry_type.0.clone(),
        types_excluded: query.exclude_entry_type.0.clone(),
        severities: query.severity.0.clone(),
        actor_types: query.actor_type.0.clone(),
        priorities: priorities(&query.priority)?,
        since: query.since.get().map(|text| bound("since", text, time::not_before)).transpose()?,
        until: query.until.get().map(|text| bound("until", text, time::not_after)).transpose()?,
        after: after(query.after.get(), world)?,
        before: None,
        within: None,
    };
    Ok((filter, phrase(query.q.get())?))
}

fn priorities(words: &Csv) -> Result<Vec<Priority>, Problem> {
    words
        .0
        .iter()
        .map(|word| {
            Priority::parse(word).ok_or_else(|| {
                let detail = format!("priority must be one of normal|high|pin|permanent (got {word:?})");
                Problem::invalid("journal.priority", detail)
            })
        })
        .collect()
}

fn bound<T>(name: &str, text: &str, read: impl FnOnce(&str) -> Result<T, jiff::Error>) -> Result<T, Problem> {
    read(text).map_err(|error| Problem::invalid("journal.bad_time", format!("bad {name}: {error}")))
}

fn phrase(text: Option<&str>) -> Result<Option<Phrase>, Problem> {
    let text = text.unwrap_or_default().trim();
    if text.len() > SEARCH_BYTES_MAX {
        return Err(Problem::invalid("journal.q_too_long", "q parameter exceeds 200 characters"));
    }
    Ok((!text.is_empty()).then(|| Phrase::of(text)))
}

/// The entries that hold a phrase, where one is asked for.
pub(super) async fn found(
    app: &App,
    world: &WorkspaceWorld,
    phrase: Option<&Phrase>,
    after: Option<Offset>,
) -> Result<Option<Vec<Offset>>, Problem> {
    let Some(phrase) = phrase else { return Ok(None) };
    let search = app.search(world.log()).ok_or_else(Problem::internal)?;
    Ok(Some(search.journal_matches(world, phrase, after.unwrap_or_default()).await?))
}

/// Additive: only what stands behind this entry (`journal.md` 11.2).
fn after(text: Option<&str>, world: &WorkspaceWorld) -> Result<Option<Offset>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let place = place(text, world);
    place.map(Some).ok_or_else(|| Problem::invalid("journal.bad_after", "bad after"))
}

fn order(query: &EntryQuery) -> Result<Order, Problem> {
    match query.order.get() {
        None | Some("desc") => Ok(Order::NewestFirst),
        Some("asc") => Ok(Order::OldestFirst),
        Some(_) => Err(Problem::invalid("journal.order", "order must be asc or desc")),
    }
}

/// `<ts>|<id>` from a previous page; the id alone says where (ruling R5).
fn cursor(query: &EntryQuery, world: &WorkspaceWorld) -> Result<Option<Offset>, Problem> {
    let Some(text) = query.cursor.get() else { return Ok(None) };
    let id = text.rsplit_once('|').map_or(text, |(_, id)| id);
    let place = place(id, world);
    place.map(Some).ok_or_else(|| Problem::invalid("journal.bad_cursor", "bad cursor"))
}

/// A position in this workspace's log; a foreign one is none.
pub(super) fn place(id: &str, world: &WorkspaceWorld) -> Option<Offset> {
    EntryId::parse(id).filter(|id| id.log == world.log()).map(|id| id.offset)
}

/// The next page lies on the far side of the cursor, whichever way the list runs.
fn go_on_behind(cursor: Option<Offset>, order: Order, filter: &mut Filter) {
    match order {
        Order::NewestFirst => filter.before = cursor,
        Order::OldestFirst => filter.after = filter.after.max(cursor),
    }
}

pub(super) fn limit(query: &EntryQuery) -> Result<usize, Problem> {
    if !query.limit.is_sent() {
        return Ok(PAGE_DEFAULT);
    }
    let limit = query.limit.get().filter(|limit| (1..=PAGE_MAX).contains(limit));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    limit.ok_or_else(|| Problem::invalid("journal.limit", "limit must be 1..500"))
}

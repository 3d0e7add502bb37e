//! Issues, found by what they say (`issues.md` 22).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::MissionId;
use taffrail_projections::World;

use super::answer::Told;
use super::caller::Member;
use super::gate::ReadIssues;
use super::issue_view::{IssueView, Showing};
use super::problem::Problem;
use super::query::{Number, Query, Word};
use crate::search::{Hit, IssueQuery};

const FOUND_DEFAULT: usize = 20;
const FOUND_MAX: usize = 100;
const SEARCH_BYTES_MAX: usize = 200;

/// An issue that was found: all of it, and why.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FoundIssue")]
pub(super) struct FoundView {
    #[serde(flatten)]
    issue: IssueView,
    issue_id: MissionId,
    /// How well it fits, beside the others of this answer.
    score: f32,
    /// HTML: a piece of its text, escaped, with `<mark>` around what was found.
    snippet: String,
}

/// What to look for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct SearchQuery {
    /// Words, `"phrases"`, an identifier (`ENG-42`, `eng42`, `42`), and `is:open|closed|<status>`,
    /// `assignee:me|none|<id>`, `label:`, `-label:`, `project:`, `crew:`; required.
    q: Word,
    /// Most issues, 1 to 100; 20 without it.
    limit: Number,
}

/// `GET /api/v1/issues/search`: best first.
pub(super) async fn search_issues(
    member: Member<ReadIssues>,
    Query(query): Query<SearchQuery>,
) -> Result<Told<Vec<FoundView>>, Problem> {
    let text = query.q.get().unwrap_or_default().trim();
    if text.is_empty() {
        return Err(Problem::invalid("issue.q_required", "q is required"));
    }
    if text.len() > SEARCH_BYTES_MAX {
        return Err(Problem::invalid("issue.q_too_long", "q parameter exceeds 200 characters"));
    }
    let world = member.world();
    let search = member.app.search(world.log()).ok_or_else(Problem::internal)?;
    let wanted = IssueQuery::parse(text, member.user(), &world.state);
    let hits = search.issues(&world, &wanted, limit(query.limit)).await?;
    let showing = member.showing(&world.state);
    Ok(Told::new(&hits.into_iter().filter_map(|hit| FoundView::of(hit, &showing)).collect()))
}

/// As everywhere with issues: too many are the most, nonsense is the default (`issues.md` 6.1).
fn limit(wanted: Number) -> usize {
    let wanted = wanted.get().and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    wanted.map_or(FOUND_DEFAULT, |limit| limit.min(FOUND_MAX))
}

impl FoundView {
    fn of(hit: Hit, showing: &Showing<'_>) -> Option<Self> {
        let issue = showing.state.issues.all.get(&hit.issue)?;
        Some(Self {
            issue: showing.issue(issue),
            issue_id: hit.issue,
            score: hit.score,
            snippet: hit.snippet,
        })
    }
}

//! `GET /api/v1/admin/journal/verify`: whether anybody changed, removed or swapped an entry
//! (`journal.md` 4.2, 11.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::{EntryId, Offset, WorkspaceId};
use taffrail_journal::{Break, BreakKind, LogId, Proof};
use taffrail_projections::{WorkspaceWorld, World};

use super::answer::Told;
use super::caller::Member;
use super::gate::VerifyJournal;
use super::problem::Problem;
use super::query::{Query, Word};

/// How much is read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct VerifyQuery {
    /// `true` reads everything again. Without it, files that were proven before and have not been written
    /// to since are taken as proven; bits that rot without a write are found only so.
    all: Word,
}

/// What the chain says. What is empty is left out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verification")]
pub(super) struct VerifyView {
    workspace_id: WorkspaceId,
    ok: bool,
    /// Entries that the answer speaks for, those proven before included.
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_id: Option<EntryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    breaks: Vec<BreakView>,
    #[serde(skip_serializing_if = "is_zero")]
    break_count: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    breaks_truncated: bool,
    /// Where the journal ended when the proof began, and the chain hash there: kept elsewhere, it tells
    /// whether somebody puts a shorter journal in place.
    head_offset: u64,
    head_hash: String,
    /// The first entry that was read again for this answer.
    verified_from: u64,
}

/// One break.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Break")]
struct BreakView {
    seq: u64,
    id: EntryId,
    kind: &'static str,
    reason: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// `GET /api/v1/admin/journal/verify`: 200 whenever the check ran, whatever it found.
pub(super) async fn verify_journal(
    member: Member<VerifyJournal>,
    Query(query): Query<VerifyQuery>,
) -> Result<Told<VerifyView>, Problem> {
    let world = member.world();
    let all = query.all.get() == Some("true");
    let proof = member.app.journal().prove(LogId(world.log().0), all).await.map_err(|error| {
        tracing::error!(%error, "the journal could not be verified");
        Problem::failed("journal.verification_failed", "verification failed")
    })?;
    if !proof.is_whole() {
        tracing::error!(workspace.id = %member.id, breaks = proof.break_count, "the journal is broken");
    }
    Ok(Told::new(&VerifyView::of(proof, &world, member.id.clone())))
}

impl VerifyView {
    fn of(proof: Proof, world: &WorkspaceWorld, workspace_id: WorkspaceId) -> Self {
        let breaks: Vec<BreakView> = proof.breaks.iter().map(|found| BreakView::of(found, world)).collect();
        let first = breaks.first();
        Self {
            workspace_id,
            ok: proof.is_whole(),
            count: proof.head.offset,
            broken_seq: first.map(|first| first.seq),
            broken_id: first.map(|first| first.id),
            reason: first.map(|first| first.reason.clone()),
            breaks_truncated: proof.break_count > breaks.len() as u64,
            breaks,
            break_count: proof.break_count,
            head_offset: proof.head.offset,
            head_hash: proof.head.chain.iter().map(|byte| format!("{byte:02x}")).collect(),
            verified_from: proof.verified_from,
        }
    }
}

impl BreakView {
    fn of(found: &Break, world: &WorkspaceWorld) -> Self {
        let kind = match found.kind {
            BreakKind::Content => "content",
            BreakKind::Gap | BreakKind::Disorder | BreakKind::Link => "structure",
        };
        let id = world.entry_id(Offset(found.offset));
        Self { seq: found.offset, id, kind, reason: found.why.clone() }
    }
}

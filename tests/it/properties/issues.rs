//! What must hold after any history of issues.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use taffrail_domain::checkpoint::{CheckpointCommand, CheckpointDraft};
use taffrail_domain::escalation::{EscalationCommand, EscalationType, Question};
use taffrail_domain::issue::{
    AttachedFile, BulkDraft, CommentDraft, Detached, ImportedComment, ImportedIssue, Issue, IssueCommand,
    IssueDraft, IssueEvent, IssuePatch, IssueStatus, Issues, IssuesDetached, Place, RelationDraft,
    ReviewDraft,
};
use taffrail_domain::mission::TaskStatus;
use taffrail_domain::roster::{CrewPatch, Role, RosterCommand};
use taffrail_domain::undertaking::Phase;
use taffrail_domain::work::{Assignment, Delegation, Purpose, Report, WorkCommand};
use taffrail_domain::{Actor, Command, Draft, Entry, Event, Json, MissionId, Offset, Text, Time};
use taffrail_projections::{WorkspaceWorld, World};

use crate::stories::desk::{named, stored_and_read};
use crate::stories::kit::{CREW, LEAD, OTHER_CREW, OTHER_LEAD, WORKER, member};
use crate::stories::play::{Held, Play, answering, done, failed};

type Checked = Result<(), TestCaseError>;

/// What a patch, a new issue or a bulk update sets; the numbers pick.
#[derive(Clone, Debug)]
struct Fields {
    status: Option<IssueStatus>,
    labels: Option<Vec<&'static str>>,
    project: Option<&'static str>,
    milestone: Option<&'static str>,
    parent: Option<Index>,
    assignee: Option<&'static str>,
    text: Option<&'static str>,
    sort_order: Option<f64>,
}

/// A wish before it is known what there is to wish about: indexes pick from what exists.
#[derive(Clone, Debug)]
enum Wish {
    Create(bool, Fields),
    Patch(Index, Fields),
    AgentPatch(Index, Fields),
    Bulk(Vec<Index>, Fields),
    Delete(Index),
    Start(Index),
    Retry(Index),
    Stop(Index),
    Review(Index, bool, bool),
    Place(Index, Index, bool),
    Comment(Index, bool),
    EditComment(Index),
    DeleteComment(Index),
    Relate(Index, Index, &'static str),
    Unrelate(Index),
    Attach(Index, &'static str),
    TakeAttachment(Index),
    Import(Vec<(u64, Option<u64>)>),
    Detach(u8),
    Bookmark(Index),
    Prefix(bool, &'static str),
    DeleteCrew(bool),
    Claim,
    Report(Index, u8),
    Lapse(Index),
    Delegate(Index),
    Ask(Index),
    Wait(u64),
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let pick = |words: &'static [&'static str]| prop::option::weighted(0.3, prop::sample::select(words));
    let labels = prop::collection::vec(prop::sample::select(&["bug", "ui", "docs", "none"][..]), 0..3);
    let status = prop::option::weighted(0.4, prop::sample::select(IssueStatus::ALL));
    let parent = prop::option::weighted(0.3, any::<Index>());
    (
        status,
        prop::option::weighted(0.3, labels),
        pick(&["p1", "p2", ""]),
        pick(&["m1", "m2", ""]),
        parent,
        pick(&[WORKER, LEAD, OTHER_LEAD, "member", ""]),
        pick(&["one", "another", ""]),
        prop::option::weighted(0.2, prop::sample::select(&[0.0, 1.0, 0.1, -1.5e308, 1.5e308, 1e-300][..])),
    )
        .prop_map(|(status, labels, project, milestone, parent, assignee, text, sort_order)| Fields {
            status,
            labels,
            project,
            milestone,
            parent,
            assignee,
            text,
            sort_order,
        })
}

fn any_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let i = any::<Index>;
    let how =
        prop::sample::select(&["blocks", "blocked_by", "relates_to", "duplicate_of", "sub_issue_of"][..]);
    let rows = prop::collection::vec((1..9u64, prop::option::of(1..9u64)), 1..4);
    let prefix = prop::sample::select(&["", "OPS", "A"][..]);
    let wish = prop_oneof![
        10 => (any::<bool>(), any_fields()).prop_map(|(other, fields)| Wish::Create(other, fields)),
        12 => (i(), any_fields()).prop_map(|(issue, fields)| Wish::Patch(issue, fields)),
        3 => (i(), any_fields()).prop_map(|(issue, fields)| Wish::AgentPatch(issue, fields)),
        4 => (prop::collection::vec(i(), 1..5), any_fields()).prop_map(|(ids, fields)| Wish::Bulk(ids, fields)),
        3 => i().prop_map(Wish::Delete),
        8 => i().prop_map(Wish::Start),
        3 => i().prop_map(Wish::Retry),
        2 => i().prop_map(Wish::Stop),
        3 => (i(), any::<bool>(), any::<bool>()).prop_map(|(issue, yes, heir)| Wish::Review(issue, yes, heir)),
        4 => (i(), i(), any::<bool>()).prop_map(|(one, other, before)| Wish::Place(one, other, before)),
        4 => (i(), any::<bool>()).prop_map(|(issue, calls)| Wish::Comment(issue, calls)),
        1 => i().prop_map(Wish::EditComment),
        2 => i().prop_map(Wish::DeleteComment),
        5 => (i(), i(), how).prop_map(|(one, other, how)| Wish::Relate(one, other, how)),
        2 => i().prop_map(Wish::Unrelate),
        4 => (i(), prop::sample::select(&["aa", "bb"][..])).prop_map(|(at, sum)| Wish::Attach(at, sum)),
        2 => i().prop_map(Wish::TakeAttachment),
        2 => rows.prop_map(Wish::Import),
        2 => any::<u8>().prop_map(Wish::Detach),
        2 => i().prop_map(Wish::Bookmark),
        2 => (any::<bool>(), prefix).prop_map(|(other, prefix)| Wish::Prefix(other, prefix)),
        1 => any::<bool>().prop_map(Wish::DeleteCrew),
        8 => Just(Wish::Claim),
        8 => (i(), any::<u8>()).prop_map(|(held, how)| Wish::Report(held, how)),
        2 => i().prop_map(Wish::Lapse),
        2 => i().prop_map(Wish::Delegate),
        3 => i().prop_map(Wish::Ask),
        3 => prop_oneof![Just(1_000u64), Just(60_000), Just(2 * 60 * 60 * 1_000)].prop_map(Wish::Wait),
    ];
    prop::collection::vec(wish, 0..80)
}

/// A desk, and who holds what.
struct History {
    play: Play,
    held: Vec<Held>,
}

fn crew(other: bool) -> &'static str {
    if other { OTHER_CREW } else { CREW }
}

impl History {
    fn of(wishes: &[Wish]) -> Self {
        let mut play = Play::desk();
        play.without_worker.clear();
        let mut history = Self { play, held: vec![] };
        wishes.iter().for_each(|wish| history.wish(wish));
        history
    }

    fn issue(&self, index: Index) -> Option<MissionId> {
        let all: Vec<_> = self.play.world.state.issues.all.keys().collect();
        (!all.is_empty()).then(|| all[index.index(all.len())].clone())
    }

    fn patch(&self, fields: &Fields) -> IssuePatch {
        let text = |word: Option<&'static str>| word.map(str::to_owned);
        IssuePatch {
            title: text(fields.text),
            description: text(fields.text),
            status: fields.status.map(|status| status.to_string()),
            labels: fields.labels.as_ref().map(|labels| labels.iter().map(ToString::to_string).collect()),
            project_id: text(fields.project),
            milestone_id: text(fields.milestone),
            parent_issue_id: fields.parent.and_then(|parent| self.issue(parent)).map(|id| id.to_string()),
            assignee_id: fields.assignee.map(|id| Some(id.to_owned())),
            routine_id: fields.text.map(|_| "r1".to_owned()),
            sort_order: fields.sort_order,
            ..IssuePatch::default()
        }
    }

    fn draft(&self, fields: &Fields) -> IssueDraft {
        let patch = self.patch(fields);
        IssueDraft {
            title: Some("Fix it".into()),
            description: patch.description,
            assignee_type: fields.assignee.map(|id| if id == "member" { "user" } else { "agent" }.to_owned()),
            assignee_id: fields.assignee.map(str::to_owned),
            project_id: patch.project_id,
            milestone_id: patch.milestone_id,
            parent_issue_id: patch.parent_issue_id,
            labels: patch.labels,
            ..IssueDraft::default()
        }
    }

    /// Decides a wish, which may be refused, and lets the engine do what follows.
    fn ask(&mut self, actor: &Actor, command: impl Into<Command>) {
        if self.play.wish(actor, command).is_ok() {
            self.play.engine();
        }
    }

    fn wish(&mut self, wish: &Wish) {
        if let Some((actor, command)) = self.command(wish) {
            return match &command {
                Command::Issue(IssueCommand::Place { issue, place }) => {
                    let (issue, place) = (issue.name.clone(), place.clone());
                    let other = place.before.as_ref().or(place.after.as_ref()).expect("one").clone();
                    if *issue != *other {
                        self.play.wish(&actor, command).expect("there is always a place");
                        self.stands_beside(&issue, &other, place.before.is_some());
                    }
                }
                _ => self.ask(&actor, command),
            };
        }
        match wish {
            Wish::Claim => self.held.extend(self.play.claim()),
            Wish::Report(index, how) if !self.held.is_empty() => {
                let held = self.held[index.index(self.held.len())].clone();
                drop(self.play.report(&held, report(*how)));
            }
            Wish::Lapse(index) if !self.held.is_empty() => {
                let (assignment, fence) = self.held[index.index(self.held.len())].clone();
                self.ask(&Actor::Orchestrator, WorkCommand::Lapse { assignment, fence });
            }
            Wish::Detach(what) => self.detach(*what),
            Wish::Wait(ms) => {
                self.play.now = Time(self.play.now.0 + ms);
                self.play.engine();
            }
            _ => {}
        }
    }

    /// On the board of the other one nothing is between them.
    fn stands_beside(&self, issue: &str, other: &str, is_before: bool) {
        let all = &self.play.world.state.issues.all;
        let status = all[other].status;
        let beside = all.values().filter(|found| found.status == status || found.id.as_str() == issue);
        let mut column: Vec<_> = beside.collect();
        column.sort_by(|one, next| {
            one.facts.sort_order.total_cmp(&next.facts.sort_order).then(one.born.cmp(&next.born))
        });
        let at = |id: &str| column.iter().position(|found| found.id.as_str() == id).expect("there");
        let (first, second) = if is_before { (issue, other) } else { (other, issue) };
        assert_eq!(at(first) + 1, at(second), "{column:#?}");
    }

    fn command(&self, wish: &Wish) -> Option<(Actor, Command)> {
        let owner = member(Role::Owner);
        let agent = Actor::Agent(WORKER.into());
        let state = &self.play.world.state;
        let by_owner = |command: IssueCommand| Some((owner.clone(), command.into()));
        match wish {
            Wish::Create(other, fields) => {
                by_owner(IssueCommand::Create { crew: crew(*other).into(), draft: self.draft(fields).into() })
            }
            Wish::Patch(issue, fields) => {
                let issue = named(&self.issue(*issue)?);
                by_owner(IssueCommand::Update { issue, patch: self.patch(fields).into() })
            }
            Wish::AgentPatch(issue, fields) => {
                let (issue, patch) = (named(&self.issue(*issue)?), self.patch(fields).into());
                let comment = fields.text.map(Into::into);
                Some((agent, IssueCommand::AgentUpdate { issue, patch, comment }.into()))
            }
            Wish::Bulk(issues, fields) => {
                let ids: Vec<_> = issues.iter().filter_map(|issue| self.issue(*issue)).collect();
                let patch = self.patch(fields);
                let body = json!({ "ids": ids, "updates": {
                    "status": patch.status, "labels": patch.labels, "project_id": patch.project_id,
                } });
                let draft: BulkDraft = serde_json::from_value(body).expect("a body");
                by_owner(IssueCommand::Bulk(draft.into()))
            }
            Wish::Delete(issue) => by_owner(IssueCommand::Delete { issue: named(&self.issue(*issue)?) }),
            Wish::Start(issue) => {
                by_owner(IssueCommand::Start { issue: named(&self.issue(*issue)?), seen: None })
            }
            Wish::Retry(issue) => {
                by_owner(IssueCommand::Retry { issue: named(&self.issue(*issue)?), seen: None })
            }
            Wish::Stop(issue) => by_owner(IssueCommand::Stop { issue: named(&self.issue(*issue)?) }),
            Wish::Review(issue, yes, heir) => {
                let draft = ReviewDraft {
                    action: Some(if *yes { "approve" } else { "request_changes" }.into()),
                    comment: None,
                    reassign_to: heir.then(|| WORKER.into()),
                };
                by_owner(IssueCommand::Review { issue: named(&self.issue(*issue)?), draft })
            }
            Wish::Place(one, other, is_before) => {
                let other = Some(self.issue(*other)?.to_string());
                let place = match is_before {
                    true => Place { before: other, after: None },
                    false => Place { before: None, after: other },
                };
                by_owner(IssueCommand::Place { issue: named(&self.issue(*one)?), place })
            }
            Wish::Comment(issue, calls) => {
                let body = if *calls { "[@worker](crewship:agent/worker)?" } else { "Well" };
                let draft = CommentDraft { body: Some(body.into()) };
                by_owner(IssueCommand::Comment { issue: named(&self.issue(*issue)?), draft })
            }
            Wish::EditComment(index) | Wish::DeleteComment(index) => {
                let all: Vec<_> = state.issues.comments.values().collect();
                let comment = (!all.is_empty()).then(|| all[index.index(all.len())])?;
                let issue = named(&comment.issue);
                let comment = comment.id.clone();
                let draft = Ok(CommentDraft { body: Some(format!("Better {}", self.play.world.head())) });
                by_owner(match wish {
                    Wish::EditComment(_) => IssueCommand::EditComment { issue, comment, draft },
                    _ => IssueCommand::DeleteComment { issue, comment },
                })
            }
            Wish::Relate(one, other, how) => {
                let draft = RelationDraft {
                    target_identifier: Some(self.issue(*other)?.to_string()),
                    relation_type: Some((*how).into()),
                };
                let issue = named(&self.issue(*one)?);
                Some((agent, IssueCommand::Relate { issue, draft }.into()))
            }
            Wish::Attach(issue, sha256) => {
                let file = AttachedFile {
                    filename: format!("{sha256}.txt").into(),
                    content_type: "text/plain".into(),
                    size_bytes: 1,
                    sha256: (*sha256).into(),
                };
                by_owner(IssueCommand::Attach { issue: named(&self.issue(*issue)?), file })
            }
            Wish::TakeAttachment(index) => {
                let all: Vec<_> = state.issues.attachments.values().collect();
                let found = (!all.is_empty()).then(|| all[index.index(all.len())])?;
                let (issue, attachment) = (named(&found.issue), found.id.clone());
                by_owner(IssueCommand::TakeAttachment { issue, attachment })
            }
            Wish::Unrelate(index) => {
                let all: Vec<_> = state.issues.relations.keys().collect();
                let relation = (!all.is_empty()).then(|| all[index.index(all.len())].clone())?;
                by_owner(IssueCommand::Unrelate { relation })
            }
            Wish::Import(rows) => {
                let issues = rows.iter().map(|(number, parent)| imported(*number, *parent)).collect();
                by_owner(IssueCommand::Import { crew: CREW.into(), issues })
            }
            Wish::Bookmark(issue) => {
                let draft = Ok(CheckpointDraft::default());
                let mission = self.issue(*issue)?;
                Some((owner, CheckpointCommand::Create { mission, draft, at: None }.into()))
            }
            Wish::Prefix(other, prefix) => {
                let patch = CrewPatch { issue_prefix: Some(Some((*prefix).into())), ..CrewPatch::default() };
                Some((owner, RosterCommand::UpdateCrew { crew: crew(*other).into(), patch }.into()))
            }
            Wish::DeleteCrew(other) => {
                Some((owner, RosterCommand::DeleteCrew { crew: crew(*other).into() }.into()))
            }
            Wish::Delegate(issue) => {
                let issue = self.issue(*issue)?;
                let wish = Delegation {
                    target_slug: WORKER.into(),
                    task: "Look".into(),
                    crew: CREW.into(),
                    chat: issue.as_str().into(),
                    mission: Some(issue),
                    actor: Some(LEAD.into()),
                    is_question: false,
                };
                Some((Actor::Agent(LEAD.into()), WorkCommand::Delegate(wish.into()).into()))
            }
            Wish::Ask(issue) => {
                let question = Question {
                    crew: CREW.into(),
                    agent: WORKER.into(),
                    chat: self.issue(*issue)?.as_str().into(),
                    reason: "Which one?".into(),
                    context: None,
                    escalation_type: EscalationType::Text,
                    metadata: Json::default(),
                };
                Some((agent, EscalationCommand::Raise(question.into()).into()))
            }
            Wish::Detach(_) | Wish::Claim | Wish::Report(..) | Wish::Lapse(_) | Wish::Wait(_) => None,
        }
    }

    /// What issues point to goes: the fact that its own decider makes.
    fn detach(&mut self, what: u8) {
        let issues = &self.play.world.state.issues;
        let (from, with): (Detached, Vec<MissionId>) = match what % 4 {
            0 => {
                let with = issues.by_label.iter().filter(|(of, _)| of.as_str() == "bug");
                (Detached::Label("bug".into()), with.map(|(_, issue)| issue.clone()).collect())
            }
            1 => {
                let with = issues.of_project(&"p1".into()).map(|issue| issue.id.clone()).collect();
                (Detached::Project("p1".into()), with)
            }
            2 => {
                let with = issues.of_milestone(&"m2".into()).map(|issue| issue.id.clone()).collect();
                (Detached::Milestone("m2".into()), with)
            }
            _ => {
                let with = issues.by_routine.iter().filter(|(of, _)| of.as_str() == "r1");
                (Detached::Routine("r1".into()), with.map(|(_, issue)| issue.clone()).collect())
            }
        };
        let draft = Draft::internal("gone", IssuesDetached { from, issues: with });
        let entry = draft.at(self.play.world.head().plus(1), self.play.now, member(Role::Owner));
        self.play.world.apply(&entry);
        self.play.entries.push(entry);
    }
}

fn imported(number: u64, parent: Option<u64>) -> ImportedIssue {
    let external = |number: u64| Text::from(format!("gh-{number}"));
    ImportedIssue {
        identifier: Some(format!("PLA-{}", number * 3).into()),
        external_id: Some(external(number)),
        draft: IssueDraft { title: Some("Old".into()), ..IssueDraft::default() },
        parent: parent.map(external),
        status: IssueStatus::ALL[usize::try_from(number).expect("small") % IssueStatus::ALL.len()],
        comments: vec![ImportedComment { author: None, body: "Well".into(), created_at: Some(Time(number)) }],
        ..ImportedIssue::default()
    }
}

fn report(how: u8) -> Report {
    match how % 5 {
        0 => failed(),
        1 => answering(json!({ "tasks": [
            { "title": "a", "task_order": 1, "assigned_to": "worker" },
            { "title": "b", "task_order": 2, "assigned_to": "worker", "depends_on": [1] },
        ] })),
        2 => answering(json!({ "tasks": [{ "title": "a", "depends_on": [1], "task_order": 1 }] })),
        _ => done(),
    }
}

fn through_a_snapshot(world: &WorkspaceWorld) -> WorkspaceWorld {
    let bytes = bincode::serde::encode_to_vec(world, bincode::config::standard()).expect("can be stored");
    bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).expect("reads back").0
}

/// Read again, with a snapshot in the midst, it is the same world; and each issue is its own history.
fn replay_equals_live(play: &Play, cut: Index) -> Checked {
    let at = if play.entries.is_empty() { 0 } else { cut.index(play.entries.len()) };
    let mut world = play.began.clone();
    play.entries[..at].iter().for_each(|entry| world.apply(&stored_and_read(entry)));
    for (id, live) in &world.state.issues.all {
        let then = as_of(play, &world, id);
        prop_assert_eq!(then.as_ref(), Some(&**live), "at {}", world.head());
    }
    let mut world = through_a_snapshot(&world);
    for entry in &play.entries[at..] {
        let read = stored_and_read(entry);
        prop_assert_eq!(&read, entry);
        world.apply(&read);
        drop(world.notices(&read));
    }
    prop_assert!(world == play.world, "replay differs");
    for (id, live) in &world.state.issues.all {
        let now = as_of(play, &world, id);
        prop_assert_eq!(now.as_ref(), Some(&**live));
    }
    Ok(())
}

fn as_of(play: &Play, world: &WorkspaceWorld, id: &MissionId) -> Option<Issue> {
    let first = play.entries.first()?.offset;
    let changes = world.state.histories.get(id)?.changes_until(world.head());
    let at = |offset: Offset| &play.entries[usize::try_from(offset.0 - first.0).expect("small")];
    changes.into_iter().fold(None, |before, offset| Issue::fold(before, id, at(offset)))
}

/// Each number once, the next one always one higher, and never one that was given before.
fn numbers_are_dense_and_unique(play: &Play) -> Checked {
    let mut highest: BTreeMap<String, u64> = BTreeMap::new();
    let mut given = BTreeSet::new();
    for entry in &play.entries {
        let Some(Event::Issue(IssueEvent::IssueCreated(created))) = &entry.event else { continue };
        let (prefix, number) = created.identifier.rsplit_once('-').expect("prefix and number");
        prop_assert_eq!(number, created.number.to_string());
        prop_assert!(given.insert(created.identifier.clone()), "{} twice", created.identifier);
        let highest = highest.entry(prefix.to_owned()).or_default();
        if created.imported.is_none() {
            prop_assert_eq!(created.number, *highest + 1);
        }
        *highest = (*highest).max(created.number);
    }
    let counters = &play.world.state.issues.counters;
    let counted: BTreeMap<String, u64> =
        counters.iter().map(|(prefix, number)| (prefix.to_string(), *number)).collect();
    prop_assert_eq!(counted, highest);
    Ok(())
}

fn indexes_equal_a_recount(issues: &Issues) -> Checked {
    let all = || issues.all.values();
    let pairs = |of: fn(&Issue) -> Vec<String>| -> BTreeSet<(String, String)> {
        all().flat_map(|issue| of(issue).into_iter().map(|of| (of, issue.id.to_string()))).collect()
    };
    macro_rules! check {
        ($index:ident, $of:expr) => {
            let found: BTreeSet<(String, String)> =
                issues.$index.iter().map(|(of, id)| (of.to_string(), id.to_string())).collect();
            prop_assert_eq!(found, pairs($of), "{}", stringify!($index));
        };
    }
    check!(children, |issue| issue.facts.parent_issue_id.iter().map(ToString::to_string).collect());
    check!(by_crew, |issue| vec![issue.crew_id.to_string()]);
    check!(by_label, |issue| issue.facts.labels.iter().map(ToString::to_string).collect());
    check!(by_project, |issue| issue.facts.project_id.iter().map(ToString::to_string).collect());
    check!(by_milestone, |issue| issue.facts.milestone_id.iter().map(ToString::to_string).collect());
    check!(by_routine, |issue| issue.facts.routine_id.iter().map(ToString::to_string).collect());
    let named: BTreeMap<String, MissionId> =
        all().map(|issue| (issue.identifier.to_uppercase(), issue.id.clone())).collect();
    let found: BTreeMap<String, MissionId> =
        issues.identifiers.iter().map(|(name, id)| (name.to_string(), id.clone())).collect();
    prop_assert_eq!(found, named);
    let external: BTreeMap<Text, MissionId> =
        all().filter_map(|issue| Some((issue.external_id.clone()?, issue.id.clone()))).collect();
    prop_assert_eq!(issues.external.clone().into_iter().collect::<BTreeMap<_, _>>(), external);
    let working: Vec<_> =
        all().filter(|issue| issue.phase == Phase::Working).map(|issue| &issue.id).collect();
    prop_assert_eq!(issues.working.iter().collect::<Vec<_>>(), working);
    let mut boards: Vec<_> = all().collect();
    boards.sort_by(|one, two| {
        let order = one.facts.sort_order.total_cmp(&two.facts.sort_order);
        one.status.cmp(&two.status).then(order).then(one.born.cmp(&two.born))
    });
    let boards: Vec<&MissionId> = boards.into_iter().map(|issue| &issue.id).collect();
    prop_assert_eq!(issues.columns.iter().map(|(.., id)| id).collect::<Vec<_>>(), boards);
    let mut births: Vec<_> = all().map(|issue| (issue.born, issue.id.clone())).collect();
    births.sort();
    prop_assert_eq!(issues.by_birth.iter().cloned().collect::<Vec<_>>(), births);
    for issue in all() {
        let mut comments: Vec<_> =
            issues.comments.values().filter(|comment| comment.issue == issue.id).collect();
        comments.sort_by_key(|comment| (comment.created_at, comment.born));
        prop_assert_eq!(issues.comments_on(&issue.id).collect::<Vec<_>>(), comments.clone());
        prop_assert_eq!(issue.comment_count as usize, comments.len());
        let mut links: Vec<_> = issues.relations.values().collect();
        links.retain(|link| link.source == issue.id || link.target == issue.id);
        links.sort_by_key(|link| link.born);
        prop_assert_eq!(issues.relations_on(&issue.id).collect::<Vec<_>>(), links);
    }
    for issue in all() {
        let mut files: Vec<_> = issues.attachments.values().filter(|file| file.issue == issue.id).collect();
        files.sort_by_key(|file| file.born);
        prop_assert_eq!(issues.attachments_at(&issue.id).collect::<Vec<_>>(), files);
    }
    for attachment in issues.attachments.values() {
        prop_assert!(issues.all.contains_key(&attachment.issue), "a file goes with its issue");
        prop_assert!(issues.names_bytes(&attachment.file.sha256));
    }
    prop_assert_eq!(issues.attachments_of.len(), issues.attachments.len());
    prop_assert_eq!(issues.attachments_by_hash.len(), issues.attachments.len());
    prop_assert_eq!(issues.comments_of.len(), issues.comments.len());
    prop_assert_eq!(issues.relations_of.len(), 2 * issues.relations.len());
    Ok(())
}

/// Whether it was running when its own agent moved the issue to where it is, which was not back.
fn moved_it(play: &Play, found: &Assignment, issue: &Issue) -> bool {
    let last = play.entries.iter().rev().find(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::IssueUpdated(updated))) => {
            *entry.subject == *issue.id.as_str() && updated.moved.is_some()
        }
        _ => false,
    });
    let began = |last: &Entry| found.started_at.is_some_and(|began| began <= last.time);
    last.is_some_and(|last| last.actor == Actor::Agent(found.facts.assigned_to.clone()) && began(last))
        && !matches!(issue.status, IssueStatus::Backlog | IssueStatus::Todo)
}

fn issues_make_sense(play: &Play) -> Checked {
    let state = &play.world.state;
    let issues = &state.issues;
    for issue in issues.all.values() {
        let is_over = matches!(issue.status, IssueStatus::Done | IssueStatus::Cancelled);
        prop_assert_eq!(issue.completed_at.is_some(), is_over);
        let mut above = issue.facts.parent_issue_id.clone();
        for _ in 0..issues.all.len() {
            let Some(parent) = above else { break };
            prop_assert!(parent != issue.id, "a circle");
            prop_assert!(issues.all.contains_key(&parent), "a parent that is gone");
            above = issues.all[&parent].facts.parent_issue_id.clone();
        }
        if let Some(milestone) = &issue.facts.milestone_id {
            let project = &state.tracker.milestones[milestone].project_id;
            prop_assert_eq!(issue.facts.project_id.as_ref(), Some(project));
        }
        let labels: BTreeSet<_> = issue.facts.labels.iter().collect();
        prop_assert_eq!(labels.len(), issue.facts.labels.len());
        let live: Vec<_> = state.work.live_of_mission(&issue.id).collect();
        for found in &live {
            let is_wanted = match found.facts.purpose {
                Purpose::Task | Purpose::Planning => issue.phase == Phase::Working,
                Purpose::Review => false,
                Purpose::Delegation | Purpose::Query | Purpose::Mention => {
                    issue.phase != Phase::Ended || found.born > issue.entered
                }
                Purpose::Chat => true,
            };
            let is_wanted = is_wanted || moved_it(play, found, issue);
            prop_assert!(is_wanted, "nobody wants {:?} of {:?}", found, issue);
        }
        for task in issue.tasks.values().filter(|task| task.status == TaskStatus::InProgress) {
            prop_assert!(live.iter().any(|found| task.assignment_id.as_ref() == Some(&found.id)));
        }
    }
    for link in issues.relations.values() {
        prop_assert!(issues.all.contains_key(&link.source) && issues.all.contains_key(&link.target));
    }
    for (_, id) in &state.escalations.open {
        let asked = &state.escalations.all[id];
        let Some(of) = asked.asked.mission_id.as_ref() else { continue };
        let issue = issues.all.get(of);
        prop_assert!(issue.is_some(), "a question about what is gone: {:?}", asked);
        let is_over = issue.is_some_and(|found| found.phase == Phase::Ended && found.entered > asked.born);
        let is_at_work =
            state.work.live_of_mission(of).any(|found| found.facts.assigned_to == asked.asked.agent_id);
        prop_assert!(!is_over || is_at_work, "nobody waits for an answer: {:?}", asked);
    }
    for found in state.work.live() {
        let of = found.facts.mission_id.as_ref();
        prop_assert!(of.is_none_or(|id| issues.all.contains_key(id)), "work of what is gone: {:?}", found);
    }
    Ok(())
}

/// Agents are on it, or somebody has to be told: it never just stands there.
fn what_is_worked_goes_on(play: &Play) -> Checked {
    let state = &play.world.state;
    for id in &state.issues.working {
        let issue = &state.issues.all[id];
        let lives = state.work.live_of_mission(id).next().is_some();
        let waits = issue
            .tasks
            .values()
            .any(|task| task.status == TaskStatus::AwaitingApproval || task.status == TaskStatus::Pending);
        let is_asked = !state.due(issue, play.now, &|_| true).commands.is_empty();
        let lead = state.roster.live_agent(issue.lead_agent_id.as_str());
        let has_lead = lead.is_some_and(|lead| lead.facts.lead_mode.as_deref() != Some("passive"));
        prop_assert!(lives || waits || is_asked || !has_lead, "{:?} stands still", issue);
    }
    Ok(())
}

proptest! {
    // A history of issues is short, and the ways through it are many.
    #![proptest_config(ProptestConfig {
        cases: 2 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_of_issues_replays_and_counts_right(wishes in any_wishes(), cut in any::<Index>()) {
        let history = History::of(&wishes);
        replay_equals_live(&history.play, cut)?;
        numbers_are_dense_and_unique(&history.play)?;
        indexes_equal_a_recount(&history.play.world.state.issues)?;
        issues_make_sense(&history.play)?;
        what_is_worked_goes_on(&history.play)?;
    }
}

//! Index and tail together answer what looking at everything would.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use imbl::{OrdMap, Vector};
use proptest::prelude::*;
use serde_json::json;
use taffrail_domain::issue::{CommentDraft, IssueCommand, IssueDraft, Named};
use taffrail_domain::roster::{AgentPatch, CrewPatch, RosterCommand};
use taffrail_domain::{Actor, Command, Context, CrewId, Face, LogTag, MissionId, Offset, Time};
use taffrail_projections::{WorkspaceWorld, World};
use tokio::sync::{Notify, mpsc, watch};

use super::grammar::IssueQuery;
use super::index::{Index, Mark, Place};
use super::ranking::Looking;
use super::reading::{Reading, Tailed};
use super::words::{EntryWords, Phrase, Splitter, folded};
use super::{LOOKING, LOOKS_MAX, Reach, Search};
use crate::mint::FreshIds;

const NOBODY: &str = "cnobody";

/// A world that is told what to do.
struct Workshop {
    world: WorkspaceWorld,
    crew: CrewId,
}

impl Workshop {
    fn begin() -> Self {
        let mut shop = Self { world: WorkspaceWorld::empty(LogTag(1)), crew: "".into() };
        let (id, name, slug) = ("cworkspace".into(), "Search".into(), "search".into());
        let owner = NOBODY.into();
        shop.wish(RosterCommand::Open { id, name, slug, preferred_language: None, owner });
        let crew = CrewPatch { name: Some("Crew".into()), slug: Some("eng".into()), ..CrewPatch::default() };
        shop.crew = shop.wish(RosterCommand::CreateCrew(crew)).as_str().into();
        shop.wish(RosterCommand::CreateAgent(AgentPatch {
            name: Some("Lead".into()),
            slug: Some("lead".into()),
            crew_id: Some(Some(shop.crew.to_string())),
            agent_role: Some("LEAD".into()),
            ..AgentPatch::default()
        }));
        shop
    }

    /// Does it; the subject of its first entry.
    fn wish(&mut self, command: impl Into<Command>) -> String {
        // A workspace is opened for its owner, not by them.
        let is_open = self.world.state.roster.opened.is_some();
        let actor = if is_open { Actor::User(NOBODY.into()) } else { Actor::System };
        let next = self.world.head().plus(1);
        let context = Context { now: Time(next.0), actor: &actor, log: LogTag(1), next, mint: &FreshIds };
        let drafts = self.world.decide(&command.into(), &context).unwrap();
        for (place, draft) in (0..).zip(&drafts) {
            self.world.apply(&draft.clone().at(next.plus(place), Time(next.0), actor.clone()));
        }
        drafts[0].subject.to_string()
    }

    fn issue(&mut self, title: &str, description: &str, comments: &[String]) -> MissionId {
        let (title, description) = (Some(title.to_owned()), Some(description.to_owned()));
        let draft = Box::new(IssueDraft { title, description, ..IssueDraft::default() });
        let id = self.wish(IssueCommand::Create { crew: self.crew.clone(), draft });
        for body in comments {
            let issue = Named { crew: None, name: id.as_str().into() };
            self.wish(IssueCommand::Comment { issue, draft: CommentDraft { body: Some(body.clone()) } });
        }
        id.as_str().into()
    }
}

/// A reading with some of the entries and issues in the index, the others in its tail.
fn reading(
    world: &WorkspaceWorld,
    entries: impl IntoIterator<Item = (bool, Tailed)>,
    issues: &[(bool, MissionId)],
) -> Reading {
    let index = Index::create(&Place::Memory).unwrap();
    let mut writer = index.writer().unwrap();
    let mut tail = Vector::new();
    let mut committed = Offset(0);
    for (is_indexed, entry) in entries {
        if is_indexed {
            index.add_entry(&writer, &entry).unwrap();
            committed = entry.offset;
        } else {
            tail.push_back(Arc::new(entry));
        }
    }
    let mut splitter = Splitter::default();
    let mut touched = OrdMap::new();
    for (is_indexed, id) in issues {
        if *is_indexed {
            index.put_issue(&writer, id, world, &mut splitter).unwrap();
        } else {
            // An older form of it, which must not count.
            touched.insert(id.clone(), world.head());
        }
    }
    writer.commit().unwrap();
    Reading { searcher: index.searcher().unwrap(), fields: index.fields, committed, tail, touched }
}

fn stems(text: &str) -> Vec<String> {
    Splitter::default().words(text).into_iter().map(|word| word.stem).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entries_are_those_that_a_look_at_each_finds(
        texts in prop::collection::vec(("[abc]( (a|b|as|been|c|C-d)){0,4}", "(a|b|bs|c|d| |\\\\|\n){0,6}"), 1..20),
        indexed in 0_usize..20,
        after in 0_u64..6,
        phrases in prop::collection::vec("(a|b|c|d|been| |-){0,3}( (a|b|c)){0,2}", 1..8),
    ) {
        let faces: Vec<Face> = texts
            .iter()
            .map(|(summary, body)| Face {
                summary: summary.as_str().into(),
                payload: json!({ "body": body }).into(),
                ..Face::default()
            })
            .collect();
        let mut splitter = Splitter::default();
        let entries = (1..).zip(&faces).map(|(offset, face)| Tailed {
            offset: Offset(offset),
            words: EntryWords::of(face, &mut splitter),
        });
        let entries: Vec<_> = entries.enumerate().map(|(place, entry)| (place < indexed, entry)).collect();
        let world = WorkspaceWorld::empty(LogTag(1));
        let reading = reading(&world, entries, &[]);
        for phrase in phrases {
            let wanted = stems(&phrase);
            let holds = |text: &str| {
                !wanted.is_empty() && stems(text).windows(wanted.len()).any(|window| *window == wanted[..])
            };
            let expected: Vec<Offset> = (1..)
                .zip(&texts)
                .filter(|(offset, (summary, body))| {
                    *offset > after && (holds(summary) || holds(&format!("body {body}")))
                })
                .map(|(offset, _)| Offset(offset))
                .collect();
            let found = reading.entries(&Phrase::of(&phrase), Offset(after)).unwrap();
            prop_assert_eq!(found, expected, "{:?} in {:?}", phrase, texts);
        }
    }

    #[test]
    fn issues_are_those_that_a_look_at_each_finds(
        texts in prop::collection::vec(
            (
                "(deploy|deploying|login|servers|Straße|x)( (fails|failing|beta|2026|logn)){0,3}",
                "((deployment|crash|retry|a) ?){0,4}",
                prop::collection::vec("(server|logging in|crashed|straße)", 0..3),
                any::<bool>(),
            ),
            1..12,
        ),
        queries in prop::collection::vec(
            "(deploy|deploing|dep|logi|lgoin|server|crashes|fail|strase|2025|\"failing beta\"|eng 3|a)( (beta|retr|x|ser)){0,2}",
            1..8,
        ),
        parts in prop::collection::vec("(ploy|ogi|ENG-|straß|ail|2026| be|zz|in|n|1|g )", 1..4),
    ) {
        let mut shop = Workshop::begin();
        let issues: Vec<(bool, MissionId)> = texts
            .iter()
            .map(|(title, description, comments, is_indexed)| {
                (*is_indexed, shop.issue(title, description, comments))
            })
            .collect();
        let world = &shop.world;
        let reading = reading(world, [], &issues);
        for text in queries {
            let query = IssueQuery::parse(&text, &NOBODY.into(), &world.state);
            let found = reading.issues(world, &query, 100).unwrap();
            prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
            let found: BTreeSet<MissionId> = found.into_iter().map(|hit| hit.issue).collect();
            let all = world.state.issues.all.values();
            let mut looking = Looking::at(world, &query, usize::MAX);
            let fits = all.filter(|issue| looking.hit(issue, false).is_some());
            let fits: BTreeSet<MissionId> = fits.map(|issue| issue.id.clone()).chain(query.named(world)).collect();
            prop_assert_eq!(found, fits, "{:?} in {:?}", text, texts);
        }
        for part in parts {
            let found = reading.candidates(world, &part).unwrap();
            let Some(found) = found else { panic!("{part:?} can be looked up") };
            for issue in world.state.issues.all.values() {
                let texts = [Some(&issue.identifier), Some(&issue.title), issue.description.as_ref()];
                let has = texts.into_iter().flatten().any(|text| folded(text).contains(&folded(&part)));
                prop_assert!(!has || found.contains(&issue.id), "{:?} in {:?}", part, issue.title);
            }
        }
    }
}

#[test]
fn a_mark_of_another_version_or_a_damaged_file_is_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().join("1"));
    assert!(Index::open(&place).is_err());
    let index = Index::create(&place).unwrap();
    assert!(Index::open(&place).is_err(), "nothing was committed");
    let mut writer = index.writer().unwrap();
    let face = Face { summary: "needle".into(), ..Face::default() };
    let words = EntryWords::of(&face, &mut Splitter::default());
    index.add_entry(&writer, &Tailed { offset: Offset(1), words }).unwrap();
    let mut mark = Mark::nothing([7; 16], 1);
    mark.offset = Offset(1);
    let mut prepared = writer.prepare_commit().unwrap();
    prepared.set_payload(&serde_json::to_string(&mark).unwrap());
    prepared.commit().unwrap();
    drop(writer);
    assert_eq!(Index::open(&place).map(|(_, mark)| mark).ok(), Some(mark));
    let Place::Folder(path) = &place else { unreachable!() };
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "idx" || ending == "pos"));
    assert!(!files.is_empty());
    for file in files {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[0] ^= 0xff;
        std::fs::write(&file, &bytes).unwrap();
        assert!(Index::open(&place).is_err(), "{}", file.display());
        bytes[0] ^= 0xff;
        std::fs::write(&file, &bytes).unwrap();
    }
    assert!(Index::open(&place).is_ok());
}

#[tokio::test]
async fn a_look_that_nobody_waits_for_any_more_keeps_its_turn() {
    let search = Arc::new(Search {
        reading: RwLock::default(),
        reach: watch::Sender::new(Reach { followed: Offset(0), is_available: true }),
        is_odd: Notify::new(),
    });
    let (begun, mut begins) = mpsc::channel(LOOKS_MAX);
    let (mut gates, mut looks) = (vec![], vec![]);
    for _ in 0..LOOKS_MAX {
        let (search, begun) = (Arc::clone(&search), begun.clone());
        let (gate, closed) = std::sync::mpsc::channel::<()>();
        let look = move || {
            begun.blocking_send(()).expect("the test listens");
            // Until the gate is dropped.
            closed.recv().expect_err("nobody sends");
            Ok(())
        };
        looks.push(tokio::spawn(async move { search.off_the_runtime(look).await }));
        gates.push(gate);
    }
    for _ in 0..LOOKS_MAX {
        begins.recv().await.expect("each has its turn");
    }
    for look in looks {
        look.abort();
        assert!(look.await.is_err_and(|error| error.is_cancelled()));
    }
    assert!(LOOKING.try_acquire().is_err(), "they are still at work");
    drop(gates);
}

//! Missions as they were last rendered: most of what is read is what it was a moment ago.
//!
//! A rendering is good for as long as the mission and the names shown beside it are the ones it was
//! rendered of, and each use looks: nothing has to be told of a change, so nothing can be forgotten.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use taffrail_domain::mission::Mission;
use taffrail_domain::roster::{Agent, Roster};
use taffrail_domain::{MissionId, Text, WorkspaceId};

use super::missions::{Depth, MissionView};

/// Bytes kept of each depth: some 12,000 missions in lists.
const BYTES: u64 = 16 << 20;
/// What a rendering takes beside its JSON: the id, the map's slot, the empty shell of a mission that is gone.
const EACH_BYTES: usize = 600;

/// A view that is JSON already.
pub(super) struct Rendered<T> {
    rendering: Arc<Rendering>,
    view: PhantomData<fn() -> T>,
}

/// What is kept: bounded, and the least used goes first.
pub(super) struct Renderings {
    stats: Kept,
    tasks: Kept,
}

type Kept = Cache<MissionId, Arc<Rendering>, ByBytes>;

struct Rendering {
    /// Does not keep the mission; but as long as it points there nothing else can be in that place, and a
    /// mission that changes moves.
    mission: Weak<Mission>,
    /// Name and slug of each agent that is shown beside it.
    names: Vec<(Text, Text)>,
    json: Box<RawValue>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<MissionId, Arc<Rendering>> for ByBytes {
    fn weight(&self, _: &MissionId, rendering: &Arc<Rendering>) -> u64 {
        (rendering.json.get().len() + EACH_BYTES) as u64
    }
}

impl Default for Renderings {
    fn default() -> Self {
        let kept = || Cache::with_weighter(BYTES as usize / (2 * EACH_BYTES), BYTES, ByBytes);
        Self { stats: kept(), tasks: kept() }
    }
}

impl Renderings {
    /// The mission as it is now.
    pub(super) fn show(
        &self,
        mission: &Arc<Mission>,
        roster: &Roster,
        depth: Depth,
        workspace: &WorkspaceId,
    ) -> Rendered<MissionView> {
        let kept = match depth {
            Depth::Bare => None,
            Depth::Stats => Some(&self.stats),
            Depth::Tasks => Some(&self.tasks),
        };
        let known = kept.and_then(|kept| kept.get(&mission.id));
        let known = known.filter(|known| known.is_of(mission, roster, depth));
        let rendering = known.unwrap_or_else(|| {
            let made = Arc::new(Rendering::of(mission, roster, depth, workspace));
            kept.inspect(|kept| kept.insert(mission.id.clone(), Arc::clone(&made)));
            made
        });
        Rendered { rendering, view: PhantomData }
    }
}

impl Rendering {
    fn of(mission: &Arc<Mission>, roster: &Roster, depth: Depth, workspace: &WorkspaceId) -> Self {
        let names = agents_beside(mission, roster, depth);
        let view = MissionView::of(mission, roster, depth, workspace);
        Self {
            mission: Arc::downgrade(mission),
            names: names.map(|agent| (agent.facts.name.clone(), agent.facts.slug.clone())).collect(),
            // Views are structs of texts and numbers, which always have a JSON form.
            json: to_raw_value(&view).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        }
    }

    fn is_of(&self, mission: &Arc<Mission>, roster: &Roster, depth: Depth) -> bool {
        let names = agents_beside(mission, roster, depth).map(|agent| (&agent.facts.name, &agent.facts.slug));
        self.mission.as_ptr() == Arc::as_ptr(mission)
            && names.eq(self.names.iter().map(|(name, slug)| (name, slug)))
    }
}

/// Whose names are shown: the LEAD's and, with the tasks, those of their agents.
fn agents_beside<'a>(
    mission: &'a Mission,
    roster: &'a Roster,
    depth: Depth,
) -> impl Iterator<Item = &'a Agent> {
    let tasks = (depth == Depth::Tasks).then(|| mission.tasks.values()).into_iter().flatten();
    let assigned = tasks.filter_map(|task| task.assigned_agent_id.as_ref());
    std::iter::once(&mission.lead_agent_id).chain(assigned).filter_map(|id| roster.agents.get(id))
}

impl<T> Serialize for Rendered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rendering.json.serialize(serializer)
    }
}

/// That of the view.
impl<T: JsonSchema> JsonSchema for Rendered<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

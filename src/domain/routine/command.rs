//! Wishes about routines and their runs. The drafts are the request bodies.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::issue::Named;
use crate::{Offset, RoutineRunId, Text};

/// A wish about routines.
#[derive(Clone, Debug)]
pub enum RoutineCommand {
    /// `POST /pipelines/save`
    Save {
        /// What it is to be.
        draft: Box<RoutineDraft>,
        /// Whether this very definition passed a test of this caller's a moment ago.
        is_tested: bool,
    },
    /// `POST /pipelines/{slug}/approve`
    Approve {
        /// Which.
        slug: Text,
    },
    /// `POST /pipelines/{slug}/reject`
    Reject {
        /// Which.
        slug: Text,
    },
    /// `POST /pipelines/{slug}/enable`
    Enable {
        /// Which.
        slug: Text,
    },
    /// `POST /pipelines/{slug}/disable`
    Disable {
        /// Which.
        slug: Text,
    },
    /// `DELETE /pipelines/{slug}`
    Delete {
        /// Which.
        slug: Text,
    },
    /// `POST /pipelines/{slug}/run`
    Run {
        /// Which.
        slug: Text,
        /// What it is given.
        draft: Box<RunDraft>,
    },
    /// `POST /pipelines/{slug}/dry_run`
    DryRun {
        /// Which.
        slug: Text,
        /// What it would be given.
        inputs: Map<String, Value>,
    },
    /// `POST I/run-routine`: additive (`issues.md` 14).
    RunForIssue {
        /// Of which issue.
        issue: Named,
        /// What is to stand in for its own inputs.
        inputs: Map<String, Value>,
    },
    /// `POST /pipelines/runs/{id}/cancel`
    Cancel {
        /// Which.
        run: RoutineRunId,
    },
    /// `POST /pipelines/waitpoints/{token}/approve` and `POST /waitpoint-tokens/{token}`
    DecideWaitpoint {
        /// Which: what its token vouches for.
        waitpoint: Text,
        /// Yes or no.
        approved: bool,
        /// Why.
        comment: Option<Text>,
        /// What the step yields beside that.
        payload: Option<Value>,
    },
    /// A time has come, or there is more to do than fitted into one batch (the engine's).
    Wake {
        /// For which run.
        run: RoutineRunId,
    },
    /// Another server has been asked (the engine's).
    StepDone {
        /// For which run.
        run: RoutineRunId,
        /// For which step.
        step: Text,
        /// Where the wait was written down: what comes late is not heard.
        fence: Offset,
        /// What it said.
        outcome: Fetched,
    },
}

/// What became of asking another server.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetched {
    /// It answered.
    Answer {
        /// The status.
        status: u16,
        /// The body, as text.
        body: String,
    },
    /// It did not, or may not be asked.
    Failed(String),
}

/// Body of save.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoutineDraft {
    /// Its name in paths; required.
    pub slug: Option<String>,
    /// What people call it; the slug without it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it does; required.
    pub definition: Option<Map<String, Value>>,
    /// The crew it is of.
    pub author_crew_id: Option<String>,
    /// The agent it is of.
    pub author_agent_id: Option<String>,
    /// What a passing `test_run` of this definition gave.
    pub save_token: Option<String>,
    /// Save it untested; OWNER and ADMIN.
    pub skip_test_gate: Option<bool>,
    /// Let it run whatever it risks; OWNER and ADMIN.
    pub skip_governance_gate: Option<bool>,
    /// What is different.
    pub change_summary: Option<String>,
}

/// Body of run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunDraft {
    /// What it is given; what is left out has its default.
    pub inputs: Option<Map<String, Value>>,
    /// `manual`, `schedule`, `webhook`, `call_pipeline` or `issue`; anything else is `manual`.
    pub triggered_via: Option<String>,
    /// By what.
    pub triggered_by_id: Option<String>,
    /// Words to find the run by.
    pub tags: Option<Value>,
    /// Free facts.
    pub metadata: Option<Map<String, Value>>,
}

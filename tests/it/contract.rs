//! What is stored stays readable for ever: one golden entry and one schema per kind and version.
//! `UPDATE_GOLDEN=1` writes what is missing; a golden that exists is never rewritten.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use taffrail_domain::approval::{ApprovalDecided, ApprovalKind, ApprovalRequested, ApprovalStatus, Held};
use taffrail_domain::chat::{ChatAnswered, ChatAsked, ChatOpened};
use taffrail_domain::checkpoint::{
    CheckpointCreated, CheckpointDeleted, CheckpointRestored, Forked, Snapshot, SnapshotMeta,
};
use taffrail_domain::escalation::{EscalationEnded, EscalationRaised, EscalationStatus, EscalationType};
use taffrail_domain::instance::{InstanceEvent, TokenIssued, TokenRevoked, UserCreated, WorkspaceRegistered};
use taffrail_domain::issue::{
    AttachedFile, AttachmentAdded, AttachmentRemoved, Cause, CommentDeleted, CommentEdited, Commented,
    Detached, Imported, IssueChanges, IssueCreated, IssueDeleted, IssueFacts, IssueNoted, IssuePriority,
    IssueStatus, IssueUpdated, IssuesBulkUpdated, IssuesDetached, IssuesPlaced, MentionState, Mentioned,
    Moved, Party, Placed, Related, RelationType, Seat, Unrelated,
};
use taffrail_domain::marker::PriorityChanged;
use taffrail_domain::mission::{
    MissionCreated, MissionDeleted, MissionEvent, MissionStatusChanged, MissionUpdated, Outcome, Reason,
    Status, Stuck, TaskApproval, TaskCreated, TaskReport, TaskStats, TaskStatus, TaskStatusChanged,
    TaskUpdated,
};
use taffrail_domain::roster::{
    AgentCreated, AgentDeleted, AgentFacts, AgentRole, AgentStatus, AgentStatusChanged, AgentUpdated,
    CapabilitiesChanged, Capability, CrewCreated, CrewDeleted, CrewFacts, CrewMemberAdded, CrewMemberRemoved,
    CrewMemberRoleChanged, CrewUpdated, CrewsConnected, CrewsDisconnected, Direction, MemberAdded,
    MemberRemoved, MemberRoleChanged, Role, RosterEvent, WebhookSecretRotated, WorkspaceOpened,
};
use taffrail_domain::roster::{Autonomy, BehaviorMode, PolicyChanged};
use taffrail_domain::routine::{
    Caller, RoutineDeleted, RoutineFacts, RoutineItemEnded, RoutineLoopBegun, RoutineRunEnded,
    RoutineRunFacts, RoutineRunStarted, RoutineRunStatus, RoutineSaved, RoutineStatus, RoutineStatusChanged,
    RoutineStepEnded, RoutineStepWaiting, StepStatus, StepWaitsFor, WaitpointCreated, WaitpointDecided,
    WaitpointOutcome,
};
use taffrail_domain::tracker::{
    LabelCreated, LabelDeleted, LabelFacts, LabelUpdated, MatchType, MilestoneCreated, MilestoneDeleted,
    MilestoneFacts, MilestoneStatus, MilestoneUpdated, ProjectCreated, ProjectDeleted, ProjectFacts,
    ProjectHealth, ProjectStatus, ProjectUpdated, RecurringCreated, RecurringDeleted, RecurringFacts,
    RecurringFired, RecurringUpdated, RuleMatches, SavedViewCreated, SavedViewDeleted, SavedViewFacts,
    SavedViewUpdated, TriageProcessed, TriageRuleCreated, TriageRuleDeleted, TriageRuleFacts,
    TriageRuleUpdated, ViewType,
};
use taffrail_domain::work::{
    AssignmentClaimed, AssignmentCreated, AssignmentEnded, AssignmentFacts, AssignmentReportedLate,
    AssignmentStatus, AssignmentUnqueued, EndedBy, Output, Purpose, RunEnd, RunEnded, RunFacts, RunStarted,
    RunStatus,
};
use taffrail_domain::{
    Actor, DecodeError, Draft, Entry, EntryId, Event, Face, Json, LogTag, Offset, Priority, Stored, Time,
    current_version, kinds, schema_of,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// A crew with every field set, and none as by default.
fn full_crew() -> CrewFacts {
    CrewFacts {
        name: "Platform".into(),
        slug: "platform".into(),
        description: Some("d".into()),
        color: Some("c".into()),
        icon: Some("i".into()),
        avatar_style: Some("a".into()),
        container_memory_mb: 512,
        container_cpus: 0.5,
        container_ttl_hours: Some(8),
        network_mode: "restricted".into(),
        allowed_domains: vec!["example.com".into()],
        runtime_image: Some("r".into()),
        devcontainer_config: Some("v".into()),
        mise_config: Some("m".into()),
        services_json: Some("s".into()),
        issue_prefix: Some("PLA".into()),
        mcp_config_json: Some("{}".into()),
        escalation_config: Some("{}".into()),
        max_ephemeral_agents: 3,
    }
}

/// An agent with every field set, and none as by default.
fn full_agent() -> AgentFacts {
    AgentFacts {
        name: "Ada".into(),
        slug: "ada".into(),
        crew_id: Some("crew1".into()),
        description: Some("d".into()),
        role_title: Some("r".into()),
        agent_role: AgentRole::Lead,
        lead_mode: Some("active".into()),
        cli_adapter: "OPENCODE".into(),
        llm_provider: Some("OPENAI".into()),
        llm_model: Some("m".into()),
        system_prompt: Some("s".into()),
        avatar_seed: Some("seed".into()),
        avatar_style: Some("style".into()),
        avatar_url: Some("url".into()),
        timeout_seconds: 60,
        tool_profile: "FULL".into(),
        memory_enabled: true,
        suggested_prompts: Some("p".into()),
        ask_forms: Some("[]".into()),
        schedule_cron: Some("0 9 * * 1".into()),
        schedule_prompt: Some("report".into()),
        schedule_enabled: true,
        webhook_require_timestamp: true,
    }
}

/// One event of every kind, every field set.
fn samples() -> Vec<Event> {
    let user_id = || "user1".into();
    let (crew, agent) = (full_crew(), full_agent());
    let crew_changes = CrewFacts::default().changes_to(&crew).expect("all of it is new");
    let agent_changes = AgentFacts::default().changes_to(&agent).expect("all of it is new");
    let meta = SnapshotMeta {
        offset: Offset(9),
        state_hash: "h1:00".into(),
        fork_hash: "h1:01".into(),
        mission_status: "IN_PROGRESS".into(),
        task_counts: TaskStats { total: 1, pending: 1, ..TaskStats::default() },
    };
    let assignment = AssignmentFacts {
        purpose: Purpose::Task,
        chat_id: "chat1".into(),
        crew_id: Some("crew1".into()),
        mission_id: Some("mission1".into()),
        task_id: Some("task1".into()),
        iteration: 2,
        assigned_by: Some("agent1".into()),
        assigned_to: "agent2".into(),
        task: "Do".into(),
        prompt: Some("it".into()),
    };
    let run = RunFacts {
        agent_id: "agent2".into(),
        crew_id: Some("crew1".into()),
        mission_id: Some("mission1".into()),
        chat_id: Some("chat1".into()),
        assignment_id: Some("assignment1".into()),
        triggered_by: Some("agent1".into()),
        trigger_type: "ASSIGNMENT".into(),
        metadata: serde_json::json!({ "model": "m" }).into(),
    };
    let end = RunEnd {
        status: RunStatus::Failed,
        exit_code: Some(1),
        error_message: Some("e".into()),
        output: Some(Output { bytes: 3, sha256: "00ff".into() }),
        metadata: serde_json::json!({ "model": "m" }).into(),
    };
    vec![
        UserCreated { email_key: "00ff".into() }.into(),
        TokenIssued {
            user_id: user_id(),
            name: "cli".into(),
            tier: "STANDARD".into(),
            scopes: Some(vec!["crews:write".into()]),
            expires_at: Some(Time(1)),
        }
        .into(),
        TokenRevoked { user_id: user_id() }.into(),
        WorkspaceRegistered {
            tag: LogTag(1),
            name: "Acme".into(),
            slug: "acme".into(),
            preferred_language: Some("Czech".into()),
            owner: user_id(),
        }
        .into(),
        WorkspaceOpened {
            name: "Acme".into(),
            slug: "acme".into(),
            preferred_language: Some("Czech".into()),
        }
        .into(),
        MemberAdded { member_id: "member1".into(), role: Role::Owner }.into(),
        MemberRemoved { member_id: "member1".into() }.into(),
        MemberRoleChanged { member_id: "member1".into(), from: Role::Viewer, to: Role::Admin }.into(),
        CapabilitiesChanged {
            member_id: "member1".into(),
            from: Some([Capability::Chat].into()),
            to: Some([Capability::Chat, Capability::IssueCreate].into()),
        }
        .into(),
        CrewCreated { crew: crew.into() }.into(),
        CrewUpdated { changes: crew_changes.into() }.into(),
        CrewDeleted { slug: "platform".into() }.into(),
        AgentCreated { agent: agent.into(), created_by: Some(user_id()) }.into(),
        AgentUpdated { changes: agent_changes.into() }.into(),
        AgentDeleted { slug: "ada".into() }.into(),
        AgentStatusChanged { from: AgentStatus::Idle, to: AgentStatus::Stopped }.into(),
        WebhookSecretRotated { secret_id: "secret1".into() }.into(),
        CrewMemberAdded { member_id: "seat1".into(), user_id: user_id(), role: Some(Role::Manager) }.into(),
        CrewMemberRoleChanged { member_id: "seat1".into(), from: Some(Role::Manager), to: None }.into(),
        CrewMemberRemoved { member_id: "seat1".into() }.into(),
        CrewsConnected {
            from_crew_id: "crew1".into(),
            to_crew_id: "crew2".into(),
            direction: Direction::Unidirectional,
        }
        .into(),
        CrewsDisconnected { from_crew_id: "crew1".into(), to_crew_id: "crew2".into() }.into(),
        PolicyChanged { autonomy: Autonomy::Strict, behavior: BehaviorMode::Block, reason: Some("r".into()) }
            .into(),
        MissionCreated {
            crew_id: "crew1".into(),
            lead_agent_id: "agent1".into(),
            trace_id: "mission-1".into(),
            title: "Ship".into(),
            description: Some("the beta".into()),
            plan: Some("1. Do".into()),
            workflow_template: Some("template".into()),
            fork_of: Some("chk_0000000000000001".into()),
            cloned_from: Some("mission0".into()),
        }
        .into(),
        MissionUpdated {
            title: Some("Ship".into()),
            description: Some("it".into()),
            plan: Some("1. Do".into()),
        }
        .into(),
        MissionStatusChanged {
            stuck: vec![Stuck { task_id: "task1".into(), unmet: vec!["task2".into()] }],
            error_message: Some("e".into()),
            ..MissionStatusChanged::new(Status::InProgress, Status::Failed, Reason::Deadlock)
        }
        .into(),
        MissionDeleted { status: Status::Planning, crew_id: "crew1".into() }.into(),
        TaskCreated {
            task_id: "task1".into(),
            title: "Do".into(),
            description: Some("it".into()),
            assigned_agent_id: Some("agent1".into()),
            status: TaskStatus::Completed,
            task_order: 1,
            depends_on: vec!["task0".into()],
            max_iterations: Some(3),
            approval_required: true,
            outcome: Some(Outcome { result_summary: Some("done".into()), output_path: Some("/out".into()) }),
        }
        .into(),
        TaskUpdated {
            task_id: "task1".into(),
            title: Some("Do".into()),
            description: Some("it".into()),
            assigned_agent_id: Some("agent1".into()),
            depends_on: Some(vec!["task0".into()]),
            result_summary: Some("done".into()),
            error_message: Some("no".into()),
            output_path: Some("/out".into()),
            token_count: Some(5),
            estimated_cost: Some(0.5),
            confidence: Some(0.7),
            evaluation_status: Some("PASS".into()),
            evaluation_notes: Some("n".into()),
        }
        .into(),
        TaskStatusChanged {
            task_id: "task1".into(),
            from: TaskStatus::Failed,
            to: TaskStatus::Pending,
            iteration: 2,
            reason: Reason::Restart,
            error_message: Some("no".into()),
            assignment_id: Some("assignment1".into()),
            report: Some(Box::new(TaskReport {
                result_summary: Some("done".into()),
                output_path: Some("/out".into()),
                token_count: Some(5),
                estimated_cost: Some(0.5),
                confidence: Some(0.4),
                needs_review: true,
                notifies: true,
                handoff_context: Some("h".into()),
            })),
            approval: Some(Box::new(TaskApproval {
                status: "APPROVED".into(),
                by: user_id(),
                notes: Some("n".into()),
            })),
        }
        .into(),
        CheckpointCreated {
            mission_id: "mission1".into(),
            crew_id: "crew1".into(),
            label: Some("green build".into()),
            cursor: EntryId::new(LogTag(1), Offset(9)),
            boundary: Offset(9),
            diverges_after: Offset(10),
            state: Box::new(Snapshot {
                agent_memory: [("ada".to_owned(), "00ff".to_owned())].into(),
                pending_tasks: vec!["task1".into()],
                open_assignments: vec!["assignment1".into()],
                meta,
            }),
            fork_of: Some("chk_0000000000000001".into()),
            created_by: Some(user_id()),
        }
        .into(),
        CheckpointRestored { divergence_count: 3 }.into(),
        CheckpointDeleted { mission_id: "mission1".into() }.into(),
        Forked {
            fork_of: "chk_0000000000000001".into(),
            parent_mission: "mission1".into(),
            boundary: Offset(9),
            new_checkpoint: "chk_0000000000000002".into(),
        }
        .into(),
        PriorityChanged {
            target: Offset(9),
            previous: Priority::Normal,
            new: Priority::Pin,
            reason: "worth it".into(),
            change: 1,
        }
        .into(),
        AssignmentCreated { assignment: assignment.into(), status: AssignmentStatus::Queued }.into(),
        AssignmentUnqueued {}.into(),
        AssignmentClaimed { run_id: "run1".into(), worker: "w".into(), lease_ms: 5 }.into(),
        AssignmentEnded {
            status: AssignmentStatus::Failed,
            by: EndedBy::Lease,
            result_summary: Some("r".into()),
            error_message: Some("e".into()),
        }
        .into(),
        AssignmentReportedLate { status: AssignmentStatus::Completed }.into(),
        RunStarted { run: run.into() }.into(),
        RunEnded { end: end.into() }.into(),
        ApprovalRequested {
            kind: ApprovalKind::AutonomyGate,
            reason: "r".into(),
            crew_id: Some("crew1".into()),
            agent_id: Some("agent1".into()),
            mission_id: Some("mission1".into()),
            task_id: Some("task1".into()),
            requested_by: "agent1".into(),
            payload: serde_json::json!({ "target": "mission" }).into(),
            timeout_at: Some(Time(5)),
            held: Some(Held::Crew {
                crew_id: "crew2".into(),
                autonomy: Autonomy::Full,
                behavior: BehaviorMode::Warn,
            }),
        }
        .into(),
        ApprovalDecided { status: ApprovalStatus::Approved, by: Some(user_id()), comment: Some("c".into()) }
            .into(),
        ChatOpened {
            agent_id: "agent1".into(),
            mode: "CHAT".into(),
            origin: Some("CLI".into()),
            metadata: serde_json::json!({ "effort": "low" }).into(),
        }
        .into(),
        ChatAsked { content: "c".into(), by: Some(user_id()) }.into(),
        ChatAnswered {
            content: "c".into(),
            error: Some("e".into()),
            assignment_id: Some("assignment1".into()),
        }
        .into(),
        EscalationRaised {
            crew_id: "crew1".into(),
            agent_id: "agent1".into(),
            chat_id: "mission1".into(),
            mission_id: Some("mission1".into()),
            reason: "r".into(),
            context: Some("c".into()),
            escalation_type: EscalationType::Credential,
            metadata: serde_json::json!({ "service": "s" }).into(),
            deadline_at: Time(5),
            answer_deadline_at: Time(6),
        }
        .into(),
        EscalationEnded {
            status: EscalationStatus::Resolved,
            by: Some(user_id()),
            resolution: Some("***".into()),
            secret_id: Some("secret1".into()),
            action: Some("retry".into()),
            redirect_to: Some("ada".into()),
        }
        .into(),
    ]
    .into_iter()
    .chain(issue_samples())
    .chain(tracker_samples())
    .chain(routine_samples())
    .collect()
}

/// An issue with every field set, and none as by default.
fn full_issue() -> IssueFacts {
    IssueFacts {
        priority: IssuePriority::Urgent,
        assignee: Some(Party::agent(&"agent1".into())),
        due_date: Some("2026-12-24".into()),
        sort_order: 1.5,
        project_id: Some("project1".into()),
        milestone_id: Some("milestone1".into()),
        parent_issue_id: Some("issue0".into()),
        estimate: Some(3),
        labels: vec!["label1".into()],
        routine_id: Some("routine1".into()),
        routine_inputs: serde_json::json!({ "key": "value" }).into(),
    }
}

fn issue_samples() -> Vec<Event> {
    let facts = full_issue();
    let changes = IssueFacts::default().changes_to(&facts).expect("all of it is new");
    let author = || Party::user(&"user1".into());
    vec![
        IssueCreated {
            identifier: "ENG-42".into(),
            number: 42,
            crew_id: "crew1".into(),
            lead_agent_id: "agent1".into(),
            trace_id: "issue-1".into(),
            title: "Fix it".into(),
            description: Some("now".into()),
            facts: facts.into(),
            author: Some(author()),
            authored_via: "imported".into(),
            imported: Some(Box::new(Imported {
                external_id: Some("gh-1".into()),
                status: IssueStatus::Done,
                created_at: Some(Time(1)),
                started_at: Some(Time(2)),
                completed_at: Some(Time(3)),
            })),
        }
        .into(),
        IssueUpdated {
            cause: Cause::ChangesRequested,
            title: Some("Fix it".into()),
            description: Some(Some("soon".into())),
            moved: Some(Moved { from: IssueStatus::Review, to: IssueStatus::Todo }),
            seat: Some(Seat { crew_id: "crew1".into(), lead_agent_id: "agent1".into() }),
            review_note: Some("n".into()),
            own_task: Some("task1".into()),
            changes: Some(changes.into()),
        }
        .into(),
        IssueNoted { action: "created".into(), details: Some("Fix it".into()) }.into(),
        IssueDeleted { identifier: "ENG-42".into(), crew_id: "crew1".into() }.into(),
        Commented {
            comment_id: "comment1".into(),
            author: author(),
            body: "b".into(),
            said_at: Some(Time(1)),
            imported: true,
        }
        .into(),
        CommentEdited { comment_id: "comment1".into(), body: "b".into() }.into(),
        CommentDeleted { comment_id: "comment1".into() }.into(),
        Mentioned {
            comment_id: "comment1".into(),
            agent_id: "agent1".into(),
            dispatch_state: MentionState::Refused,
            assignment_id: Some("assignment1".into()),
        }
        .into(),
        Related {
            relation_id: "relation1".into(),
            source_id: "issue1".into(),
            target_id: "issue2".into(),
            relation_type: RelationType::DuplicateOf,
        }
        .into(),
        Unrelated { relation_id: "relation1".into(), source_id: "issue1".into(), target_id: "issue2".into() }
            .into(),
        AttachmentAdded {
            attachment_id: "attachment1".into(),
            file: AttachedFile {
                filename: "trace.log".into(),
                content_type: "text/plain; charset=utf-8".into(),
                size_bytes: 5,
                sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".into(),
            },
            uploaded_by: author(),
        }
        .into(),
        AttachmentRemoved { attachment_id: "attachment1".into() }.into(),
        IssuesDetached {
            from: Detached::Milestone("milestone1".into()),
            issues: vec!["issue1".into(), "issue2".into()],
        }
        .into(),
        IssuesPlaced { places: vec![Placed { issue_id: "issue1".into(), sort_order: 1.5 }] }.into(),
        IssuesBulkUpdated { count: 2 }.into(),
    ]
}

fn tracker_samples() -> Vec<Event> {
    let agent = || Some(Party::agent(&"agent1".into()));
    let label = LabelFacts { name: "bug".into(), color: "#f00".into(), label_group: Some("kind".into()) };
    let project = ProjectFacts {
        name: "Mobile App".into(),
        slug: "mobile-app".into(),
        description: Some("d".into()),
        icon: Some("i".into()),
        color: "red".into(),
        status: ProjectStatus::InProgress,
        priority: IssuePriority::High,
        health: ProjectHealth::AtRisk,
        lead: agent(),
        start_date: Some("2026-01-01".into()),
        target_date: Some("2026-12-24".into()),
    };
    let milestone = MilestoneFacts {
        name: "Beta".into(),
        description: Some("d".into()),
        target_date: Some("2026-12-24".into()),
        status: MilestoneStatus::Completed,
        position: 2,
    };
    let view = SavedViewFacts {
        name: "Mine".into(),
        filters_json: "{}".into(),
        sort_json: Some("{}".into()),
        view_type: ViewType::Board,
        is_default: true,
        shared: true,
    };
    let rule = TriageRuleFacts {
        name: "Bugs".into(),
        pattern: "^bug".into(),
        match_type: MatchType::Regex,
        crew_id: Some("crew1".into()),
        assignee_id: Some("agent1".into()),
        priority: Some(IssuePriority::Urgent),
        project_id: Some("project1".into()),
        labels: vec!["label1".into()],
        position: 2,
        enabled: true,
    };
    let recurring = RecurringFacts {
        crew_id: "crew1".into(),
        title: "Water the plants".into(),
        description: Some("d".into()),
        priority: IssuePriority::Low,
        project_id: Some("project1".into()),
        milestone_id: Some("milestone1".into()),
        assignee: agent(),
        labels: vec!["label1".into()],
        cron_expression: "0 9 * * 1".into(),
        enabled: true,
    };
    vec![
        LabelCreated { label: label.clone() }.into(),
        LabelUpdated { label }.into(),
        LabelDeleted { name: "bug".into() }.into(),
        ProjectCreated { project: Box::new(project.clone()) }.into(),
        ProjectUpdated { project: Box::new(project) }.into(),
        ProjectDeleted { slug: "mobile-app".into(), milestones: vec!["milestone1".into()] }.into(),
        MilestoneCreated { project_id: "project1".into(), milestone: milestone.clone() }.into(),
        MilestoneUpdated { project_id: "project1".into(), milestone }.into(),
        MilestoneDeleted { project_id: "project1".into() }.into(),
        SavedViewCreated { owner_id: "user1".into(), view: view.clone() }.into(),
        SavedViewUpdated { view }.into(),
        SavedViewDeleted { owner_id: "user1".into() }.into(),
        TriageRuleCreated { rule: Box::new(rule.clone()) }.into(),
        TriageRuleUpdated { rule: Box::new(rule) }.into(),
        TriageRuleDeleted { name: "Bugs".into() }.into(),
        TriageProcessed {
            processed: 3,
            matched: 2,
            rules: vec![RuleMatches { rule_id: "rule1".into(), count: 2 }],
            left_at: Some("issue1".into()),
        }
        .into(),
        RecurringCreated {
            recurring: Box::new(recurring.clone()),
            author: Some(Party::user(&"user1".into())),
            next_run: Some(Time(5)),
        }
        .into(),
        RecurringUpdated { recurring: Box::new(recurring), next_run: Some(Time(5)) }.into(),
        RecurringDeleted { title: "Water the plants".into() }.into(),
        RecurringFired {
            due: Time(5),
            issue_id: Some("issue1".into()),
            error: Some("e".into()),
            next_run: Some(Time(6)),
        }
        .into(),
    ]
}

/// Those about routines and their runs.
fn routine_samples() -> Vec<Event> {
    let json = |value: Value| Arc::new(Json::from(value));
    let definition = serde_json::json!({ "steps": [{ "id": "a", "type": "code" }] });
    let routine = RoutineFacts {
        slug: "nightly".into(),
        name: "Nightly".into(),
        description: Some("d".into()),
        definition: json(definition),
        definition_hash: "00ff".into(),
        author_crew_id: Some("crew1".into()),
        author_agent_id: Some("agent1".into()),
        author_user_id: Some("user1".into()),
        authored_via: "user_api".into(),
    };
    let run = RoutineRunFacts {
        routine_id: "routine1".into(),
        definition_hash: "00ff".into(),
        inputs: json(serde_json::json!({ "limit": 5 })),
        triggered_via: "call_pipeline".into(),
        triggered_by_id: Some("run_0".into()),
        started_by: Some(Party::user(&"user1".into())),
        issue_id: Some("issue1".into()),
        tags: vec!["t".into()],
        metadata: json(serde_json::json!({ "m": 1 })),
        called_by: Some(Caller { run_id: "run_0".into(), step_id: "a".into() }),
        depth: 1,
    };
    let waits_for = StepWaitsFor::Time { at: Time(5), times_out: true };
    vec![
        RoutineSaved {
            routine: routine.into(),
            status: RoutineStatus::Proposed,
            risk_reasons: vec!["code_step".into()],
            accepted: vec!["code_step:a".into()],
            change_summary: Some("c".into()),
        }
        .into(),
        RoutineStatusChanged {
            from: RoutineStatus::Proposed,
            to: RoutineStatus::Disabled,
            accepted: vec!["code_step:a".into()],
        }
        .into(),
        RoutineDeleted { slug: "nightly".into() }.into(),
        RoutineRunStarted { run: run.into() }.into(),
        RoutineStepWaiting { step_id: "a".into(), waits_for }.into(),
        RoutineLoopBegun { step_id: "a".into(), items: json(serde_json::json!([1, "two"])) }.into(),
        RoutineItemEnded {
            step_id: "a".into(),
            output: json(serde_json::json!("one")),
            error: Some("e".into()),
        }
        .into(),
        RoutineStepEnded {
            step_id: "a".into(),
            status: StepStatus::Failed,
            output: Some(json(serde_json::json!([1]))),
            error: Some("e".into()),
            begun_at: Time(4),
        }
        .into(),
        RoutineRunEnded {
            status: RoutineRunStatus::Failed,
            failed_at_step: Some("a".into()),
            error_message: Some("e".into()),
        }
        .into(),
        WaitpointCreated {
            step_id: "a".into(),
            waitpoint: "00ff".into(),
            prompt: "Go on?".into(),
            timeout_at: Time(5),
        }
        .into(),
        WaitpointDecided {
            step_id: "a".into(),
            outcome: WaitpointOutcome::Denied,
            by: Some("user1".into()),
            comment: Some("c".into()),
        }
        .into(),
    ]
}

fn sample(event: Event) -> Draft {
    let face = Face {
        crew_id: Some("crew1".into()),
        mission_id: Some("mission1".into()),
        payload: serde_json::json!({ "key": "value" }).into(),
        ..Face::new(event.kind(), &Actor::User("user1".into()), "sample", "details")
    };
    Draft::public("subject1", event, face)
}

fn decode(stored: &Stored) -> Result<Entry, DecodeError> {
    Entry::decode(Offset(1), Time(2), "subject1", "user:user1", &stored.kind, stored.version, &stored.body)
}

#[test]
fn there_is_a_sample_of_every_kind() {
    let sampled: Vec<_> = samples().iter().map(Event::kind).collect();
    assert_eq!(sampled, kinds().collect::<Vec<_>>());
}

#[test]
fn every_golden_entry_decodes_for_ever() {
    let folder = root().join("tests/golden");
    for event in samples() {
        let draft = sample(event);
        let stored = draft.encode().expect("encodes");
        let path = folder.join(format!("{}.v{}.json", stored.kind, stored.version));
        if !path.exists() && updating() {
            fs::write(&path, &stored.body).expect("writes");
        }
        let golden = fs::read(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
        let stored = Stored { body: golden, ..stored };
        let read = decode(&stored).expect("a golden entry decodes");
        assert_eq!(read, draft.at(Offset(1), Time(2), Actor::User("user1".into())), "{}", stored.kind);
    }
}

#[test]
fn a_newer_version_and_an_unknown_kind_are_refused_by_name() {
    let stored = sample(samples().remove(0)).encode().expect("encodes");
    let newer = decode(&Stored { version: 2, ..stored.clone() }).expect_err("refused");
    assert_eq!(newer.to_string(), "entry kind user.created has version 2, newer than this build knows (1)");
    let unknown = decode(&Stored { kind: "user.dreamed".into(), ..stored }).expect_err("refused");
    assert_eq!(unknown.to_string(), "unknown entry kind user.dreamed");
}

#[test]
fn a_body_of_another_shape_is_refused_by_name() {
    let stored = sample(samples().remove(0)).encode().expect("encodes");
    for body in
        ["", "[]", "{\"event\":{\"kind\":\"user.created\"}}", "{\"event\":{\"kind\":\"x\",\"data\":{}}}"]
    {
        let error = decode(&Stored { body: body.into(), ..stored.clone() }).expect_err("refused");
        assert!(error.to_string().starts_with("entry kind user.created: "), "{error}");
    }
}

#[test]
fn the_schemas_are_the_types() {
    let folder = root().join("schemas/entries");
    let mut expected = vec![];
    for kind in kinds() {
        let version = current_version(kind).expect("known");
        let mut schema = schema_of(kind).expect("known");
        schema.insert("$id".to_owned(), format!("{kind}.v{version}").into());
        schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        let path = folder.join(format!("{kind}.v{version}.json"));
        if updating() {
            fs::write(&path, &text).expect("writes");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "{} is stale: UPDATE_GOLDEN=1 cargo test schemas", path.display());
        expected.push(path);
    }
    // A schema of an older version stays, beside its upcast.
    assert!(files(&folder).len() >= expected.len());
}

/// `<kind>.v<version>.json`, as every file in the folder is called.
fn kind_and_version(path: &Path) -> (String, u16) {
    let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
    let (kind, version) = name.rsplit_once(".v").expect("kind and version");
    (kind.to_owned(), version.parse().expect("a number"))
}

#[test]
fn every_golden_file_of_any_version_decodes_and_fits_its_schema() {
    for path in files(&root().join("tests/golden")) {
        let (kind, version) = kind_and_version(&path);
        let body = fs::read(&path).expect("reads");
        let read = decode(&Stored { kind: kind.as_str().into(), version, body: body.clone() });
        assert_eq!(read.expect("decodes").event.expect("an event").kind(), kind);
        let schema = root().join(format!("schemas/entries/{kind}.v{version}.json"));
        let schema: Value = serde_json::from_slice(&fs::read(schema).expect("reads")).expect("JSON");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let data = body["event"]["data"].as_object().expect("an object");
        for field in schema["required"].as_array().into_iter().flatten() {
            assert!(data.contains_key(field.as_str().expect("a name")), "{kind} lacks {field}");
        }
        for field in data.keys() {
            assert!(schema["properties"].get(field).is_some(), "{kind} has {field}, its schema has not");
        }
    }
}

#[test]
fn every_version_that_was_ever_written_has_its_golden_and_its_schema() {
    for kind in kinds() {
        for version in 1..=current_version(kind).expect("known") {
            for path in [
                root().join(format!("tests/golden/{kind}.v{version}.json")),
                root().join(format!("schemas/entries/{kind}.v{version}.json")),
            ] {
                assert!(path.exists(), "{} is missing", path.display());
            }
        }
    }
}

#[test]
fn what_an_old_entry_did_not_say_is_not_invented() {
    let folder = root().join("tests/golden");
    let read = |kind: &str| {
        let body = fs::read(folder.join(format!("{kind}.v1.json"))).expect("reads");
        decode(&Stored { kind: kind.into(), version: 1, body }).expect("decodes").event.expect("an event")
    };
    match read("mission.created") {
        Event::Mission(MissionEvent::MissionCreated(created)) => assert_eq!(created.cloned_from, None),
        other => panic!("{other:?}"),
    }
    match read("workspace.opened") {
        Event::Roster(RosterEvent::WorkspaceOpened(opened)) => assert_eq!(opened.preferred_language, None),
        other => panic!("{other:?}"),
    }
    match read("agent.created") {
        Event::Roster(RosterEvent::AgentCreated(created)) => {
            let unset = AgentFacts::default();
            assert_eq!(created.agent.name, "Ada".into());
            assert_eq!(created.agent.schedule_cron, unset.schedule_cron);
            assert!(!created.agent.schedule_enabled && !created.agent.webhook_require_timestamp);
        }
        other => panic!("{other:?}"),
    }
    match read("agent.updated") {
        Event::Roster(RosterEvent::AgentUpdated(updated)) => {
            let changes = updated.changes;
            assert_eq!(changes.name, Some("Ada".into()));
            assert!(changes.suggested_prompts.is_none() && changes.ask_forms.is_none());
            assert!(changes.schedule_cron.is_none() && changes.schedule_prompt.is_none());
            assert!(changes.schedule_enabled.is_none() && changes.webhook_require_timestamp.is_none());
        }
        other => panic!("{other:?}"),
    }
    match read("instance.workspace_registered") {
        Event::Instance(InstanceEvent::WorkspaceRegistered(registered)) => {
            assert_eq!((&*registered.name, registered.preferred_language), ("Acme", None));
        }
        other => panic!("{other:?}"),
    }
    let (from, to, reason) = (Status::Planning, Status::InProgress, Reason::Start);
    assert_eq!(read("mission.status_change"), MissionStatusChanged::new(from, to, reason).into());
    let skipped = TaskStatusChanged {
        task_id: "task1".into(),
        from: TaskStatus::InProgress,
        to: TaskStatus::Skipped,
        iteration: 1,
        reason: Reason::MissionCancelled,
        error_message: Some("mission cancelled".into()),
        assignment_id: None,
        report: None,
        approval: None,
    };
    assert_eq!(read("task.status_change"), skipped.into());
}

#[test]
fn a_number_is_read_back_as_it_was_written() {
    for number in [5.0 / 3.0, 0.1 + 0.2, 1.666_666_666_666_666_5, f64::MIN_POSITIVE, 123_456_789.123_456_79] {
        let changes = IssueChanges { sort_order: Some(number), ..IssueChanges::default() };
        let draft = sample(IssueUpdated { changes: Some(changes.into()), ..IssueUpdated::default() }.into());
        let stored = draft.encode().expect("encodes");
        assert_eq!(
            decode(&stored).expect("decodes"),
            draft.at(Offset(1), Time(2), Actor::User("user1".into()))
        );
    }
}

#[test]
fn an_entry_that_is_only_a_face_may_have_any_type() {
    let face = Face::new("weather.changed", &Actor::System, "wind", "north");
    let draft = Draft { subject: "subject1".into(), event: None, face: Some(face) };
    let stored = draft.encode().expect("encodes");
    assert_eq!(decode(&stored).expect("decodes"), draft.at(Offset(1), Time(2), Actor::User("user1".into())));
    assert!(Draft { subject: "subject1".into(), event: None, face: None }.encode().is_err());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|found| found.expect("an entry").path()).collect()
}

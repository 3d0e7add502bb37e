//! The demo's agent: no model, but a real process that is told what to do, takes its time, says what it does,
//! fails once and hands on what it found.

use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

/// Long enough to watch, short enough to wait for.
const STEP: Duration = Duration::from_millis(600);
/// The task whose first attempt fails.
pub(super) const FAILS_ONCE: &str = "Try the installation on a clean machine";

/// Reads a brief, and answers it.
pub(super) fn answer() -> Result<(), io::Error> {
    let mut brief = String::new();
    io::stdin().read_to_string(&mut brief)?;
    let brief: Value = serde_json::from_str(&brief).unwrap_or_default();
    let said = match brief["purpose"].as_str() {
        Some("REVIEW") => review(&brief)?,
        Some("PLANNING") => plan()?,
        Some("CHAT") => json!({ "result": "I am the demo's agent: I can only work the demo's mission." }),
        _ => work(&brief)?,
    };
    say(&said.to_string())
}

fn work(brief: &Value) -> Result<Value, io::Error> {
    let title = brief["task"]["title"].as_str().unwrap_or("something");
    let iteration = brief["task"]["iteration"].as_u64().unwrap_or(1);
    say(&format!("{} looks at: {title}", brief["agent_name"].as_str().unwrap_or("An agent")))?;
    for need in brief["dependencies"].as_array().into_iter().flatten() {
        say(&format!("knows from before: {}", need["result"].as_str().unwrap_or("nothing")))?;
    }
    sleep(STEP);
    if title == FAILS_ONCE && iteration == 1 {
        return Err(io::Error::other("the installer wants a compiler that a clean machine does not have"));
    }
    sleep(STEP);
    let result = match iteration {
        1 => format!("Done: {title}"),
        _ => format!("Done at attempt {iteration}: {title}"),
    };
    Ok(json!({ "result": result, "confidence": 0.9, "tokens": 1200, "cost_usd": 0.003, "model": "demo",
        "provider": "none", "usage": { "input_tokens": 900, "output_tokens": 300 } }))
}

fn plan() -> Result<Value, io::Error> {
    say("A plan of three steps will do.")?;
    sleep(STEP);
    let task = |title: &str, order: u32, needs: &[u32]| json!({ "title": title, "task_order": order, "depends_on": needs, "max_iterations": 2 });
    let tasks = [task("Look around", 1, &[]), task("Do it", 2, &[1]), task("Tell what was done", 3, &[2])];
    Ok(json!({ "plan": "1. Look around 2. Do it 3. Tell what was done", "tasks": tasks }))
}

fn review(brief: &Value) -> Result<Value, io::Error> {
    say("Everything there? Let me see.")?;
    sleep(STEP);
    let tasks = brief["mission"]["tasks"].as_array().into_iter().flatten();
    let evaluations: Vec<Value> = tasks
        .map(|task| json!({ "task": task["id"], "status": "PASS", "notes": "as it should be" }))
        .collect();
    Ok(json!({ "result": "All of it is there.", "verdict": "complete", "evaluations": evaluations }))
}

fn say(line: &str) -> Result<(), io::Error> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

//! The page that everybody reads first: its commands are run against a running server, so it cannot rot.

use std::process::Command;

use crate::program::{Data, Program};

/// A curl that fails where HTTP says no.
const CURL: &str = r#"curl() { command curl --fail-with-body --silent --show-error "$@"; }"#;

#[test]
fn every_curl_line_of_the_readme_works_against_a_fresh_demo() {
    let blocks = shell_blocks(include_str!("../../README.md"));
    assert!(!blocks.is_empty(), "the page has nothing to try");
    let data = Data::new();
    let program = Program::start_with(data.path(), &["--demo"]);
    let said = program.said_until("/api/v1/journal?");
    let exports: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with("export ")).collect();
    for name in ["URL=", "TOKEN=", "WORKSPACE=", "CREW=", "MISSION="] {
        assert!(exports.iter().any(|line| line.contains(name)), "{name} is not told: {said}");
    }
    // One script, because a reader has one shell: what a block sets, the next one uses.
    let blocks = blocks.iter().map(|(line, block)| format!("echo '== line {line}' >&2\n{block}"));
    let script =
        [CURL.to_owned(), exports.join("\n")].into_iter().chain(blocks).collect::<Vec<_>>().join("\n");
    let ran = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    let (answers, complaints) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{complaints}\n{answers}");
}

#[test]
fn the_demo_tells_lines_that_work() {
    let data = Data::new();
    let program = Program::start_with(data.path(), &["--demo"]);
    let said = program.said_until("/api/v1/journal?");
    let lines = said.lines().map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| line.starts_with("export ") || line.starts_with("curl ")).collect();
    assert!(lines.iter().filter(|line| line.starts_with("curl ")).count() >= 3, "{said}");
    let script = format!("{CURL}\n{}", lines.join("\n"));
    let ran = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    assert!(
        ran.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ran.stderr),
        String::from_utf8_lossy(&ran.stdout)
    );
}

/// The fenced `sh` blocks that ask the server something, each with the line it begins at.
fn shell_blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = vec![];
    let mut open: Option<(usize, String)> = None;
    let mut is_fenced = false;
    for (number, line) in (1..).zip(page.lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), _) if !is_fenced => {
                is_fenced = true;
                open = (info.trim() == "sh").then(|| (number, String::new()));
            }
            (Some(_), _) => {
                is_fenced = false;
                blocks.extend(open.take());
            }
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.retain(|(_, block)| block.contains("curl "));
    blocks
}

//! The tree itself: which room may know which (`DESIGN.md` 2), and what is never committed.
//!
//! Cargo refuses a wrong import between crates; this refuses one between the rooms of a crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A committed file.
struct File {
    path: String,
    text: String,
}

/// Every file that git knows, or would take.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let read = |path: &str| {
        // A file may be gone that the index still has; one that is no text has nothing to say here.
        let text = fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    let files: Vec<File> = listed.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect();
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "this is not the tree");
    files
}

/// The Rust files below these folders.
fn sources(folders: &[&str]) -> Vec<File> {
    let below = |file: &File| {
        file.path.ends_with(".rs")
            && folders.iter().any(|folder| file.path.starts_with(&format!("{folder}/")))
    };
    files().into_iter().filter(below).collect()
}

impl File {
    /// Code without comments, without tests at its end, and without what stands in quotes.
    fn code(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = product.lines().map(|line| {
            let code = line.split("//").next().unwrap_or_default();
            // Odd parts stand in quotes.
            code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// Whether `code` names `path` as a whole path, not as a part of a longer word.
fn names(code: &str, path: &str) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    code.match_indices(path).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(is_word)
            && !code[at + path.len()..].chars().next().is_some_and(is_word)
    })
}

/// No product file of these folders names any of these paths.
#[track_caller]
fn never_names(folders: &[&str], paths: &[&str]) {
    let sources: Vec<File> = sources(folders).into_iter().filter(|file| !file.is_test()).collect();
    assert!(!sources.is_empty(), "{folders:?} are empty");
    let mut wrong = vec![];
    for file in &sources {
        let code = file.code();
        wrong.extend(
            paths.iter().filter(|path| names(&code, path)).map(|path| format!("{}: {path}", file.path)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Everything that reaches out of a program.
const OUTSIDE: [&str; 14] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "tokio",
    "SystemTime",
    "Instant",
    "rand",
    "getrandom",
    "axum",
    "reqwest",
    "println",
];

#[test]
fn rules_and_worlds_know_nothing_outside_themselves() {
    never_names(&["src/domain", "projections"], &OUTSIDE);
    never_names(&["src/domain", "projections"], &["taffrail", "taffrail_journal", "sled", "bincode"]);
    never_names(&["src/domain"], &["taffrail_projections"]);
}

#[test]
fn only_the_journal_knows_sled_and_segments() {
    let rooms = ["src/boot", "src/cli", "src/http", "src/snapshot", "src/vault", "src/writer", "projections"];
    never_names(&rooms, &["sled"]);
    let rooms = ["src/cli", "src/http", "src/snapshot", "src/vault", "src/writer"];
    never_names(&rooms, &["SegmentJournal", "taffrail_journal::segment", "use taffrail_journal::{segment"]);
}

#[test]
fn the_journal_knows_no_mission() {
    let others = ["taffrail", "taffrail_domain", "taffrail_projections", "axum", "MissionId", "Mission"];
    never_names(&["src/journal"], &others);
}

#[test]
fn the_http_room_asks_writers_and_worlds_not_the_disk() {
    never_names(
        &["src/http"],
        &["std::fs", "tokio::fs", "rustix", "taffrail_journal::segment", "MemoryJournal"],
    );
    never_names(&["src/http"], &["Unsealed", "crate::snapshot", "crate::cli", "crate::stored"]);
}

#[test]
fn writers_know_no_http_and_no_files() {
    never_names(
        &["src/writer"],
        &["axum", "tower", "http", "std::fs", "crate::http", "crate::boot", "crate::vault"],
    );
    never_names(
        &["src/snapshot", "src/vault"],
        &["axum", "crate::http", "crate::boot", "crate::writer", "crate::cli"],
    );
    never_names(&["src/boot"], &["axum", "crate::http", "crate::cli"]);
}

#[test]
fn only_search_knows_its_index_and_it_knows_no_http() {
    let others = ["src/boot", "src/cli", "src/http", "src/live", "src/writer", "projections", "src/domain"];
    never_names(&others, &["tantivy"]);
    never_names(&["src/search"], &["axum", "crate::http", "crate::boot", "crate::cli", "crate::live"]);
}

#[test]
fn nothing_is_left_to_be_done() {
    // Spelled in parts, or this page would find itself. An issue may well be to be done: what a note is
    // begins a comment or ends in a colon or parenthesis.
    let words = [
        ["// TO", "DO"],
        ["TO", "DO:"],
        ["TO", "DO("],
        ["FIX", "ME"],
        ["to", "do!"],
        ["unimple", "mented!"],
        ["db", "g!("],
        ["XX", "X:"],
    ];
    let words: Vec<String> = words.iter().map(|parts| parts.concat()).collect();
    let mut wrong = vec![];
    for file in files().into_iter().filter(|file| file.path != "Cargo.lock") {
        let found = words.iter().filter(|word| file.text.contains(*word));
        wrong.extend(found.map(|word| format!("{}: {word}", file.path)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_says_what_it_holds() {
    let sources: Vec<File> = sources(&["src", "projections", "tests", "benches"]);
    let silent: Vec<&str> =
        sources.iter().filter(|file| !file.text.starts_with("//!")).map(|file| &*file.path).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let parts = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["spar", "se+"],
        ["replace-", "with"],
        ["index.cra", "tes.io"],
    ];
    let names: Vec<String> = parts.iter().map(|parts| parts.concat()).collect();
    let mut wrong = vec![];
    for file in files() {
        // Cargo itself writes where a package comes from.
        let is_lock = file.path == "Cargo.lock";
        for (number, line) in (1..).zip(file.text.lines()).filter(|_| !is_lock) {
            wrong.extend(
                names
                    .iter()
                    .filter(|name| line.contains(*name))
                    .map(|name| format!("{}:{number}: {name}", file.path)),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn packages_come_from_the_one_registry_that_everybody_has() {
    let lock = files().into_iter().find(|file| file.path == "Cargo.lock").unwrap();
    let sources: BTreeSet<&str> =
        lock.text.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    let crates = format!("\"registry+https://{}.com/rust-lang/crates.io-index\"", "github");
    assert_eq!(sources, BTreeSet::from([&*crates]));
}

#[test]
fn the_top_level_is_the_users() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "projections",
        "schemas",
        "tests",
        "benches",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "deny.toml",
        // Cargo asks for it there: it names the fold, for snapshots.
    ];
    let top: BTreeSet<String> =
        files().iter().map(|file| file.path.split('/').next().unwrap_or_default().to_owned()).collect();
    let strange: Vec<&String> =
        top.iter().filter(|name| !name.starts_with('.') && !allowed.contains(&&***name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

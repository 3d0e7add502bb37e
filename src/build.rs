//! Names the fold: a hash over everything that decides what a world is and how it is written down.
//! A snapshot made by another fold is ignored (`src/snapshot`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Crates whose sources decide what a world is.
const FOLDS: [&str; 2] = ["src/domain", "projections"];
/// Crates whose versions decide how a world is written down.
const CODECS: [&str; 3] = ["imbl", "bincode", "serde"];

fn main() -> io::Result<()> {
    let mut hash = Sha256::new();
    for folder in FOLDS {
        println!("cargo::rerun-if-changed={folder}");
        for file in sources(Path::new(folder))? {
            hash.update(file.to_string_lossy().as_bytes());
            hash.update(Sha256::digest(fs::read(&file)?));
        }
    }
    println!("cargo::rerun-if-changed=Cargo.lock");
    for version in versions(&fs::read_to_string("Cargo.lock")?) {
        hash.update(version);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=TAFFRAIL_FOLD={hex}");
    Ok(())
}

/// Every Rust file below a folder, sorted.
fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// `name = "x"` and the `version` line behind it, for each codec.
fn versions(lock: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = lock.lines().collect();
    let named = |pair: &&[&str]| CODECS.iter().any(|codec| pair[0] == format!("name = \"{codec}\""));
    lines.windows(2).filter(named).map(|pair| pair.concat()).collect::<Vec<_>>().into_iter()
}

//! A real disk that is really full: a small file system in memory, where mounting one is allowed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Client, Data, Program};

/// Room for two segments, the shelf, what must stay free, and a little work.
const SIZE: &str = "size=144m";

/// A mounted file system; unmounted when it is dropped.
struct Mounted {
    folder: TempDir,
}

impl Mounted {
    /// `None`, with the reason on stdout, where mounting is not allowed.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: mount: {error}");
                None
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file until nothing more fits.
    fn fill(&self) -> Ballast {
        let path = self.folder.path().join("ballast");
        let mut file = File::create(&path).unwrap();
        let chunk = [1; 4096];
        while file.write_all(&chunk).is_ok() {}
        Ballast(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.folder.path()).status());
    }
}

/// What takes all the room; it goes when this is dropped.
struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_without_a_byte_left_nothing_is_half_written_and_service_returns() {
    let Some(disk) = Mounted::new() else { return };
    let program = Program::start(&disk.data());
    let account = Client::stranger(&program.url).bootstrap().await;
    let client = Client::of(&program.url, &account);
    let (crew, lead) = client.crew("tmpfs").await;
    client.mission(&crew, &lead, "Before").await;
    let before = (client.missions().await, client.journal().await);

    let ballast = disk.fill();
    let body = json!({ "title": "Full", "lead_agent_id": lead });
    let path = format!("/api/v1/crews/{crew}/missions");
    for _ in 0..5 {
        let refused = client.post(&path, body.clone()).await;
        assert_eq!((refused.status, &refused.body["code"]), (503, &Value::from("disk_full")));
    }
    assert_eq!((client.missions().await, client.journal().await), before);
    drop(ballast);
    client.mission(&crew, &lead, "After").await;

    // Killed while full, and started while full: it reads, and takes writes once there is room.
    let ballast = disk.fill();
    program.kill();
    assert_proven(&disk.data());
    let program = Program::start(&disk.data());
    let client = Client::of(&program.url, &account);
    assert_eq!(client.missions().await.len(), 2);
    let refused = client.post(&path, body.clone()).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &Value::from("disk_full")));
    assert_eq!(client.checks().await["shelf_abandoned"], true, "it is not opened without room");
    program.kill();
    assert!(!disk.data().join("shelf.aside").exists(), "a full disk says nothing about the shelf");
    drop(ballast);
    let program = Program::start(&disk.data());
    let client = Client::of(&program.url, &account);
    client.mission(&crew, &lead, "At last").await;
    assert_eq!(client.missions().await.len(), 3);
    let ended = program.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_proven(&disk.data());
}

fn assert_proven(data: &Path) {
    assert_eq!(Data::copied(data).verify().heads.len(), 2);
}

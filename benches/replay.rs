//! Question: how long until a server that crashed is ready again, and how much memory does it then
//! hold? Guess: proving and decoding are the cost, and a snapshot makes both go away.
//!
//! Each figure is taken in a process of its own, which opens the data directory as `serve` does.
//!
//! `cargo bench --bench replay` — 1,000,000 entries; `-- 100000` for another number.

mod kit;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use taffrail::boot::{Options, Taffrail};
use taffrail_domain::LogTag;
use taffrail_projections::World;
use tempfile::TempDir;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    match (args.next().as_deref(), args.next()) {
        (Some("open"), Some(data)) => open(Path::new(&data)),
        (count, _) => measure(count.and_then(|count| count.parse().ok()).unwrap_or(1_000_000)),
    }
}

fn measure(entries: usize) {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let idle = TempDir::new_in(".").expect("a folder on the disk under test");
    println!("an empty instance:");
    open_in_a_process(idle.path());
    drop(kit::seed(folder.path(), &"cmi4q0x2a0000000000000001".into(), entries));
    println!("after a crash, no snapshot:");
    open_in_a_process(folder.path());
    println!("after a drain, with a snapshot:");
    open_in_a_process(folder.path());
}

fn open_in_a_process(data: &Path) {
    kit::settle();
    let own = std::env::current_exe().expect("this bench");
    let status = Command::new(own).arg("open").arg(data).status().expect("starts");
    assert!(status.success());
}

fn open(data: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let started = Instant::now();
        let app = Taffrail::open(Options::new(data)).await.expect("opens");
        let elapsed = started.elapsed();
        let head = app.workspace_of_log(LogTag(1)).map_or(0, |workspace| workspace.world().head().0);
        println!(
            "  {head} entries: ready in {:.3} s ({:.0} entries/s), {} MiB resident",
            elapsed.as_secs_f64(),
            head as f64 / elapsed.as_secs_f64(),
            kit::resident_mib()
        );
        app.drain().await;
    });
}

//! A full disk: refused whole, and served again when there is room.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use taffrail::boot::{Options, Taffrail};
use taffrail::http;
use taffrail_journal::segment;
use tokio::net::TcpListener;

use crate::program::{Client, Data, Folded};

/// Room that must stay free on the disk.
const FREE_BYTES_MIN: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_every_write_whole_and_serves_again_with_the_room() {
    let data = Data::new();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let app = open(&data, Arc::clone(&free)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = http::service(Arc::clone(&app));
    let serving = tokio::spawn(http::serve(listener, service, std::future::pending()));
    let account = Client::stranger(&url).bootstrap().await;
    let client = Client::of(&url, &account);
    let (crew, lead) = client.crew("full").await;
    let mission = client.mission(&crew, &lead, "Before").await;
    let before = (client.missions().await, client.journal().await, data.verify());

    free.store(FREE_BYTES_MIN - 1, Ordering::SeqCst);
    let missions = format!("/api/v1/crews/{crew}/missions");
    for _ in 0..3 {
        for (path, body) in [
            (missions.clone(), json!({ "title": "x", "lead_agent_id": lead })),
            (format!("{missions}/{mission}/tasks"), json!({ "title": "x" })),
            (format!("{missions}/{mission}/start"), json!({})),
            ("/api/v1/auth/cli-token".to_owned(), json!({})),
        ] {
            let refused = client.post(&path, body).await;
            assert_eq!((refused.status, refused.text("code")), (503, "disk_full".to_owned()), "{path}");
        }
    }
    assert_eq!(client.checks().await["journal_full"], true);
    assert_eq!((client.missions().await, client.journal().await, data.verify()), before);

    free.store(FREE_BYTES_MIN, Ordering::SeqCst);
    client.mission(&crew, &lead, "After").await;
    assert_eq!(client.checks().await["journal_full"], false);
    let (missions, journal) = (client.missions().await, client.journal().await);
    serving.abort();
    drop(serving.await);
    app.drain().await;
    assert_eq!((missions.len(), journal.len()), (2, before.1.len() + 1));
    let reopened = data.copy();
    reopened.verify();
    let opened = Folded::opened(&reopened).await;
    assert!(opened == Folded::of(&reopened.frames()));
    assert_eq!(opened.workspaces.values().next().unwrap().state.missions.len(), 2);
}

/// An instance on a journal that asks us how much room there is.
async fn open(data: &Data, free: Arc<AtomicU64>) -> Arc<Taffrail> {
    let options = segment::Options {
        free_bytes: Arc::new(move |_: &Path| Ok(free.load(Ordering::SeqCst))),
        ..segment::Options::new(data.path())
    };
    let journal = segment::open(options, &Default::default(), &mut |_| ()).unwrap();
    Taffrail::open_on(Options::new(data.path()), Arc::new(journal)).await.unwrap()
}

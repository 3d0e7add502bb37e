//! What the store keeps, refuses and sweeps.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;

use super::*;

async fn arrived(store: &Attachments, pieces: &[&'static [u8]]) -> Incoming {
    let mut incoming = store.receive(&workspace()).await.unwrap().unwrap();
    for piece in pieces {
        incoming = incoming.take(Bytes::from_static(piece)).await.unwrap();
    }
    incoming
}

fn file(sha256: &str, size_bytes: u64) -> AttachedFile {
    let (filename, content_type) = ("a.txt".into(), "text/plain".into());
    AttachedFile { filename, content_type, size_bytes, sha256: sha256.into() }
}

async fn all(mut reading: Reading) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    while let Some((piece, rest)) = reading.next().await {
        bytes.extend_from_slice(&piece?);
        reading = rest;
    }
    Ok(bytes)
}

fn workspace() -> WorkspaceId {
    "cworkspace".into()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn what_is_kept_lies_under_its_hash_for_its_owner_alone_and_reads_back() {
    let data = tempfile::tempdir().unwrap();
    let store = Attachments::open(data.path()).unwrap();
    let incoming = arrived(&store, &[b"hello ", b"world"]).await;
    let (sha256, len) = (incoming.sha256(), incoming.len());
    assert!(sha256.starts_with("b94d27b9934d3e08"), "of hello world");
    store.keep(&workspace(), incoming).await.unwrap();
    let folder = data.path().join("attachments");
    let place = folder.join("cworkspace").join(&*sha256);
    assert_eq!((mode(&place), mode(&folder), mode(&folder.join("cworkspace"))), (0o600, 0o700, 0o700));
    assert_eq!(count(&folder.join(INCOMING)), 0);
    let store = Attachments::open(data.path()).unwrap();
    let reading = store.read(&workspace(), &file(&sha256, len)).await.unwrap();
    assert_eq!(all(reading).await.unwrap(), b"hello world");
    store.remove(&workspace(), &sha256).await.unwrap();
    store.remove(&workspace(), &sha256).await.unwrap();
    let missing = store.read(&workspace(), &file(&sha256, len)).await;
    assert!(matches!(missing, Err(ReadError::Missing)));
}

#[tokio::test]
async fn what_nobody_keeps_leaves_nothing_and_a_start_sweeps_what_a_crash_left() {
    let data = tempfile::tempdir().unwrap();
    let store = Attachments::open(data.path()).unwrap();
    let folder = data.path().join("attachments").join(INCOMING);
    let incoming = arrived(&store, &[b"half"]).await;
    assert_eq!(count(&folder), 1);
    drop(incoming);
    assert_eq!(count(&folder), 0);
    fs::write(folder.join("x.tmp"), "half").unwrap();
    Attachments::open(data.path()).unwrap();
    assert_eq!(count(&folder), 0);
}

#[tokio::test]
async fn a_damaged_file_is_never_given_out_whole_and_the_same_bytes_mend_it() {
    let data = tempfile::tempdir().unwrap();
    let store = Attachments::open(data.path()).unwrap();
    let incoming = arrived(&store, &[b"hello"]).await;
    let sha256 = incoming.sha256();
    store.keep(&workspace(), incoming).await.unwrap();
    let place = data.path().join("attachments/cworkspace").join(&*sha256);
    fs::write(&place, "hellx").unwrap();
    let reading = store.read(&workspace(), &file(&sha256, 5)).await.unwrap();
    assert_eq!(all(reading).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    fs::write(&place, "hell").unwrap();
    let short = store.read(&workspace(), &file(&sha256, 5)).await;
    assert!(matches!(short, Err(ReadError::Damaged)));
    store.keep(&workspace(), arrived(&store, &[b"hello"]).await).await.unwrap();
    let reading = store.read(&workspace(), &file(&sha256, 5)).await.unwrap();
    assert_eq!(all(reading).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_sweep_takes_what_nothing_names_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let store = Attachments::open(data.path()).unwrap();
    assert_eq!(store.sweep(&workspace(), |_| false).await.unwrap(), 0, "nothing is there yet");
    let (named, unnamed) = (arrived(&store, &[b"a"]).await, arrived(&store, &[b"b"]).await);
    let (kept, gone) = (named.sha256(), unnamed.sha256());
    store.keep(&workspace(), named).await.unwrap();
    store.keep(&workspace(), unnamed).await.unwrap();
    let folder = data.path().join("attachments/cworkspace");
    fs::write(folder.join("README"), "not ours").unwrap();
    let name = kept.to_string();
    assert_eq!(store.sweep(&workspace(), move |sha256| sha256 == name).await.unwrap(), 1);
    assert!(folder.join(&*kept).exists() && !folder.join(&*gone).exists() && folder.join("README").exists());
}

#[tokio::test]
async fn a_name_that_leaves_the_folder_names_nothing() {
    let data = tempfile::tempdir().unwrap();
    let store = Attachments::open(data.path()).unwrap();
    let incoming = arrived(&store, &[b"a"]).await;
    let sha256 = incoming.sha256();
    assert!(store.keep(&"../x".into(), incoming).await.is_err());
    assert!(store.read(&"..".into(), &file(&sha256, 1)).await.is_err());
    assert!(store.read(&workspace(), &file("../../lock", 1)).await.is_err());
    assert!(store.remove(&workspace(), "../../lock").await.is_err());
}

#[tokio::test]
async fn only_so_many_arrive_at_once() {
    let data = tempfile::tempdir().unwrap();
    let store = Attachments::open(data.path()).unwrap();
    let workspaces: Vec<WorkspaceId> = (0..9).map(|number| format!("w{number}").as_str().into()).collect();
    let mut all = vec![];
    for _ in 0..INCOMING_OF_ONE_MAX {
        all.push(store.receive(&workspaces[0]).await.unwrap().unwrap());
    }
    assert!(store.receive(&workspaces[0]).await.unwrap().is_none(), "it has had its share");
    for number in INCOMING_OF_ONE_MAX..INCOMING_MAX {
        let workspace = &workspaces[number / INCOMING_OF_ONE_MAX];
        all.push(store.receive(workspace).await.unwrap().unwrap());
    }
    assert!(store.receive(&workspaces[8]).await.unwrap().is_none(), "all have");
    all.pop();
    assert!(store.receive(&workspaces[8]).await.unwrap().is_some());
}

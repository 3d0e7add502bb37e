//! The vault: files without a fact go at the next start, files with one stay.

use std::fs;

use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_in_the_vault_without_its_fact_is_swept() {
    let scene = Scene::shared().await;
    let data = scene.copy();
    let (users, tokens) = (data.join("vault/users"), data.join("vault/tokens"));
    let orphan = "corphan000000000000000000";
    let owner = fs::read_dir(&users).unwrap().next().unwrap().unwrap().path();
    fs::copy(owner, users.join(orphan)).unwrap();
    fs::write(tokens.join(orphan), serde_json::json!({ "digest": vec![7; 32] }).to_string()).unwrap();
    let unfinished = format!("{orphan}.tmp");
    fs::write(tokens.join(&unfinished), b"{\"dig").unwrap();
    let found = scene.nothing_is_lost(&data).await;
    assert!(
        found.log().contains("files without a fact were removed from the vault files=2"),
        "{}",
        found.log()
    );
    let names =
        |folder| fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    for left in [names(users), names(tokens)] {
        assert!(left.len() == 1 && left[0] != orphan, "{left:?}");
    }
}

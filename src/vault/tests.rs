//! What the vault keeps, forgets and sweeps.

use std::fs;

use super::*;

fn profile(email: &str) -> Profile {
    let password_hash = serde_json::from_str("\"$argon2id$…\"").unwrap();
    Profile { email: email.to_owned(), full_name: "Ada".to_owned(), password_hash }
}

#[tokio::test]
async fn what_is_put_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let vault = Vault::open(data.path()).unwrap();
    let (user, token) = (UserId::from("u1"), TokenId::from("t1"));
    let secret = TokenSecret::fresh().unwrap();
    vault.put_user(&user, profile("ada@example.com")).await.unwrap();
    vault.put_token(&token, &secret).await.unwrap();
    vault.note_use(&token, Time(5));
    vault.flush().await.unwrap();
    let key = vault.email_key(" Ada@Example.com ");
    drop(vault);
    let vault = Vault::open(data.path()).unwrap();
    assert_eq!(vault.profile(&user).unwrap().email, "ada@example.com");
    assert_eq!(vault.token_by_secret(secret.reveal()), Some(token.clone()));
    assert_eq!(vault.token_by_secret("crewship_cli_00"), None);
    assert_eq!(vault.last_used_at(&token), Some(Time(5)));
    assert_eq!(vault.email_key("ada@example.com"), key);
}

#[test]
fn a_token_vouches_for_its_waitpoint_alone_and_in_this_store_alone() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = Vault::open(data.path()).unwrap();
    let waitpoint = "0123456789abcdef".repeat(2);
    let token = vault.waitpoint_token(&waitpoint);
    assert_eq!((token.len(), vault.waitpoint_of(&token)), (64, Some(&*waitpoint)));
    let forged = format!("{}{}", "f".repeat(32), &token[32..]);
    for wrong in ["", &waitpoint, &token[..63], &forged, &"é".repeat(32), &format!("{token}0")] {
        assert_eq!(vault.waitpoint_of(wrong), None, "{wrong}");
    }
    assert_eq!(Vault::open(other.path()).unwrap().waitpoint_of(&token), None);
    drop(vault);
    assert_eq!(Vault::open(data.path()).unwrap().waitpoint_of(&token), Some(&*waitpoint));
}

#[tokio::test]
async fn what_is_forgotten_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let vault = Vault::open(data.path()).unwrap();
    let (token, secret) = (TokenId::from("t1"), TokenSecret::fresh().unwrap());
    vault.put_token(&token, &secret).await.unwrap();
    vault.forget_token(&token).await.unwrap();
    vault.forget_token(&token).await.unwrap();
    assert_eq!(vault.token_by_secret(secret.reveal()), None);
    assert_eq!(Vault::open(data.path()).unwrap().token_by_secret(secret.reveal()), None);
}

#[tokio::test]
async fn a_file_without_a_fact_is_swept() {
    let data = tempfile::tempdir().unwrap();
    let vault = Vault::open(data.path()).unwrap();
    for user in ["kept", "orphan"] {
        vault.put_user(&user.into(), profile("x@example.com")).await.unwrap();
        vault.put_token(&user.into(), &TokenSecret::fresh().unwrap()).await.unwrap();
    }
    let swept = vault
        .sweep(|user| user.as_str() == "kept", |token| token.as_str() == "kept", |_| true)
        .await
        .unwrap();
    assert_eq!(swept, 2);
    assert!(vault.profile(&"kept".into()).is_some() && vault.profile(&"orphan".into()).is_none());
    assert_eq!(fs::read_dir(data.path().join("vault/tokens")).unwrap().count(), 1);
}

#[tokio::test]
async fn no_secret_is_in_a_file() {
    let data = tempfile::tempdir().unwrap();
    let vault = Vault::open(data.path()).unwrap();
    let secret = TokenSecret::fresh().unwrap();
    vault.put_token(&"t1".into(), &secret).await.unwrap();
    let file = fs::read_to_string(data.path().join("vault/tokens/t1")).unwrap();
    assert!(!file.contains(&secret.reveal()["crewship_cli_".len()..]));
}

#[test]
fn an_unfinished_file_is_not_believed() {
    let data = tempfile::tempdir().unwrap();
    drop(Vault::open(data.path()).unwrap());
    let unfinished = data.path().join("vault/users/u1.tmp");
    fs::write(&unfinished, "{\"email\":").unwrap();
    drop(Vault::open(data.path()).unwrap());
    assert!(!unfinished.exists());
}

#[test]
fn a_damaged_file_is_named() {
    let data = tempfile::tempdir().unwrap();
    drop(Vault::open(data.path()).unwrap());
    fs::write(data.path().join("vault/users/u1"), "{").unwrap();
    let error = Vault::open(data.path()).unwrap_err();
    assert!(error.to_string().contains("vault/users/u1 is damaged"), "{error}");
}

#[test]
fn secrets_do_not_print_themselves() {
    let secret = TokenSecret::fresh().unwrap();
    let profile = profile("ada@example.com");
    let printed = format!("{secret:?} {profile:?} {:?}", Password::from("hunter2".to_owned()));
    for word in [secret.reveal(), "ada", "argon2", "hunter2"] {
        assert!(!printed.to_lowercase().contains(word), "{printed}");
    }
}

#[tokio::test]
async fn a_password_opens_only_its_own_hash() {
    let passwords = Passwords::default();
    let hash = passwords.hash("correct horse".to_owned().into()).await.unwrap();
    let stored = serde_json::to_string(&hash).unwrap();
    assert!(stored.starts_with("\"$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    assert!(passwords.verify("correct horse".to_owned().into(), hash.clone()).await.unwrap());
    assert!(!passwords.verify("battery staple".to_owned().into(), hash).await.unwrap());
}

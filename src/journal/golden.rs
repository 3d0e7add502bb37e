//! The stored bytes, frozen: what was written once must be readable for ever.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;

use crate::seal::{self, Sealer};
use crate::segment::golden_segment;
use crate::{Frame, LogId, Position, Request, Unsealed, frame};

/// A whole frame with a request, one without, and an erased one: a small log.
fn frames() -> Vec<Frame> {
    let unsealed = |n: u64, request| Unsealed {
        time_ms: 1_700_000_000_000 + n,
        kind: "mission.created".into(),
        version: 2,
        subject: "m_01".into(),
        actor: "user:u_01".into(),
        request,
        body: Bytes::from(format!(r#"{{"title":"Ship the béta","n":{n}}}"#)),
    };
    let request = Request { id: *b"request-id-of-16", fingerprint: *b"finger-8" };
    let mut sealer = Sealer::seeded([7; 32]);
    let mut position = Position::default();
    let mut frames: Vec<_> = [Some(request), None, Some(request)]
        .into_iter()
        .zip(1..)
        .map(|(request, n)| {
            sealer.seal(LogId(0x0001_0203), &mut position, unsealed(n, request), &mut Vec::new())
        })
        .collect();
    frames[2].content = None;
    frames
}

fn check(name: &str, bytes: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, bytes).expect("the golden file can be written");
    }
    let golden = fs::read(&path).unwrap_or_default();
    assert!(golden == bytes, "{name} is not what it was; if that is meant, run with UPDATE_GOLDEN=1");
}

#[test]
fn frames_are_stored_as_ever() {
    let names = ["frame-whole.bin", "frame-without-request.bin", "frame-erased.bin"];
    let mut position = Position::default();
    for (name, frame) in names.into_iter().zip(frames()) {
        let bytes = frame::encode(&frame);
        check(name, &bytes);
        let (decoded, len) = frame::decode(&Bytes::from(bytes)).expect("it decodes");
        assert_eq!((&decoded, len), (&frame, frame::encode(&frame).len()));
        position = seal::follow(&position, &decoded).expect("it proves");
    }
}

#[test]
fn segments_are_stored_as_ever() {
    let parts = golden_segment(&frames());
    for (name, bytes) in ["segment-header.bin", "group.bin", "seal.bin"].into_iter().zip(&parts) {
        check(name, bytes);
    }
}

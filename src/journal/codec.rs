//! The one place that knows bincode: big endian, fixed-width integers, lengths as `u64`.
//!
//! Everything encoded here is described byte by byte in `FORMAT.md` and frozen by golden files.
//! Decoding refuses trailing bytes, so that one value has exactly one encoding and a re-encoded
//! header always hashes to the same leaf.

use bincode::config::{BigEndian, Configuration, Fixint, Limit};
use bincode::{Decode, Encode};

/// Most bytes that one encoded value may claim: a header is far smaller, a seal of a million logs fits.
const LIMIT: usize = 64 << 20;

type Config = Configuration<BigEndian, Fixint, Limit<LIMIT>>;

const CONFIG: Config =
    bincode::config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>();

/// Stored bytes that do not mean anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Appends the encoding of `value` to `out`.
pub(crate) fn encode_into<T: Encode>(value: &T, out: &mut Vec<u8>) {
    bincode::encode_into_std_write(value, out, CONFIG).expect("a Vec takes every value of our own types");
}

/// The encoding of `value`.
pub(crate) fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// The value that exactly these bytes encode.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    let (value, read) =
        bincode::decode_from_slice(bytes, CONFIG).map_err(|error| Malformed::new(error.to_string()))?;
    if read != bytes.len() {
        return Err(Malformed::new(format!("{} bytes too many", bytes.len() - read)));
    }
    Ok(value)
}

/// Big-endian `u32` at `at`, if the bytes reach that far.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Big-endian `u64` at `at`, if the bytes reach that far.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

//! Header and seal of a segment, read without its groups.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::segment::format::{HEADER_BLOCK, Kind, Lead, Seal, StoreId};

/// What is to be known of a segment without reading its groups.
pub(crate) struct Ends {
    pub(crate) seal: Seal,
    pub(crate) last_group: u64,
}

/// Reads only the header and the seal of a segment file; `None` if they are not there or not whole.
pub(crate) fn read_ends(path: &Path, store: &StoreId, segment: u64) -> io::Result<Option<(Vec<u8>, Ends)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let len = file.metadata()?.len();
    if len < (HEADER_BLOCK + Seal::len_for(0)) as u64 {
        return Ok(None);
    }
    let mut header = vec![0; HEADER_BLOCK];
    file.read_exact_at(&mut header, 0)?;
    let mut seal_len = [0; 4];
    file.read_exact_at(&mut seal_len, len - 4)?;
    let seal_len = u64::from(u32::from_be_bytes(seal_len));
    if seal_len < Seal::len_for(0) as u64 || seal_len > len - HEADER_BLOCK as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; seal_len as usize];
    file.read_exact_at(&mut bytes, len - seal_len)?;
    let Some((lead, body)) = Lead::read(&bytes, store, segment) else { return Ok(None) };
    let Ok(seal) = Seal::read(body) else { return Ok(None) };
    let ends = Ends { seal, last_group: lead.number };
    Ok((lead.kind == Kind::Seal).then_some((header, ends)))
}

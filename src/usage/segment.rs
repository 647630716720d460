//! The format of a segment file.
//!
//! ```text
//! header   "GPUS"  version u16  id 16 bytes  crc u32
//! frame    "GPF1"  first u32  count u32  length u32  crc of the payload u32  crc of this u32
//!          the payload: `count` records
//! ```
//!
//! Numbers are little-endian. A segment is one batch, whose id it holds. A frame is what was
//! appended at once; `first` is the number of records before it, so that what is missing between
//! two frames can be counted. The CRCs begin with the segment's id, which nobody outside knows: a
//! path that looks like a frame is not one.

use uuid::Uuid;

use super::codec;
use crate::store::UsageRecord;

const MAGIC: &[u8; 4] = b"GPUS";
const VERSION: u16 = 1;
const HEADER: usize = 26;

const FRAME_MAGIC: &[u8; 4] = b"GPF1";
const FRAME_HEADER: usize = 24;

/// A longer payload was not written by us.
const MAX_PAYLOAD: usize = 1 << 20;

/// Records of a frame are encoded until they take this much; one more fits below the largest.
pub(super) const FRAME_TARGET: usize = 256 << 10;

pub(super) fn header(id: Uuid) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(id.as_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// A frame under construction: its header is filled in at the end.
pub(super) struct Frame {
    bytes: Vec<u8>,
    count: u32,
}

impl Frame {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; FRAME_HEADER], count: 0 }
    }

    pub(super) fn push(&mut self, record: &UsageRecord) {
        codec::encode(record, &mut self.bytes);
        self.count += 1;
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FRAME_TARGET
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(FRAME_HEADER);
        self.count = 0;
    }

    /// The bytes to append to segment `id`, which has `first` records.
    pub(super) fn seal(&mut self, id: Uuid, first: u32) -> &[u8] {
        let (header, payload) = self.bytes.split_at_mut(FRAME_HEADER);
        header[..4].copy_from_slice(FRAME_MAGIC);
        header[4..8].copy_from_slice(&first.to_le_bytes());
        header[8..12].copy_from_slice(&self.count.to_le_bytes());
        header[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[16..20].copy_from_slice(&checksum(id, payload).to_le_bytes());
        let crc = checksum(id, &header[..20]);
        header[20..].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

/// What a segment holds, as far as it can be believed.
#[derive(Debug, PartialEq)]
pub struct Contents {
    /// Of the batch.
    pub id: Uuid,
    pub records: Vec<UsageRecord>,
    pub damage: Damage,
}

/// What is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Places that could not be read, a torn end among them.
    pub places: u32,
    /// Records that are known to have been there.
    pub records: u32,
}

impl Damage {
    /// What headers say is added up, and damage may make them say anything.
    fn lose(&mut self, records: u32) {
        self.records = self.records.saturating_add(records);
    }
}

/// Why a segment cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it ends inside its header")]
    Empty,
    #[error("its header is damaged")]
    Header,
    #[error("it is of a newer version ({0})")]
    Version(u16),
}

/// Reads a segment. Whatever the bytes are, it neither fails otherwise nor makes records up.
///
/// # Errors
/// The header cannot be read, and without it no frame can be believed.
pub fn read(bytes: &[u8]) -> Result<Contents, Unreadable> {
    let id = read_header(bytes)?;
    let mut contents = Contents { id, records: Vec::new(), damage: Damage::default() };
    let mut rest = &bytes[HEADER..];
    let mut expected = 0;
    while !rest.is_empty() {
        let Some(at) = next_frame(rest, id) else {
            contents.damage.places += 1;
            break;
        };
        contents.damage.places += u32::from(at.skipped > 0);
        contents.damage.lose(at.header.first.saturating_sub(expected));
        let payload = &rest[at.skipped + FRAME_HEADER..];
        let (payload, behind) =
            payload.split_at_checked(at.header.length).unwrap_or((payload, &[]));
        let is_new = at.header.first >= expected;
        expected = expected.max(at.header.first.saturating_add(at.header.count));
        match records(payload, &at.header, id).filter(|_| is_new) {
            Some(records) => contents.records.extend(records),
            None => {
                contents.damage.places += 1;
                contents.damage.lose(at.header.count);
            }
        }
        rest = behind;
    }
    Ok(contents)
}

fn read_header(bytes: &[u8]) -> Result<Uuid, Unreadable> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Err(Unreadable::Empty) };
    let (fields, crc) = header.split_at(HEADER - 4);
    let version = u16::from_le_bytes([header[4], header[5]]);
    if &header[..4] == MAGIC && version > VERSION {
        return Err(Unreadable::Version(version));
    }
    let is_whole = &header[..4] == MAGIC && crc == crc32fast::hash(fields).to_le_bytes();
    match Uuid::from_slice(&header[6..22]) {
        Ok(id) if is_whole => Ok(id),
        _ => Err(Unreadable::Header),
    }
}

struct FrameHeader {
    first: u32,
    count: u32,
    length: usize,
    crc: u32,
}

struct Found {
    skipped: usize,
    header: FrameHeader,
}

/// The next frame whose header can be believed. Damage may have moved where frames begin, so every
/// place is tried.
fn next_frame(bytes: &[u8], id: Uuid) -> Option<Found> {
    let places = std::iter::once(0).chain(memchr::memmem::find_iter(bytes, FRAME_MAGIC));
    let mut found = places.filter_map(|skipped| {
        let header = frame_header(bytes[skipped..].first_chunk()?, id)?;
        Some(Found { skipped, header })
    });
    found.next()
}

fn frame_header(bytes: &[u8; FRAME_HEADER], id: Uuid) -> Option<FrameHeader> {
    let number =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let length = number(12) as usize;
    let is_ours = &bytes[..4] == FRAME_MAGIC
        && length <= MAX_PAYLOAD
        && number(20) == checksum(id, &bytes[..20]);
    is_ours.then(|| FrameHeader { first: number(4), count: number(8), length, crc: number(16) })
}

/// All records of a frame, or none: half a frame is not to be believed.
fn records(payload: &[u8], header: &FrameHeader, id: Uuid) -> Option<Vec<UsageRecord>> {
    if payload.len() != header.length || checksum(id, payload) != header.crc {
        return None;
    }
    let mut rest = payload;
    let records: Option<Vec<_>> = (0..header.count).map(|_| codec::decode(&mut rest)).collect();
    records.filter(|_| rest.is_empty())
}

fn checksum(id: Uuid, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(id.as_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests;

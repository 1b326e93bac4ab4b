//! The log that SQLite writes ahead, looked at before SQLite does: what it takes back without a word.
//!
//! SQLite takes everything up to the first frame whose checksum does not fit, and passes over the rest. After
//! a crash that is right: the rest was never promised. It is wrong if the disk has damaged the middle, for
//! then what comes after was promised. The two can be told apart, since a transaction begins only when
//! the one before is durable.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::layout::LOG_AHEAD;

/// What was found in the log ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or only whole transactions.
    Whole,
    /// A transaction that a crash has torn, so many bytes.
    Torn(u64),
    /// Damage at this byte, with promised transactions behind it.
    Damaged(u64),
}

/// Looks at the log of the store in this folder.
pub(super) fn inspect(folder: &Path) -> io::Result<Found> {
    let file = match fs::File::open(folder.join(LOG_AHEAD)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Whole),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // It is short: checkpoints begin it anew.
    io::BufReader::new(file).read_to_end(&mut bytes)?;
    Ok(judge(&bytes))
}

fn judge(bytes: &[u8]) -> Found {
    let Some((header, frames)) = bytes.split_at_checked(HEADER) else { return Found::Whole };
    let Some(log) = Log::read(header) else {
        // Only written when nothing is needed of what follows, and in one piece.
        return if frames.is_empty() { Found::Whole } else { Found::Damaged(0) };
    };
    let size = FRAME + log.page;
    let mut sum = log.sum;
    // Where the transactions end that are whole, in frames.
    let (mut read, mut whole) = (0, 0);
    for frame in frames.chunks_exact(size) {
        sum = log.sum_after(sum, frame);
        if log.salts(frame) != log.salt || word(frame, 16) != sum.0 || word(frame, 20) != sum.1 {
            break;
        }
        read += 1;
        if word(frame, 4) > 0 {
            whole = read;
        }
    }
    // Frames of an earlier round have other salts, and are what a log looks like that began anew.
    let rest: Vec<_> = frames.chunks(size).skip(whole).take_while(|f| log.is_of_it(f)).collect();
    let behind_damage = frames.chunks(size).skip(read);
    if later_transaction(&log, behind_damage) {
        return Found::Damaged((HEADER + read * size) as u64);
    }
    match rest.iter().map(|frame| frame.len() as u64).sum() {
        0 => Found::Whole,
        torn => Found::Torn(torn),
    }
}

/// Whether a transaction ends in these frames and another one was written behind it: the first was durable.
///
/// The checksum of the next frame tells that it was written behind this one. After a flush that failed the
/// next transaction takes the place of the one in doubt, and what is left of that stands behind it by chance.
fn later_transaction<'a>(log: &Log, frames: impl Iterator<Item = &'a [u8]>) -> bool {
    let of_it = frames.filter(|frame| frame.len() >= FRAME && log.is_of_it(frame));
    let mut ended = None;
    for frame in of_it {
        let sum = (word(frame, 16), word(frame, 20));
        if ended.is_some_and(|before| log.sum_after(before, frame) == sum) {
            return true;
        }
        ended = (word(frame, 4) > 0).then_some(sum);
    }
    false
}

/// What the header says.
struct Log {
    big_endian: bool,
    page: usize,
    salt: (u32, u32),
    sum: (u32, u32),
}

impl Log {
    fn read(header: &[u8]) -> Option<Self> {
        let magic = word(header, 0);
        if magic & !1 != MAGIC {
            return None;
        }
        let page = word(header, 8) as usize;
        let salt = (word(header, 16), word(header, 20));
        let mut log = Self { big_endian: magic & 1 == 1, page, salt, sum: (0, 0) };
        log.sum = log.add((0, 0), &header[..24]);
        let whole = log.sum == (word(header, 24), word(header, 28));
        (whole && page.is_power_of_two() && (512..=65_536).contains(&page)).then_some(log)
    }

    fn salts(&self, frame: &[u8]) -> (u32, u32) {
        (word(frame, 8), word(frame, 12))
    }

    fn is_of_it(&self, frame: &[u8]) -> bool {
        frame.len() >= FRAME && self.salts(frame) == self.salt
    }

    fn sum_after(&self, sum: (u32, u32), frame: &[u8]) -> (u32, u32) {
        self.add(self.add(sum, &frame[..8]), &frame[FRAME..])
    }

    /// The running checksum of the format: two sums that feed each other, over pairs of words.
    fn add(&self, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
        for pair in bytes.chunks_exact(8) {
            a = a.wrapping_add(self.summed(pair, 0)).wrapping_add(b);
            b = b.wrapping_add(self.summed(pair, 4)).wrapping_add(a);
        }
        (a, b)
    }

    fn summed(&self, pair: &[u8], at: usize) -> u32 {
        let bytes = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// A number of the format, which has its highest byte first.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

const MAGIC: u32 = 0x377f_0682;

/// The bytes of the header, and of what stands before each page.
const HEADER: usize = 32;
const FRAME: usize = 24;

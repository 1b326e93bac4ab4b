//! The log that SQLite writes ahead, looked at before SQLite does: what it takes back without a word.
//!
//! SQLite takes everything up to the first frame whose checksum does not fit, and passes over the rest. After
//! a crash that is right: the rest was never promised. It is wrong if the disk has damaged the middle, for
//! then what comes after was promised. The two can be told apart, since a transaction begins only when
//! the one before is durable. In that case the frames that are still as they were written are worth something:
//! each has a checksum of its own, and most pages are written again and again.

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

/// The log of a store, as its file has it.
#[derive(Debug, Default)]
pub(super) struct LogAhead {
    bytes: Vec<u8>,
}

/// What tells one round of the log from the others.
pub(super) type Salt = (u32, u32);

impl LogAhead {
    /// Reads that of the store in this folder.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let file = match fs::File::open(folder.join(LOG_AHEAD)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        // It is short: checkpoints begin it anew.
        io::BufReader::new(file).read_to_end(&mut bytes)?;
        Ok(Self { bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which round it is; `None` if it is empty or its header is damaged.
    pub(super) fn salt(&self) -> Option<Salt> {
        salt(self.bytes.get(..HEADER)?)
    }

    /// How many frames SQLite takes: those of the transactions before the first frame that does not fit.
    pub(super) fn whole_frames(&self) -> usize {
        self.frames().map_or(0, |(log, frames)| whole_frames(&log, frames).0)
    }

    /// How many frames there are up to the last transaction of which the end can be recognised, wherever
    /// damage is.
    pub(super) fn seen_frames(&self) -> usize {
        let Some((log, frames)) = self.frames() else { return 0 };
        let whole = whole_frames(&log, frames).0;
        let ends = fitting(&log, frames).filter(|(_, frame)| word(frame, 4) > 0);
        // What is left of a failed flush looks like one transaction more.
        let ends: Vec<_> = ends.map(|(at, _)| at + 1).filter(|end| *end > whole).collect();
        match ends[..] {
            [] | [_] => whole,
            [.., end] => end,
        }
    }

    pub(super) fn found(&self) -> Found {
        judge(&self.bytes)
    }

    /// A log of all frames among the first `count` that are as they were written, wherever damage is: if a page
    /// was written again behind it, nothing of it is missing.
    pub(super) fn mended(&self, salt: Salt, count: usize) -> Vec<u8> {
        let own = self.bytes.get(..HEADER).and_then(Log::read);
        // Without a header nobody knows what the first frame's checksum goes on from.
        let first = usize::from(own.is_none());
        let log = own.unwrap_or_else(|| Log::of(salt, PAGE));
        let frames = self.bytes.get(HEADER..).unwrap_or_default();
        let (mut bytes, mut sum) = log.header();
        let good = fitting(&log, frames).take_while(|(at, _)| *at < count);
        let good: Vec<_> = good.filter(|(at, _)| *at >= first).collect();
        let last = good.iter().rposition(|(_, frame)| word(frame, 4) > 0);
        for (_, frame) in &good[..last.map_or(0, |last| last + 1)] {
            sum = log.sum_after(sum, frame);
            bytes.extend_from_slice(&frame[..16]);
            bytes.extend_from_slice(&sum.0.to_be_bytes());
            bytes.extend_from_slice(&sum.1.to_be_bytes());
            bytes.extend_from_slice(&frame[FRAME..]);
        }
        bytes
    }

    fn frames(&self) -> Option<(Log, &[u8])> {
        let (header, frames) = self.bytes.split_at_checked(HEADER)?;
        Some((Log::read(header)?, frames))
    }
}

/// Which round the log of the store in this folder is; `None` if there is none, or its header is damaged.
pub(super) fn read_salt(folder: &Path) -> io::Result<Option<Salt>> {
    let mut header = Vec::new();
    match fs::File::open(folder.join(LOG_AHEAD)) {
        Ok(file) => file.take(HEADER as u64).read_to_end(&mut header)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(if header.len() == HEADER { salt(&header) } else { None })
}

/// Which round of the log a header begins.
pub(super) fn salt(header: &[u8]) -> Option<Salt> {
    Log::read(header).map(|log| log.salt)
}

/// The frames that are as they were written, each by itself: the checksum of the one before is what its own
/// goes on from.
fn fitting<'a>(log: &'a Log, frames: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
    let mut before = log.sum;
    frames.chunks_exact(FRAME + log.page).enumerate().filter(move |(_, frame)| {
        let sum = (word(frame, 16), word(frame, 20));
        let fits = log.is_of_it(frame) && log.sum_after(before, frame) == sum;
        before = sum;
        fits
    })
}

/// Where the transactions end that are whole, and where the first frame is that does not fit, in frames.
fn whole_frames(log: &Log, frames: &[u8]) -> (usize, usize) {
    let (mut whole, mut read) = (0, 0);
    for (at, frame) in fitting(log, frames) {
        if at != read {
            break;
        }
        read += 1;
        if word(frame, 4) > 0 {
            whole = read;
        }
    }
    (whole, read)
}

fn judge(bytes: &[u8]) -> Found {
    let Some((header, frames)) = bytes.split_at_checked(HEADER) else { return Found::Whole };
    let Some(log) = Log::read(header) else {
        // Only written when nothing is needed of what follows, and in one piece.
        return if frames.is_empty() { Found::Whole } else { Found::Damaged(0) };
    };
    let size = FRAME + log.page;
    let (whole, read) = whole_frames(&log, frames);
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

    /// A log that nobody has written yet.
    const fn of(salt: Salt, page: usize) -> Self {
        Self { big_endian: false, page, salt, sum: (0, 0) }
    }

    /// A header, and what the first frame's checksum goes on from.
    fn header(&self) -> (Vec<u8>, (u32, u32)) {
        let magic = MAGIC | u32::from(self.big_endian);
        let words = [magic, FORMAT, self.page as u32, 0, self.salt.0, self.salt.1];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let sum = self.add((0, 0), &bytes);
        bytes.extend_from_slice(&sum.0.to_be_bytes());
        bytes.extend_from_slice(&sum.1.to_be_bytes());
        (bytes, sum)
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

/// The version of the format.
const FORMAT: u32 = 3_007_000;

/// The size of a page, as SQLite picks it.
const PAGE: usize = 4096;

/// The bytes of the header, and of what stands before each page.
pub(super) const HEADER: usize = 32;
const FRAME: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of a transaction behind others, as SQLite writes them; what the next one's checksum goes on from.
    fn transaction(
        log: &Log,
        before: (u32, u32),
        page: u8,
        frames: usize,
    ) -> (Vec<u8>, (u32, u32)) {
        let (mut bytes, mut sum) = (Vec::new(), before);
        for at in 1..=frames {
            let ends = if at == frames { 9_u32 } else { 0 };
            let words = [u32::from(page) + at as u32, ends, log.salt.0, log.salt.1, 0, 0];
            let mut frame: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            frame.resize(FRAME + log.page, page);
            sum = log.sum_after(sum, &frame);
            frame[16..20].copy_from_slice(&sum.0.to_be_bytes());
            frame[20..24].copy_from_slice(&sum.1.to_be_bytes());
            bytes.extend(frame);
        }
        (bytes, sum)
    }

    /// A log, what its first frame goes on from, and the size of a frame.
    fn begun() -> (Log, Vec<u8>, (u32, u32), usize) {
        let log = Log::of((3, 4), 512);
        let (header, sum) = log.header();
        (log, header, sum, FRAME + 512)
    }

    #[test]
    fn what_failed_flushes_left_behind_is_no_damage() {
        let (log, header, sum, size) = begun();
        let (first, sum) = transaction(&log, sum, 10, 3);
        // Two flushes failed, the shorter transaction last; the third took their place and was durable.
        let (long, _) = transaction(&log, sum, 20, 8);
        let (short, _) = transaction(&log, sum, 30, 5);
        let (durable, _) = transaction(&log, sum, 40, 2);
        let mut behind = long;
        behind[..5 * size].copy_from_slice(&short);
        behind[..2 * size].copy_from_slice(&durable);
        let bytes = [header, first, behind].concat();
        assert_eq!(judge(&bytes), Found::Torn(6 * size as u64));
        let log = LogAhead { bytes };
        assert_eq!(log.whole_frames(), 5);
        assert_eq!(log.mended((3, 4), 5), log.bytes()[..HEADER + 5 * size]);
    }

    #[test]
    fn damage_before_a_later_transaction_is_told_from_a_torn_end() {
        let (log, header, sum, size) = begun();
        let (first, sum) = transaction(&log, sum, 10, 3);
        let (second, sum) = transaction(&log, sum, 20, 2);
        let (third, _) = transaction(&log, sum, 30, 2);
        let whole = [header, first, second, third].concat();
        assert_eq!(judge(&whole), Found::Whole);
        for (frame, found) in [
            (0, Found::Damaged(HEADER as u64)),
            (3, Found::Damaged((HEADER + 3 * size) as u64)),
            (5, Found::Torn(2 * size as u64)),
            (6, Found::Torn(2 * size as u64)),
        ] {
            let mut bytes = whole.clone();
            bytes[HEADER + frame * size + 100] ^= 1;
            assert_eq!(judge(&bytes), found, "{frame}");
            // But for the frame that was hit, everything is still there.
            let mended = LogAhead { bytes }.mended((3, 4), 7);
            let left = if frame == 6 { 5 } else { 6 };
            assert_eq!(judge(&mended), Found::Whole, "{frame}");
            assert_eq!(mended.len(), HEADER + left * size, "{frame}");
        }
    }

    #[test]
    fn a_log_without_its_header_is_mended_from_its_second_frame_on() {
        let (log, header, sum, size) = begun();
        let (first, _) = transaction(&log, sum, 10, 3);
        let mut bytes = [header, first].concat();
        bytes[..HEADER].fill(0);
        // The header says how large pages are; without it they are as SQLite makes them.
        let log = LogAhead { bytes };
        assert_eq!((log.salt(), log.found()), (None, Found::Damaged(0)));
        assert_eq!(log.mended((3, 4), 3).len(), HEADER, "{size}");
    }
}

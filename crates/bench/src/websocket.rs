//! As much of WebSocket as a load generator needs: frames are cut apart and hardly looked at.
//!
//! A library would check, copy and allocate for each frame, and the generator would be what is measured.
//! That servers speak proper WebSocket is tested elsewhere.

/// What opens a WebSocket: always with the same nonce, that of RFC 6455, section 1.3.
pub fn request(port: u16, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// What a server answers to [`request`].
pub const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Opcode of a text frame.
pub const TEXT: u8 = 1;
/// Opcode of a binary frame.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping of WebSocket itself.
pub const PING: u8 = 9;
/// Opcode of its answer.
pub const PONG: u8 = 10;

/// Appends a frame of a client. The mask is zero: it protects proxies, and none is between us.
pub fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, payload.len(), 0x80);
    out.extend([0; 4]);
    out.extend(payload);
}

/// Appends a frame of a server.
pub fn push_unmasked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, payload.len(), 0);
    out.extend(payload);
}

fn push_head(out: &mut Vec<u8>, opcode: u8, length: usize, mask: u8) {
    out.push(0x80 | opcode);
    match length {
        0..=125 => out.push(mask | length as u8),
        126..=0xffff => {
            out.push(mask | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

/// A frame that has arrived.
#[derive(Debug)]
pub struct Frame<'a> {
    pub opcode: u8,
    /// The payload; only its beginning, if it is longer than [`KEPT_BYTES_MAX`].
    pub payload: &'a [u8],
}

/// Cuts a stream of bytes into frames, of either side.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// The beginning of a frame that has not arrived whole.
    partial: Vec<u8>,
    /// How many bytes of a long frame are still to come and to be thrown away.
    skipped: usize,
}

/// How much of a frame is looked at. States of many objects are longer, and only counted: two thousand
/// clients that fetch them at once must fit into memory.
pub const KEPT_BYTES_MAX: usize = 96 << 10;

struct Head {
    opcode: u8,
    /// Bytes before the payload.
    length: usize,
    payload: usize,
    mask: [u8; 4],
}

impl FrameReader {
    /// Takes bytes in, and shows each frame that is whole with them.
    pub fn feed(&mut self, mut bytes: &[u8], mut show: impl FnMut(Frame<'_>)) {
        if self.skipped > 0 {
            let dropped = self.skipped.min(bytes.len());
            self.skipped -= dropped;
            bytes = &bytes[dropped..];
            if self.skipped > 0 {
                return;
            }
            let partial = std::mem::take(&mut self.partial);
            let head = head(&partial).expect("a long frame is begun when its head is there");
            show(Frame { opcode: head.opcode, payload: &partial[head.length..] });
        }
        if self.partial.is_empty() {
            let rest = self.cut(bytes, &mut show);
            self.partial.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            let rest = self.cut(&joined, &mut show).len();
            joined.drain(..joined.len() - rest);
            self.partial = joined;
        }
        self.skip_long();
    }

    /// Shows the whole frames; what is left is the beginning of another.
    fn cut<'a>(&self, mut bytes: &'a [u8], show: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        while let Some(head) = head(bytes) {
            let Some(payload) = bytes.get(head.length..head.length + head.payload) else { break };
            if head.mask == [0; 4] {
                show(Frame { opcode: head.opcode, payload });
            } else {
                let mask = head.mask.iter().cycle();
                let plain: Vec<u8> = payload.iter().zip(mask).map(|(a, b)| a ^ b).collect();
                show(Frame { opcode: head.opcode, payload: &plain });
            }
            bytes = &bytes[head.length + head.payload..];
        }
        bytes
    }

    /// What is more than is looked at is not kept.
    fn skip_long(&mut self) {
        let Some(head) = head(&self.partial) else { return };
        let kept = head.length + KEPT_BYTES_MAX;
        if self.partial.len() >= kept {
            self.skipped = head.length + head.payload - self.partial.len();
            self.partial.truncate(kept);
        }
    }
}

fn head(bytes: &[u8]) -> Option<Head> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (payload, mut length) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        mask = *bytes.get(length..)?.first_chunk()?;
        length += 4;
    }
    Some(Head { opcode: first & 0x0f, length, payload, mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_wherever_the_stream_is_cut() {
        let mut stream = Vec::new();
        let long = vec![b'x'; KEPT_BYTES_MAX + 70_000];
        push_unmasked(&mut stream, TEXT, b"short");
        push_masked(&mut stream, BINARY, &vec![b'm'; 300]);
        push_unmasked(&mut stream, TEXT, &long);
        push_unmasked(&mut stream, PING, b"");
        for step in [1, 7, 1000, 99_999, stream.len()] {
            let (mut reader, mut seen) = (FrameReader::default(), Vec::new());
            for bytes in stream.chunks(step) {
                reader.feed(bytes, |frame| seen.push((frame.opcode, frame.payload.len())));
            }
            let kept = |seen: usize| (KEPT_BYTES_MAX..=long.len()).contains(&seen);
            assert_eq!((seen[0], seen[1], seen[3]), ((TEXT, 5), (BINARY, 300), (PING, 0)));
            assert!(seen[2].0 == TEXT && kept(seen[2].1), "{step}: {seen:?}");
        }
    }
}

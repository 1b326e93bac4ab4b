//! Compressed frames from the client, made into frames that are not before anybody reads them.
//!
//! tungstenite reads frames, and knows nothing of compression. So this stands between the socket and
//! tungstenite where compression was agreed on. Whatever is not compressed passes as it is, mistakes included,
//! for tungstenite to find. A compressed message is collected, inflated and passed on as a single frame; its
//! bound is that of any message, before it is inflated and after, and inflating stops there: a thousand bytes
//! can mean a million.

use std::cell::RefCell;
use std::io::{self, Cursor};

use flate2::{Decompress, FlushDecompress, Status};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// A stream of frames on its way from the socket to the decoder.
pub(super) struct Inflating {
    message_bytes_max: usize,
    /// The first bytes of a header that has not come as a whole.
    begun: Vec<u8>,
    /// What the decoder is to read, and how much of it it has read.
    ready: Vec<u8>,
    read: usize,
    /// So many bytes of the present frame pass as they are.
    passing: u64,
    message: Option<Compressed>,
    failure: Option<Failure>,
}

/// A compressed message of which not all has come.
struct Compressed {
    opcode: OpCode,
    payload: Vec<u8>,
    frame: Option<Frame>,
}

/// The frame of it that is on its way.
struct Frame {
    mask: [u8; 4],
    /// The place in the mask of the next byte.
    mask_at: usize,
    left: u64,
    is_final: bool,
}

/// What is wrong with a compressed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its frames do not follow each other as frames do.
    Protocol,
    /// It is longer than a message may be.
    TooLong,
    /// It is not what a compressor makes.
    Data,
}

impl Inflating {
    /// Begins with what has `arrived` already.
    pub(super) fn new(arrived: &[u8], message_bytes_max: usize) -> Self {
        let (begun, ready) = (Vec::new(), Vec::new());
        let mut inflating = Self {
            message_bytes_max,
            begun,
            ready,
            read: 0,
            passing: 0,
            message: None,
            failure: None,
        };
        inflating.take(arrived);
        inflating
    }

    /// Reads what is there for the decoder; if nothing is, `receive` is asked for more.
    ///
    /// # Errors
    ///
    /// Those of `receive`, and one without meaning if there is a [`failure`](Self::failure).
    pub(super) fn read(
        &mut self,
        out: &mut [u8],
        mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let ready = &self.ready[self.read..];
            if !ready.is_empty() {
                let count = ready.len().min(out.len());
                out[..count].copy_from_slice(&ready[..count]);
                self.read += count;
                if self.read == self.ready.len() {
                    // An idle connection keeps nothing.
                    (self.ready, self.read) = (Vec::new(), 0);
                }
                return Ok(count);
            }
            if self.failure.is_some() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut arrived = [0; ARRIVED_BYTES_MAX];
            match receive(&mut arrived)? {
                0 => return Ok(0),
                count => self.take(&arrived[..count]),
            }
        }
    }

    /// Whether nothing is left of what has arrived, and nothing under way.
    pub(super) fn is_idle(&self) -> bool {
        self.begun.is_empty()
            && self.ready.is_empty()
            && self.passing == 0
            && self.message.is_none()
            && self.failure.is_none()
    }

    /// Why there will be nothing more to read.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    fn take(&mut self, arrived: &[u8]) {
        let joined;
        let mut bytes = arrived;
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(arrived);
            joined = std::mem::take(&mut self.begun);
            bytes = &joined;
        }
        while !bytes.is_empty() && self.failure.is_none() {
            let taken = match self.step(bytes) {
                Ok(Some(taken)) => taken,
                Ok(None) => {
                    self.begun = bytes.to_vec();
                    return;
                }
                Err(failure) => return self.failure = Some(failure),
            };
            bytes = &bytes[taken..];
        }
    }

    /// How many of these bytes belong to the next thing; `None`: they are only the beginning of a header.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        if self.passing > 0 {
            let count = usize::try_from(self.passing).unwrap_or(usize::MAX).min(bytes.len());
            self.passing -= count as u64;
            self.ready.extend_from_slice(&bytes[..count]);
            return Ok(Some(count));
        }
        if let Some(message) = &mut self.message
            && let Some(frame) = &mut message.frame
        {
            let count = frame.unmask(bytes, &mut message.payload);
            self.end_frame()?;
            return Ok(Some(count));
        }
        let mut cursor = Cursor::new(bytes);
        let (header, length) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            // Nobody knows where the next frame begins: the decoder finds the same mistake here.
            Err(_) => {
                self.passing = u64::MAX;
                return Ok(Some(0));
            }
        };
        let head = usize::try_from(cursor.position()).expect("a header is short");
        match (header.opcode, &mut self.message) {
            (OpCode::Control(_), _) => self.pass(&bytes[..head], length),
            (OpCode::Data(Data::Continue), Some(_)) if !header.rsv1 => {
                self.begin(&header, length)?
            }
            (OpCode::Data(_), Some(_)) => return Err(Failure::Protocol),
            (OpCode::Data(Data::Text | Data::Binary), None) if header.rsv1 => {
                let (opcode, payload) = (header.opcode, Vec::new());
                self.message = Some(Compressed { opcode, payload, frame: None });
                self.begin(&header, length)?;
            }
            (OpCode::Data(_), None) => self.pass(&bytes[..head], length),
        }
        Ok(Some(head))
    }

    fn pass(&mut self, header: &[u8], length: u64) {
        self.ready.extend_from_slice(header);
        self.passing = length;
    }

    /// Begins a frame of a compressed message.
    fn begin(&mut self, header: &FrameHeader, length: u64) -> Result<(), Failure> {
        let message = self.message.as_mut().expect("a message is begun before its first frame");
        let Some(mask) = header.mask else { return Err(Failure::Protocol) };
        if header.rsv2 || header.rsv3 {
            return Err(Failure::Protocol);
        }
        if length > self.message_bytes_max.saturating_sub(message.payload.len()) as u64 {
            return Err(Failure::TooLong);
        }
        let is_final = header.is_final;
        message.frame = Some(Frame { mask, mask_at: 0, left: length, is_final });
        self.end_frame()
    }

    /// Ends the frame if all of it is there, and with the last frame the message.
    fn end_frame(&mut self) -> Result<(), Failure> {
        let Some(message) = &mut self.message else { return Ok(()) };
        let Some(frame) = message.frame.take_if(|frame| frame.left == 0) else { return Ok(()) };
        if !frame.is_final {
            return Ok(());
        }
        let Compressed { opcode, payload, .. } = self.message.take().expect("it is there");
        let text = inflate(payload, self.message_bytes_max)?;
        let (is_final, mask) = (true, Some([0; 4]));
        let header = FrameHeader { is_final, rsv1: false, rsv2: false, rsv3: false, opcode, mask };
        header.format(text.len() as u64, &mut self.ready).expect("a Vec takes everything");
        self.ready.extend_from_slice(&text);
        Ok(())
    }
}

impl Frame {
    /// Takes as many bytes as belong to the frame.
    fn unmask(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let mask = self.mask.iter().cycle().skip(self.mask_at);
        out.extend(bytes[..count].iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        self.mask_at = (self.mask_at + count) % self.mask.len();
        self.left -= count as u64;
        count
    }
}

thread_local! {
    /// It holds a window of 32 KiB: one for a thread, since no message needs what was before it.
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// What a message means, of at most so many bytes.
fn inflate(mut payload: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    // The end of each message, which nobody sends.
    payload.extend([0, 0, 0xff, 0xff]);
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        let mut out = Vec::with_capacity((payload.len() * 4).min(bytes_max) + 1);
        loop {
            let taken = decompress.total_in() as usize;
            let rest = &payload[taken..];
            let status = decompress.decompress_vec(rest, &mut out, FlushDecompress::Sync);
            let status = status.map_err(|_| Failure::Data)?;
            if out.len() > bytes_max {
                return Err(Failure::TooLong);
            }
            let is_all = decompress.total_in() as usize == payload.len();
            if status == Status::StreamEnd || is_all && out.len() < out.capacity() {
                return Ok(out);
            }
            if out.len() < out.capacity() {
                return Err(Failure::Data);
            }
            out.reserve_exact(out.len().clamp(64, bytes_max + 1));
        }
    })
}

/// How much is read at a time.
const ARRIVED_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::{Message, Role, WebSocketContext};

    use super::super::deflate::pack;
    use super::*;

    /// A frame as a client sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let opcode = OpCode::from(first & 0x0f);
        let mask = [7, 1, 200, 33];
        let header = FrameHeader {
            is_final: first & 0x80 != 0,
            rsv1: first & 0x40 != 0,
            rsv2: first & 0x20 != 0,
            rsv3: first & 0x10 != 0,
            opcode,
            mask: Some(mask),
        };
        let mut bytes = Vec::new();
        header.format(payload.len() as u64, &mut bytes).unwrap();
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// A text as the payload of a compressed message.
    fn packed(text: &str) -> Vec<u8> {
        let mut bytes = pack(text).into_vec();
        bytes.truncate(bytes.len() - 4);
        bytes
    }

    /// What a decoder makes of these bytes, which come so many at a time.
    fn read(bytes: &[u8], step: usize, bytes_max: usize) -> (Vec<Message>, Option<Failure>) {
        struct Stream<'a>(Inflating, &'a [u8], usize);
        impl io::Read for Stream<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let (rest, step) = (&mut self.1, self.2);
                self.0.read(out, |buffer| {
                    let count = rest.len().min(step).min(buffer.len());
                    buffer[..count].copy_from_slice(&rest[..count]);
                    *rest = &rest[count..];
                    Ok(count)
                })
            }
        }
        impl io::Write for Stream<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut stream = Stream(Inflating::new(&[], bytes_max), bytes, step);
        let mut context = WebSocketContext::new(Role::Server, None);
        let mut messages = Vec::new();
        while let Ok(message) = context.read(&mut stream) {
            messages.push(message);
        }
        (messages, stream.0.failure())
    }

    #[test]
    fn compressed_messages_are_read_however_they_are_cut() {
        let long = "a long text, a long text, ".repeat(1000);
        let payload = packed(&long);
        let (first, rest) = payload.split_at(payload.len() / 3);
        let bytes = [
            frame(0xc1, &packed("short")),
            frame(0x81, b"as it is"),
            frame(0x41, first),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x80, rest),
            frame(0xc2, &packed("")),
            // A client may end what it sends as if nothing came behind it.
            frame(0xc1, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        ]
        .concat();
        let expected = [
            Message::text("short"),
            Message::text("as it is"),
            Message::Ping("ping".into()),
            Message::text(&*long),
            Message::binary(""),
            Message::text("Hello"),
        ];
        for step in [1, 2, 3, 7, 100, 100_000] {
            assert_eq!(read(&bytes, step, 1 << 20), (expected.to_vec(), None), "by {step}");
        }
    }

    #[test]
    fn a_bomb_is_inflated_no_further_than_a_message_may_be_long() {
        let bomb = packed(&"0".repeat(1_000_000));
        assert!(bomb.len() < 10_000);
        assert_eq!(inflate(bomb.clone(), 1_000_000).unwrap().len(), 1_000_000);
        let bytes = frame(0xc1, &bomb);
        assert_eq!(read(&bytes, 1000, 999_999), (Vec::new(), Some(Failure::TooLong)));
        // What announces more than that is not even collected.
        let header = &frame(0xc1, &[0; 2000])[..8];
        assert_eq!(read(header, 1000, 1000), (Vec::new(), Some(Failure::TooLong)));
    }

    #[test]
    fn frames_that_break_the_rules_of_compression_end_it() {
        let failure = |frames: &[Vec<u8>]| read(&frames.concat(), 1000, 1 << 20).1;
        let text = packed("text");
        assert_eq!(failure(&[frame(0xc1, &[0xff, 0xff, 0xff])]), Some(Failure::Data));
        assert_eq!(failure(&[frame(0x41, &text), frame(0xc0, &text)]), Some(Failure::Protocol));
        assert_eq!(failure(&[frame(0x41, &text), frame(0xc1, &text)]), Some(Failure::Protocol));
        assert_eq!(failure(&[frame(0x41, &text), frame(0x81, b"x")]), Some(Failure::Protocol));
        assert_eq!(failure(&[frame(0xe1, &text)]), Some(Failure::Protocol));
        assert_eq!(failure(&[vec![0xc1, 0x00]]), Some(Failure::Protocol), "not masked");
        // The decoder finds these.
        for bytes in [frame(0xc0, &text), frame(0xc9, b""), frame(0x83, b"")] {
            assert_eq!(read(&bytes, 1000, 1 << 20), (Vec::new(), None));
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in(text in ".{0,400}", repeat in 1usize..200, step in 1usize..5000) {
            let text = text.repeat(repeat);
            let (messages, failure) = read(&frame(0xc1, &packed(&text)), step, 1 << 20);
            prop_assert_eq!(failure, None);
            prop_assert_eq!(messages, [Message::text(text)]);
        }

        #[test]
        fn no_bytes_do_any_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
            read(&bytes, step, 1000);
            read(&frame(0xc1, &bytes), step, 1000);
        }
    }
}

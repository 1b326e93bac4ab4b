//! Frames from the server to the client: a few header bytes before the text, which is not touched.
//!
//! Only clients mask their frames (RFC 6455, section 5.1), so the same text bytes go to every socket,
//! and the parts of a frame need not be put together in memory before they are written.

/// The bytes before the payload of an unmasked, unfragmented frame.
pub(super) struct Header {
    bytes: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl Header {
    /// One byte for opcode and flags, and up to nine for the payload's length.
    const LENGTH_MAX: usize = 10;

    /// Of a text frame with this many bytes of payload.
    pub(super) fn text(payload_length: usize) -> Self {
        Self::new(OPCODE_TEXT, payload_length)
    }

    /// Of a text frame whose payload is compressed.
    pub(super) fn compressed(payload_length: usize) -> Self {
        Self::new(COMPRESSED | OPCODE_TEXT, payload_length)
    }

    fn new(opcode: u8, payload_length: usize) -> Self {
        let mut bytes = [0; Self::LENGTH_MAX];
        bytes[0] = FINAL | opcode;
        let length = match (u8::try_from(payload_length), u16::try_from(payload_length)) {
            (Ok(short), _) if short <= 125 => {
                bytes[1] = short;
                2
            }
            (_, Ok(medium)) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(payload_length as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, length }
    }

    /// What goes before the payload.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A whole close frame. A reason that is too long is cut at a character.
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    let mut frame = Header::new(OPCODE_CLOSE, 2 + reason.len()).as_bytes().to_vec();
    frame.extend(code.to_be_bytes());
    frame.extend(reason.bytes());
    frame
}

/// This frame is the last of its message.
const FINAL: u8 = 0x80;
/// The first of the reserved bits, which means that with permessage-deflate.
const COMPRESSED: u8 = 0x40;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_CLOSE: u8 = 0x8;

/// A control frame holds 125 bytes, two of which are the code.
const REASON_BYTES_MAX: usize = 123;

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::coding::CloseCode;
    use tungstenite::protocol::{Message, Role, WebSocketContext};

    use super::*;

    /// What a client's decoder, which is not ours, makes of the bytes.
    fn decoded(bytes: Vec<u8>) -> Message {
        let mut stream = std::io::Cursor::new(Vec::new());
        WebSocketContext::from_partially_read(bytes, Role::Client, None).read(&mut stream).unwrap()
    }

    #[test]
    fn every_form_of_length_is_read_by_a_client() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            let text = "x".repeat(length);
            let bytes = [Header::text(length).as_bytes(), text.as_bytes()].concat();
            assert_eq!(decoded(bytes).into_text().unwrap().as_str(), text, "{length}");
        }
    }

    #[test]
    fn a_close_frame_has_its_code_and_as_much_reason_as_fits() {
        let Message::Close(Some(close)) = decoded(close_frame(4096, "no")) else { panic!() };
        assert_eq!((close.code, close.reason.as_str()), (CloseCode::Library(4096), "no"));
        // The 123rd byte would be the first half of a character.
        let long = format!("{}é and more", "a".repeat(122));
        let Message::Close(Some(close)) = decoded(close_frame(1001, &long)) else { panic!() };
        assert_eq!(close.reason.as_str(), "a".repeat(122));
    }
}

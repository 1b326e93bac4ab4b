//! permessage-deflate (RFC 7692): what is agreed on, and compressed frames to the client.
//!
//! Both directions are without context takeover: a message is compressed by itself. So a piece of a state is
//! compressed once, whoever it is sent to, and compressed pieces that stand behind each other are the compressed
//! whole. What stands between them, and every frame without such pieces, goes as it is: for short messages
//! compression costs more than it saves. `docs/decisions/0003-deflate.md` has the figures.

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress, Status};
use http::header::{self, HeaderMap, HeaderValue};

use super::encode::Header;
use super::part::Part;
use crate::transport::FramePart;

/// The answer to the first offer of a client that can be taken; `None`: there is none.
pub(super) fn agree(headers: &HeaderMap) -> Option<HeaderValue> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let offers = offers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    offers.filter_map(answer).next()
}

/// What to answer to one offer, `name; parameter; parameter=value`.
fn answer(offer: &str) -> Option<HeaderValue> {
    let mut parts = offer.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut answer =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned();
    for parameter in parts {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (parameter, None),
        };
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            // The client can be told to look back less far, which is of no use to us.
            ("client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) if is_window(bits) => {}
            // Our window is the largest there is: a piece is compressed once, for all who get it.
            ("server_max_window_bits", Some("15")) => answer += "; server_max_window_bits=15",
            _ => return None,
        }
    }
    HeaderValue::try_from(answer).ok()
}

fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

/// The payload of a compressed frame, in parts that are its own or shared.
pub(super) struct Packed<'a> {
    /// What stands between the pieces, in the form in which it goes.
    between: Vec<u8>,
    /// The pieces, each with the place in `between` before which it stands.
    pieces: Vec<(usize, Part<'a>)>,
}

impl<'a> Packed<'a> {
    /// Of a frame's parts; `None` if it goes as it is, because there is nothing in it that is worth it.
    pub(super) fn of(parts: &[FramePart<'a>]) -> Option<Self> {
        if !Self::is_of(parts) {
            return None;
        }
        let (mut between, mut pieces) = (Vec::new(), Vec::new());
        let mut room = NEWLY_PACKED_BYTES_MAX;
        for part in parts {
            match *part {
                FramePart::Piece(piece) if piece.is_packed() => {
                    pieces.push((between.len(), Part::Packed(piece)));
                }
                FramePart::Piece(piece) if room > 0 || piece.len() > STORED_BYTES_MAX => {
                    room = room.saturating_sub(piece.len());
                    pieces.push((between.len(), Part::Packed(piece)));
                }
                FramePart::Piece(piece) => {
                    stored_head(&mut between, piece.len());
                    pieces.push((between.len(), Part::Piece(piece)));
                }
                FramePart::Copied(text) => store(&mut between, text.as_bytes()),
                FramePart::Shared(text) => store(&mut between, text.as_bytes()),
            }
        }
        // A message ends with an empty block, whose last four bytes both ends know and nobody sends.
        between.push(0);
        Some(Self { between, pieces })
    }

    /// Whether there is something in a frame's parts that is worth it.
    pub(super) fn is_of(parts: &[FramePart<'_>]) -> bool {
        parts.iter().any(|part| matches!(part, FramePart::Piece(_)))
    }

    /// What goes before the payload.
    pub(super) fn header(&self) -> Header {
        Header::compressed(self.parts().map(Part::byte_length).sum())
    }

    /// The parts in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> + Clone {
        let starts = std::iter::once(0).chain(self.pieces.iter().map(|(at, _)| *at));
        let ends = self.pieces.iter().map(|(at, _)| *at).chain([self.between.len()]);
        let between = starts.zip(ends).map(|(from, to)| Part::Bytes(&self.between[from..to]));
        let pieces = self.pieces.iter().map(|(_, piece)| Some(*piece));
        between
            .zip(pieces.chain([None]))
            .flat_map(|(between, piece)| [Some(between), piece])
            .flatten()
    }
}

/// Appends bytes as blocks that are not compressed: five bytes before each.
fn store(out: &mut Vec<u8>, bytes: &[u8]) {
    for block in bytes.chunks(STORED_BYTES_MAX) {
        stored_head(out, block.len());
        out.extend_from_slice(block);
    }
}

fn stored_head(out: &mut Vec<u8>, length: usize) {
    let length = u16::try_from(length).expect("nobody stores more at once");
    out.push(0);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
}

/// The most bytes of a block that is not compressed.
const STORED_BYTES_MAX: usize = u16::MAX as usize;

/// How many bytes are compressed for one frame, some two milliseconds' work: whoever sends may be a scope that
/// others wait for. The rest of a long state goes as it is, and is compressed for those who come next.
const NEWLY_PACKED_BYTES_MAX: usize = 2 << 20;

thread_local! {
    /// It holds some hundred kilobytes: one for a thread, not one for a connection.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(LEVEL, false));
}

/// Text as blocks that need nothing before them and end at a whole byte.
pub(super) fn pack(text: &str) -> Box<[u8]> {
    COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        let bytes = text.as_bytes();
        let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
        loop {
            let rest = &bytes[compress.total_in() as usize..];
            let status = compress.compress_vec(rest, &mut out, FlushCompress::Sync);
            let is_taken = compress.total_in() as usize == bytes.len();
            // With room left, everything that was to be flushed is.
            if !matches!(status, Ok(Status::Ok)) || is_taken && out.len() < out.capacity() {
                return out.into_boxed_slice();
            }
            out.reserve(out.capacity());
        }
    })
}

/// The fastest: a better one takes three times as long for a third less.
const LEVEL: Compression = Compression::fast();

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(offer: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("sec-websocket-extensions", offer.parse().unwrap());
        agree(&headers).map(|answer| answer.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_first_offer_that_can_be_taken_is() {
        let taken = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for offer in [
            "permessage-deflate",
            "Permessage-Deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=\"10\"; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ] {
            assert_eq!(agreed(offer).as_deref(), Some(taken), "{offer}");
        }
        let widest = format!("{taken}; server_max_window_bits=15");
        assert_eq!(agreed("permessage-deflate; server_max_window_bits=15"), Some(widest));
        for offer in [
            "",
            "permessage-bzip2",
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; level=9",
        ] {
            assert_eq!(agreed(offer), None, "{offer}");
        }
    }
}

//! The one printer of JSON values: numbers as JavaScript prints them, texts escaped as it escapes them.
//!
//! Rust and JavaScript write `1.0`, `-0`, `1e21` and integers past 2^53 differently. Peers compare what
//! they read, stores and clients hold what was printed, so there is one form, and it is JavaScript's.

use std::fmt::Write as _;

use crate::ids::ObjectId;
use crate::model::Scalar;
use crate::time::Timestamp;

/// Appends a number as `JSON.stringify` prints it: the shortest digits that read back as the same
/// double, of several the nearest, of two as near the even one; an exponent only from 1e21 on and below 1e-6.
///
/// NaN and infinities do not exist in the protocol; they become `null`, as in JavaScript.
pub fn number(out: &mut String, number: f64) {
    if !number.is_finite() {
        return out.push_str("null");
    }
    if number.abs() < EXACT_INTEGERS_END && number.fract() == 0.0 {
        return integer(out, number as i64);
    }
    // The digits are those that ECMAScript asks for; where the point stands differs past 1e16 and below 1e-5.
    let mut buffer = zmij::Buffer::new();
    let printed = buffer.format_finite(number);
    match printed.split_once('e') {
        None => out.push_str(printed.strip_suffix(".0").unwrap_or(printed)),
        Some((digits, exponent)) => {
            let digits = match digits.strip_prefix('-') {
                None => digits,
                Some(digits) => {
                    out.push('-');
                    digits
                }
            };
            layout(out, &digits.replace('.', ""), exponent.parse().expect("printed as a number"));
        }
    }
}

/// Appends a whole number.
pub fn integer(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    unsigned(out, number.unsigned_abs());
}

/// Appends a number that is not negative: an index, a count.
///
/// Two stand in the head of every message that goes to every member, and most values of a state are whole: the
/// formatter of the standard library takes several times as long.
pub fn unsigned(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends a date as seconds since 1970, with milliseconds as the fraction.
pub fn date(out: &mut String, date: Timestamp) {
    number(out, date.to_seconds());
}

/// Appends a text with its quotes.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0c => "\\f",
            b'\r' => "\\r",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}").expect("a String takes everything");
        } else {
            out.push_str(escape);
        }
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Appends a uuid with its quotes, in lower case.
pub fn object_id(out: &mut String, id: ObjectId) {
    out.push('"');
    out.push_str(id.encode(&mut [0; ObjectId::TEXT_LENGTH]));
    out.push('"');
}

/// Appends a plain value; a date as seconds.
pub fn scalar(out: &mut String, scalar: &Scalar) {
    match scalar {
        Scalar::String(text) => string(out, text),
        Scalar::Number(value) => number(out, *value),
        Scalar::Boolean(true) => out.push_str("true"),
        Scalar::Boolean(false) => out.push_str("false"),
        Scalar::Date(value) => date(out, *value),
    }
}

/// Every integer below this is exact in a double and prints without an exponent.
const EXACT_INTEGERS_END: f64 = 9_007_199_254_740_992.0;

/// Places the point as ECMAScript's Number::toString does. `exponent` is that of the first digit.
fn layout(out: &mut String, digits: &str, exponent: i32) {
    let count = digits.len() as i32;
    let point = exponent + 1;
    if (1..=21).contains(&point) {
        if point >= count {
            out.push_str(digits);
            out.extend(std::iter::repeat_n('0', (point - count) as usize));
        } else {
            let (whole, fraction) = digits.split_at(point as usize);
            out.extend([whole, ".", fraction]);
        }
    } else if (-5..=0).contains(&point) {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', -point as usize));
        out.push_str(digits);
    } else {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.extend([".", rest]);
        }
        out.push('e');
        if exponent > 0 {
            out.push('+');
        }
        integer(out, exponent.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(value: f64) -> String {
        let mut out = String::new();
        number(&mut out, value);
        out
    }

    /// The digits that say something: without sign, point, exponent and the zeros at either end.
    fn digits(text: &str) -> String {
        let number = text.split_once('e').map_or(text, |(number, _)| number);
        number.replace(['-', '.'], "").trim_matches('0').into()
    }

    #[test]
    fn a_number_is_printed_as_javascript_prints_it() {
        let cases = [
            (1.0, "1"),
            (-0.0, "0"),
            (0.0, "0"),
            (-1.0, "-1"),
            (0.1, "0.1"),
            (-0.5, "-0.5"),
            (1.5, "1.5"),
            (123_456_789_012.0, "123456789012"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (-9_007_199_254_740_994.0, "-9007199254740994"),
            (1e20, "100000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (999_999_999_999_999_900_000.0, "999999999999999900000"),
            (1e21, "1e+21"),
            (1.5e21, "1.5e+21"),
            (-1.25e300, "-1.25e+300"),
            (1e-6, "0.000001"),
            (1.5e-6, "0.0000015"),
            (1e-7, "1e-7"),
            (5e-7, "5e-7"),
            (-1.5e-7, "-1.5e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (907.303_832_202_868_9, "907.3038322028689"),
            (1_169_481_964_408_616.2, "1169481964408616.2"),
            (-1_125_899_906_842_624.8, "-1125899906842624.8"),
            (1e16, "10000000000000000"),
            (0.000_012_5, "0.0000125"),
            (1_400_000_000.5, "1400000000.5"),
            (4.35, "4.35"),
            (2e-3, "0.002"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ];
        for (value, expected) in cases {
            assert_eq!(printed(value), expected, "{value:e}");
        }
    }

    #[test]
    fn a_text_is_escaped_as_javascript_escapes_it() {
        let mut out = String::new();
        string(&mut out, "a\"b\\c\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}é😀\u{2028}");
        assert_eq!(out, "\"a\\\"b\\\\c\\b\\t\\n\\f\\r\\u0001\\u001f\u{7f}é😀\u{2028}\"");
    }

    #[test]
    fn a_date_is_printed_in_seconds() {
        for (millis, expected) in
            [(1_400_000_000_500, "1400000000.5"), (0, "0"), (-1, "-0.001"), (1000, "1")]
        {
            let mut out = String::new();
            date(&mut out, Timestamp(millis));
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn the_digits_are_the_fewest_and_the_nearest(whole in -1_000_000i64..1_000_000, parts in 1u32..100_000, bits: u64, tie in 1u64 << 52..1 << 53) {
            // Where doubles are a quarter apart, two decimals with one place are often as near.
            for value in [whole as f64 / f64::from(parts), f64::from_bits(bits), tie as f64 / 4.0] {
                prop_assume!(value.is_finite());
                let text = printed(value);
                let (ours, nearest) = (digits(&text), digits(&format!("{value:e}")));
                prop_assert_eq!(ours.len(), nearest.len(), "{}", text);
                if ours != nearest {
                    // The standard library goes up from the middle, ECMAScript to the even digit.
                    let exact = digits(&format!("{value:.800e}"));
                    prop_assert_eq!(exact, format!("{ours}5"), "{}", text);
                    prop_assert!(matches!(ours.as_bytes(), [.., last] if last % 2 == 0), "{text}");
                }
            }
        }

        #[test]
        fn every_finite_number_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = printed(value);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), (value + 0.0).to_bits());
            prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), value);
        }

        #[test]
        fn every_text_reads_back_as_itself(text: String) {
            let mut out = String::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}

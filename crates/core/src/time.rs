//! Time as plain data. Machines are told it; they never ask.

use serde::{Deserialize, Serialize};

/// Milliseconds on a clock that never goes back, from an origin without meaning.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment, `milliseconds` later.
    #[must_use]
    pub const fn plus(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// How long ago `earlier` was; 0 if it is still to come.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A date in the world: milliseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// This is also the value of a `Date` property. The wire's unit is seconds, with milliseconds as a
/// fraction; `wire` converts.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Furthest from 1970 that a JavaScript `Date` reaches, in milliseconds.
    pub const MAX_MILLIS: i64 = 8_640_000_000_000_000;

    /// From the wire's unit. Fractions of a millisecond are rounded. `None` outside the years that a
    /// JavaScript `Date` can hold, and for what is no number.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let millis = (seconds * 1000.0).round();
        if millis.is_nan() || millis.abs() > Self::MAX_MILLIS as f64 {
            return None;
        }
        // So far from 1970 that the product is no whole number any more, it may be the one beside.
        let near = [0, -1, 1].map(|step| Self(millis as i64 + step));
        Some(near.into_iter().find(|near| near.to_seconds() == seconds).unwrap_or(near[0]))
    }

    /// In the wire's unit.
    pub fn to_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// As an ISO-8601 text in UTC with milliseconds, as JavaScript's `toISOString` writes it. `None` for
    /// years that need a sign.
    pub fn to_iso8601(self) -> Option<String> {
        use ::time::OffsetDateTime;
        use ::time::macros::format_description;

        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let moment =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()?;
        if moment.year() < 0 { None } else { moment.format(&format).ok() }
    }

    /// Reads an ISO-8601 text: a date, or a date and a time with a zone (without one: UTC, so that the
    /// same text is the same moment everywhere).
    pub fn parse(text: &str) -> Option<Self> {
        use ::time::format_description::well_known::Iso8601;
        use ::time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

        let moment = OffsetDateTime::parse(text, &Iso8601::PARSING)
            .or_else(|_| PrimitiveDateTime::parse(text, &Iso8601::PARSING).map(|t| t.assume_utc()))
            .or_else(|_| {
                Date::parse(text, &Iso8601::PARSING)
                    .map(|day| day.with_time(Time::MIDNIGHT).assume_utc())
            })
            .ok()?;
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        let millis = i64::try_from(millis).ok()?;
        (millis.abs() <= Self::MAX_MILLIS).then_some(Self(millis))
    }
}

/// What a machine is told about the time with every input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and intervals.
    pub mono: Millis,
    /// For what is recorded; it may jump.
    pub wall: Timestamp,
}

/// The sooner of two deadlines, where `None` is never.
pub fn sooner(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (some, None) | (None, some) => some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8601_texts_are_read_to_the_millisecond() {
        let cases = [
            ("2020-01-02T03:04:05.678Z", Some(1_577_934_245_678)),
            ("2020-01-02T03:04:05Z", Some(1_577_934_245_000)),
            ("2020-01-02T05:04:05+02:00", Some(1_577_934_245_000)),
            ("2020-01-02T03:04:05", Some(1_577_934_245_000)),
            ("2020-01-02", Some(1_577_923_200_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("yesterday", None),
            ("", None),
            ("2020-13-02T03:04:05Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Timestamp::parse(text).map(|t| t.0), expected, "{text}");
        }
    }

    #[test]
    fn a_date_is_written_as_javascript_writes_it() {
        for (millis, expected) in [
            (1_577_934_245_678, Some("2020-01-02T03:04:05.678Z")),
            (0, Some("1970-01-01T00:00:00.000Z")),
            (-1, Some("1969-12-31T23:59:59.999Z")),
            (951_782_400_000, Some("2000-02-29T00:00:00.000Z")),
            (Timestamp::MAX_MILLIS, None),
            (-Timestamp::MAX_MILLIS, None),
        ] {
            assert_eq!(Timestamp(millis).to_iso8601().as_deref(), expected);
        }
    }

    #[test]
    fn seconds_are_rounded_to_milliseconds_and_bounded() {
        assert_eq!(Timestamp::from_seconds(1_400_000_000.5), Some(Timestamp(1_400_000_000_500)));
        assert_eq!(Timestamp::from_seconds(0.000_4), Some(Timestamp(0)));
        assert_eq!(Timestamp::from_seconds(1e300), None);
        for millis in [-4_450_244_699_446_105, Timestamp::MAX_MILLIS, -Timestamp::MAX_MILLIS, -1] {
            let date = Timestamp(millis);
            assert_eq!(Timestamp::from_seconds(date.to_seconds()), Some(date));
        }
        assert_eq!(Timestamp::from_seconds(f64::NAN), None);
    }
}

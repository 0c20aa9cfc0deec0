//! Dates of HTTP (RFC 9110 section 5.6.7).
//!
//! Written always as IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`. Read as leniently as
//! Werkzeug does, that is as Python's `email.utils.parsedate_to_datetime`: the three formats of
//! the RFC and mail dates with any zone; the day's name is not looked at.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

const DAY: i64 = 86_400;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const LONG_MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Zones with names, as `hhmm` east of Greenwich (RFC 5322 section 4.3, and Canada's).
const ZONES: [(&str, i64); 14] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("AST", -400),
    ("ADT", -300),
    ("EST", -500),
    ("EDT", -400),
    ("CST", -600),
    ("CDT", -500),
    ("MST", -700),
    ("MDT", -600),
    ("PST", -800),
    ("PDT", -700),
];

/// A moment with the precision of HTTP: whole seconds, before and after 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpDate {
    seconds: i64,
}

impl HttpDate {
    /// The moment that is `seconds` after (or before) the start of 1970, UTC.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self { seconds }
    }

    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// A file's time stamp, as `Last-Modified` shows it under Werkzeug: through a `float` and
    /// microseconds, so that the last half of a microsecond of a second belongs to the next.
    #[must_use]
    pub fn from_file_time(seconds: i64, nanoseconds: u32) -> Self {
        let time = float_time(seconds, nanoseconds);
        let micros = ((time - time.floor()) * 1e6).round_ties_even();
        let carry = i64::from(micros >= 1e6);
        // A `float` near the epoch of any file is far from the limits of 64 bits, and the cast
        // saturates.
        #[expect(clippy::cast_possible_truncation, reason = "the value was floored")]
        let whole = time.floor() as i64;
        Self {
            seconds: whole.saturating_add(carry),
        }
    }

    /// Seconds since the start of 1970, UTC.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.seconds
    }

    /// Reads a date; `None` for what is none.
    ///
    /// ```
    /// use bustapi_http::date::HttpDate;
    ///
    /// // The three formats of RFC 9110.
    /// for text in [
    ///     "Sun, 06 Nov 1994 08:49:37 GMT",
    ///     "Sunday, 06-Nov-94 08:49:37 GMT",
    ///     "Sun Nov  6 08:49:37 1994",
    /// ] {
    ///     assert_eq!(HttpDate::parse(text), Some(HttpDate::from_unix(784_111_777)));
    /// }
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_fixdate(text)
            .or_else(|| parse_mail_date(text))
            .map(Self::from_unix)
    }

    /// The date as a header's value.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a date is written in ASCII")]
    pub fn to_header_value(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("a date is written in ASCII")
    }
}

impl From<SystemTime> for HttpDate {
    fn from(time: SystemTime) -> Self {
        let clamp = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let seconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => clamp(after),
            Err(error) => {
                let before = error.duration();
                -clamp(before) - i64::from(before.subsec_nanos() > 0)
            }
        };
        Self { seconds }
    }
}

/// A time stamp as Python's `os.stat` gives it.
#[expect(
    clippy::cast_precision_loss,
    reason = "Python loses the same precision in the same way"
)]
pub(crate) fn float_time(seconds: i64, nanoseconds: u32) -> f64 {
    seconds as f64 + 1e-9 * f64::from(nanoseconds)
}

impl fmt::Display for HttpDate {
    /// Writes the IMF-fixdate; years beyond 9999 and before 0 are beyond the format and are
    /// written as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.seconds.div_euclid(DAY);
        let time = self.seconds.rem_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        // 1970 began on a Thursday.
        let weekday = usize::try_from((days + 3).rem_euclid(7)).unwrap_or_default();
        write!(
            f,
            "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            WEEKDAYS[weekday],
            MONTHS[month - 1],
            time / 3600,
            time / 60 % 60,
            time % 60,
        )
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (years that begin in
/// March make the leap day the last of the year).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`]: year, month from 1, day from 1.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// An integer as Python's `int` reads it from ASCII: a sign, and single `_` between digits.
/// Beyond 64 bits it saturates, which no field of a date allows.
fn parse_python_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.split('_').any(str::is_empty) {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits.bytes().filter(|&byte| byte != b'_') {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value
            .saturating_mul(10)
            .saturating_add(i64::from(byte - b'0'));
    }
    Some(if negative { -value } else { value })
}

fn month_number(text: &str) -> Option<i64> {
    let matches = |(short, long): (&&str, &&str)| {
        short.eq_ignore_ascii_case(text) || long.eq_ignore_ascii_case(text)
    };
    let at = MONTHS.iter().zip(&LONG_MONTHS).position(matches)?;
    i64::try_from(at + 1).ok()
}

/// Removes the comma at the end of a field.
fn without_comma(text: &str) -> &str {
    text.strip_suffix(',').unwrap_or(text)
}

/// White space as `str.split` knows it in Python: Unicode's, and U+001C to U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Brings the words of a date to `[day, month, year, time, zone]`, or what stands there.
fn split_fields(text: &str) -> Option<[&str; 5]> {
    let mut words = text.split(is_space).filter(|word| !word.is_empty());
    let mut fields: Vec<&str> = Vec::with_capacity(6);
    let first = words.next()?;
    let is_weekday = |name: &&str| name.eq_ignore_ascii_case(first);
    if !first.ends_with(',') && !WEEKDAYS.iter().any(is_weekday) {
        // The space after the comma of the day's name may be missing.
        fields.push(first.rsplit(',').next().unwrap_or(first));
    }
    // Five fields count; whether there are four of them or more decides on the zone.
    fields.extend(words.by_ref().take(6));
    if fields.len() == 3 {
        let parts: Vec<&str> = fields[0].split('-').collect();
        if let [day, month, year] = parts[..] {
            fields.splice(0..1, [day, month, year]);
        }
    }
    if fields.len() == 4 {
        let time = fields[3];
        match time.find('+').or_else(|| time.find('-')) {
            Some(at) if at > 0 => {
                fields[3] = &time[..at];
                fields.push(&time[at..]);
            }
            _ => fields.push(""),
        }
    }
    fields.get(..5)?.try_into().ok()
}

/// Splits `hh:mm[:ss]`, or the same with dots.
fn parse_time(text: &str) -> Option<(i64, i64, i64)> {
    let separator = if text.contains(':') { ':' } else { '.' };
    let parts: Vec<&str> = text.split(separator).collect();
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "0"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    Some((
        parse_python_int(hour)?,
        parse_python_int(minute)?,
        parse_python_int(second)?,
    ))
}

/// Seconds east of Greenwich; a zone that is not understood counts as UTC.
fn parse_zone(text: &str) -> i64 {
    let named = ZONES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    let hhmm = match named {
        Some(&(_, hhmm)) => hhmm,
        None => parse_python_int(text).unwrap_or(0),
    };
    let size = hhmm.saturating_abs();
    (size / 100)
        .saturating_mul(3600)
        .saturating_add(size % 100 * 60)
        .saturating_mul(hhmm.signum())
}

/// Reads the form that everybody writes by its positions; `None` for any deviation. What it
/// reads, [`parse_mail_date`] reads alike, but ten times slower (bench: `http_conditional`).
fn parse_fixdate(text: &str) -> Option<i64> {
    let bytes: &[u8; 29] = text.as_bytes().try_into().ok()?;
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let day_name = &bytes[..3];
    let month = MONTHS
        .iter()
        .position(|name| name.as_bytes() == &bytes[8..11])?;
    let month = i64::try_from(month + 1).ok()?;
    let (day, year) = (number(5, 7)?, number(12, 16)?);
    let (hour, minute, second) = (number(17, 19)?, number(20, 22)?, number(23, 25)?);
    let valid = day_name.iter().all(u8::is_ascii_alphabetic)
        && &bytes[3..5] == b", "
        && bytes[7] == b' '
        && bytes[11] == b' '
        && bytes[16] == b' '
        && bytes[19] == b':'
        && bytes[22] == b':'
        && &bytes[25..] == b" GMT"
        // Years below 100 count as of two digits.
        && year >= 100
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    valid.then(|| days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

fn parse_mail_date(text: &str) -> Option<i64> {
    let [mut day, mut month, mut year, mut time, mut zone] = split_fields(text)?;
    if day.is_empty() || month.is_empty() || year.is_empty() {
        return None;
    }
    if month_number(month).is_none() {
        std::mem::swap(&mut day, &mut month);
    }
    let month = month_number(month)?;
    day = without_comma(day);
    if year.find(':').is_some_and(|at| at > 0) {
        std::mem::swap(&mut year, &mut time);
    }
    year = without_comma(year);
    if !year.starts_with(|c: char| c.is_ascii_digit()) {
        if year.is_empty() {
            return None;
        }
        std::mem::swap(&mut year, &mut zone);
    }
    let (hour, minute, second) = parse_time(without_comma(time))?;
    let mut year = parse_python_int(year)?;
    let day = parse_python_int(day)?;
    if year < 100 {
        // POSIX's window for years of two digits.
        year += if year > 68 { 1900 } else { 2000 };
    }
    let offset = parse_zone(zone);
    // The limits of Python's `datetime` and `timezone`.
    let valid = (1..=9999).contains(&year)
        && (1..=days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && offset.saturating_abs() < DAY;
    valid.then(|| {
        days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset
    })
}

/// The `Date` header of responses, formatted once a second.
///
/// ```
/// use bustapi_http::date::{CachedDate, HttpDate};
///
/// let mut date = CachedDate::default();
/// assert_eq!(date.at(HttpDate::from_unix(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
/// ```
#[derive(Debug, Clone)]
pub struct CachedDate {
    date: HttpDate,
    value: HeaderValue,
}

impl Default for CachedDate {
    fn default() -> Self {
        let date = HttpDate::from_unix(0);
        Self {
            date,
            value: date.to_header_value(),
        }
    }
}

impl CachedDate {
    /// The header's value at `now`; a clone of it costs a reference count.
    pub fn at(&mut self, now: HttpDate) -> &HeaderValue {
        if self.date != now {
            self.date = now;
            self.value = now.to_header_value();
        }
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: impl Into<Option<i64>>) {
        assert_eq!(
            HttpDate::parse(text).map(HttpDate::unix),
            seconds.into(),
            "{text:?}"
        );
    }

    #[test]
    fn lenient_forms() {
        for text in [
            "06 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "sun 06 november 94 08:49:37",
            "Nov 06 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Sun, 06 Nov 1994 03:49:37 EST",
            "Sun, 06 Nov 1994 08:49:37-0000",
            "Sun, 6 Nov 1994 08:49:37 nowhere",
        ] {
            check(text, 784_111_777);
        }
        check("Sun, 06 Nov 1994 08:49 GMT", 784_111_740);
        check("Fri, 01 Jan 1960 00:00:00 GMT", -315_619_200);
        check("01 Jan 68 00:00:00 GMT", 3_092_601_600);
        check("01 Jan 69 00:00:00 GMT", -31_536_000);
    }

    #[test]
    fn no_dates() {
        for text in [
            "",
            " ",
            "foobar",
            "Sun, 06 Nov 1994",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 19941 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +9900",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            ", , , , ,",
            "a-b-c 1:2",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn formatting_agrees_with_the_httpdate_crate() {
        // Steps that are prime to a day and a year, up to the year 9999.
        for seconds in (0..253_402_300_800_i64).step_by(86_413 * 997) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
            let text = httpdate::fmt_http_date(time);
            assert_eq!(HttpDate::from_unix(seconds).to_string(), text);
            assert_eq!(parse_fixdate(&text), Some(seconds));
            assert_eq!(parse_mail_date(&text), Some(seconds));
        }
    }

    #[test]
    fn times_before_1970() {
        assert_eq!(
            HttpDate::from_unix(-1).to_string(),
            "Wed, 31 Dec 1969 23:59:59 GMT"
        );
        let time = UNIX_EPOCH - Duration::from_millis(1500);
        assert_eq!(HttpDate::from(time).unix(), -2);
    }

    #[test]
    fn file_times_round_like_python() {
        assert_eq!(HttpDate::from_file_time(10, 999_999_400).unix(), 10);
        assert_eq!(HttpDate::from_file_time(10, 999_999_600).unix(), 11);
        assert_eq!(HttpDate::from_file_time(-10, 500_000_000).unix(), -10);
    }

    #[test]
    fn the_cached_value_follows_the_clock() {
        let mut date = CachedDate::default();
        let first = date.at(HttpDate::from_unix(1)).clone();
        assert_eq!(date.at(HttpDate::from_unix(1)), first);
        assert_eq!(
            date.at(HttpDate::from_unix(2)),
            "Thu, 01 Jan 1970 00:00:02 GMT"
        );
    }
}

//! What commands print: text and tables for people, or one JSON value.

use serde::Serialize;
use std::io::{ErrorKind, Write};
use time::OffsetDateTime;
use time::macros::format_description;

/// Writes a line to standard output. A reader that went away, as in `crosspoint … | head`, is no failure.
///
/// # Errors
/// The system refused for another reason.
pub fn line(text: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a line to standard error. There is nobody to tell if that fails.
pub fn notice(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes one JSON value to standard output.
///
/// # Errors
/// The system refused.
pub fn json<T: Serialize>(value: &T) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    line(&text)
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table for people.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. Text from chains is made harmless before it is printed.
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: vec![] }
    }

    /// Adds a row; missing cells are empty, surplus ones are dropped.
    pub fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        let mut row: Vec<String> = cells.into_iter().take(self.columns.len()).map(|cell| printable(&cell)).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The table as text, without a newline at its end.
    #[must_use]
    pub fn render(&self) -> String {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, (title, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count());
                cells.max().unwrap_or(0).max(title.chars().count())
            })
            .collect();
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| title.to_uppercase()).collect();
        let rule: Vec<String> = widths.iter().map(|w| "─".repeat(*w)).collect();
        let mut lines = vec![self.line(&titles, &widths), self.line(&rule, &widths)];
        lines.extend(self.rows.iter().map(|row| self.line(row, &widths)));
        lines.join("\n")
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut text = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => text.extend([cell, pad.as_str(), "  "]),
                Align::Right => text.extend([pad.as_str(), cell, "  "]),
            }
        }
        text.trim_end().to_owned()
    }
}

/// A text without control characters, which could move a terminal's cursor or hide what is printed.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A number with its thousands apart: `1,250`.
#[must_use]
pub fn thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(sign);
    let len = digits.len();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && len.saturating_sub(i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// A time in seconds since 1970, in UTC.
#[must_use]
pub fn utc(seconds: u64) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&form).ok()).unwrap_or_else(|| seconds.to_string())
}

/// A long hash cut in its middle: `0x1234…cdef`.
#[must_use]
pub fn short(hash: &str) -> String {
    let count = hash.chars().count();
    if count <= 16 {
        return hash.to_owned();
    }
    let head: String = hash.chars().take(10).collect();
    let tail: String = hash.chars().skip(count.saturating_sub(4)).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_are_gone() {
        let mut table = Table::new(&[("name", Align::Left), ("amount", Align::Right)]);
        table.row(["a\u{1b}[2J".to_owned(), "1".to_owned()]);
        table.row(["longer".to_owned(), "1,250".to_owned()]);
        let lines: Vec<String> = table.render().lines().map(str::to_owned).collect();
        assert_eq!(lines, ["NAME    AMOUNT", "──────  ──────", "a\u{fffd}[2J        1", "longer   1,250"]);
    }

    #[test]
    fn thousands_are_apart() {
        for (n, text) in
            [("0", "0"), ("999", "999"), ("1250", "1,250"), ("910000000", "910,000,000"), ("-1250", "-1,250")]
        {
            assert_eq!(thousands(n), text);
        }
    }
}

//! What is wrong with a configuration, and where: the text that a person reads.
//!
//! A mistake says what was found, what is allowed, and shows the line with the place marked. Nothing
//! here knows what a configuration means.

use std::fmt;
use std::ops::Range;

/// Where a configuration text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file: its places have a line and a column.
    File,
    /// A flag or an environment variable: one line, shown as it was given.
    Setting,
}

/// One text that takes part in a configuration.
#[derive(Debug, Clone)]
pub(super) struct Source {
    origin: Origin,
    /// The file's name, the flag, or the variable.
    name: String,
    text: String,
    /// Where each line begins: a file of many lines can have many mistakes.
    lines: Vec<usize>,
}

impl Source {
    pub(super) fn new(origin: Origin, name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let after_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let lines = std::iter::once(0).chain(after_newlines).collect();
        Self { origin, name: name.into(), text, lines }
    }
}

/// All texts that take part in a configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Vec<Source>);

/// Names a text of [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceId(usize);

/// A stretch of one of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    source: SourceId,
    start: usize,
    end: usize,
}

impl Place {
    pub(super) fn new(source: SourceId, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end }
    }

    /// A part of a text of `length` bytes that stands here, in quotes. Where it is written in another way than
    /// it reads, the whole of it.
    pub(super) fn within(self, part: Range<usize>, length: usize) -> Self {
        if self.end - self.start != length + 2 {
            return self;
        }
        Self { start: self.start + 1 + part.start, end: self.start + 1 + part.end, ..self }
    }

    /// The same stretch in a text that has `offset` more bytes before it.
    pub(super) fn shifted(self, offset: usize) -> Self {
        Self { start: self.start + offset, end: self.end + offset, ..self }
    }
}

impl Sources {
    pub(super) fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId(self.0.len() - 1)
    }

    pub(super) fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0]
    }

    /// The line on which a place begins, from 1.
    pub(super) fn line(&self, place: Place) -> usize {
        self.get(place.source).lines.partition_point(|line| *line <= place.start)
    }
}

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, the flag (`--set`) or the environment variable.
    pub source: String,
    /// The line and the column in the file, both from 1, the column in characters. `None` for a flag
    /// or a variable.
    pub position: Option<(usize, usize)>,
    /// What was found, and what is wrong with it.
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// The line on which it stands.
    excerpt: String,
    /// The marked part of the excerpt, in characters.
    marked: Range<usize>,
}

impl Mistake {
    fn new(sources: &Sources, draft: Draft) -> Self {
        let source = sources.get(draft.place.source);
        let text = source.text.as_str();
        let start = floor_boundary(text, draft.place.start);
        let end = floor_boundary(text, draft.place.end).max(start);
        let line_number = source.lines.partition_point(|line| *line <= start);
        let line_start = source.lines[line_number - 1];
        let line = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + line.len();
        let column = text[line_start..start].chars().count();
        let marked = text[start.min(line_end)..end.min(line_end)].chars().count().max(1);
        let position = match source.origin {
            Origin::File => Some((line_number, column + 1)),
            Origin::Setting => None,
        };
        let (excerpt, marked) = shorten(&without_address(line), column..column + marked);
        Self {
            source: source.name.clone(),
            position,
            message: draft.message,
            help: draft.help,
            excerpt,
            marked,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.position.map_or_else(String::new, |(line, _)| line.to_string());
        let gutter = " ".repeat(number.len());
        writeln!(f, "error: {}", self.message)?;
        match self.position {
            Some((line, column)) => {
                writeln!(f, "{gutter}--> {}:{line}:{column}", self.source)?;
            }
            None => writeln!(f, "{gutter}--> {}", self.source)?,
        }
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        let indent = " ".repeat(self.marked.start);
        write!(f, "{gutter} | {indent}{}", "^".repeat(self.marked.len()))?;
        if let Some(help) = &self.help {
            write!(f, "\n{gutter} = {help}")?;
        }
        Ok(())
    }
}

/// Every mistake of a configuration, in the order in which a reader meets them.
///
/// Printed with [`Display`](fmt::Display), one paragraph for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            write!(f, "{mistake}\n\n")?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake"),
            count => write!(f, "{count} mistakes"),
        }
    }
}

impl std::error::Error for Mistakes {}

/// A mistake that does not know its line yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Draft {
    place: Place,
    message: String,
    help: Option<String>,
}

/// Collects mistakes while the check goes on.
#[derive(Debug, Default)]
pub(super) struct Collector(Vec<Draft>);

impl Collector {
    pub(super) fn add(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Draft { place, message: message.into(), help: None });
    }

    pub(super) fn add_with_help(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(Draft { place, message: message.into(), help: Some(help.into()) });
    }

    /// `value`, unless there are mistakes.
    pub(super) fn finish<T>(mut self, sources: &Sources, value: Option<T>) -> Result<T, Mistakes> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                // The same place can be visited twice, a default limit by each scope, for example.
                self.0.sort();
                self.0.dedup();
                Err(Mistakes(self.0.into_iter().map(|d| Mistake::new(sources, d)).collect()))
            }
        }
    }
}

/// `"a", "b" and "c"`, for messages.
pub(super) fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    let mut names = names.into_iter().peekable();
    while let Some(name) = names.next() {
        if !text.is_empty() {
            text.push_str(if names.peek().is_some() { ", " } else { " and " });
        }
        text.push_str(name.as_ref());
    }
    text
}

/// The nearest boundary of a character at or before `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// Puts stars for the address of a database, in which a password may stand. As many as there were
/// characters, so that marks stay where they are.
fn without_address(line: &str) -> String {
    let schemes = ["postgres://", "postgresql://"];
    let end = |scheme: &str| line.find(scheme).map(|start| start + scheme.len());
    let Some(hidden) = schemes.iter().filter_map(|scheme| end(scheme)).min() else {
        return line.to_owned();
    };
    let stars = line[hidden..].chars().map(|_| '*');
    line[..hidden].chars().chain(stars).collect()
}

/// Cuts a line that is too long for a terminal around its marked part, and makes what is left
/// printable: a control character would move the marks, or worse.
fn shorten(line: &str, marked: Range<usize>) -> (String, Range<usize>) {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let length = line.chars().count();
    if length <= LINE_MAX {
        return (line.chars().map(printable).collect(), marked);
    }
    let from = marked.start.saturating_sub(LINE_MAX / 3);
    let shown: String = line.chars().skip(from).take(LINE_MAX).map(printable).collect();
    let dots_before = if from > 0 { "… " } else { "" };
    let dots_after = if from + LINE_MAX < length { " …" } else { "" };
    let offset = dots_before.chars().count();
    let start = marked.start - from;
    let end = (marked.end - from).min(shown.chars().count().max(start + 1));
    (format!("{dots_before}{shown}{dots_after}"), start + offset..end + offset)
}

/// The longest line that is shown whole, in characters.
const LINE_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, span: Range<usize>) -> String {
        let mut sources = Sources::default();
        let source = sources.add(Source::new(Origin::File, "jetstream.toml", text));
        let mut collector = Collector::default();
        collector.add_with_help(Place::new(source, span), "it is wrong", "do it right");
        collector.finish(&sources, Some(())).unwrap_err().to_string()
    }

    #[test]
    fn the_line_is_shown_with_the_place_marked() {
        let expected = "\
error: it is wrong
  --> jetstream.toml:10:5
   |
10 | x = \"Nmber\"
   |     ^^^^^^^
   = do it right

1 mistake";
        assert_eq!(render(&format!("{}x = \"Nmber\"\ny", "\n".repeat(9)), 13..20), expected);
    }

    #[test]
    fn columns_count_characters_and_any_span_is_survived() {
        assert!(render("äöü = 1", 6..7).contains("jetstream.toml:1:4\n"));
        assert!(render("äöü = 1", 1..2).contains("jetstream.toml:1:1\n"));
        assert!(render("", 0..0).contains("jetstream.toml:1:1\n"));
        assert!(render("a\n", 2..9).contains("jetstream.toml:2:1\n"));
        assert!(render("a\r\nb", 1..4).contains("| a\n"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let shown = render(&text, 500..504);
        let line = shown.lines().find(|line| line.contains("HERE")).unwrap();
        let marks = shown.lines().find(|line| line.contains("^^^^")).unwrap();
        assert!(line.chars().count() < 140, "{line}");
        let column = |line: &str, part| line[..line.find(part).unwrap()].chars().count();
        assert_eq!(column(line, "HERE"), column(marks, "^^^^"));
    }
}

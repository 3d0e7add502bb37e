//! Issues as the cells of a table.

use serde_json::Value;

use super::Portable;
use super::import::{in_line, require_few};
use super::row::{COLUMNS, Row, is_title};
use crate::http::problem::Problem;

/// What a spreadsheet takes for the beginning of a formula (`journal.md` 10.4).
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// Most of a foreign header that an answer repeats.
const HEADER_CHARS_MAX: usize = 200;

impl Portable {
    /// In the order of [`COLUMNS`]; lists and objects are JSON in their cell.
    pub(super) fn cells(&self) -> [String; COLUMNS.len()] {
        let value = serde_json::to_value(self).unwrap_or_default();
        COLUMNS.map(|(name, _)| match &value[name] {
            Value::Null => String::new(),
            Value::Array(list) if list.is_empty() => String::new(),
            Value::String(text) if is_guarded(text) => format!("'{text}"),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// A text that a spreadsheet would calculate is marked as a text by an apostrophe; so is one that is empty:
/// without the mark it would be none. One that looks marked is marked once more, and any other apostrophe is the
/// text's own, in files of others too.
fn is_guarded(text: &str) -> bool {
    let behind = text.trim_start_matches('\'');
    behind.is_empty() || behind.starts_with(FORMULA_STARTS)
}

fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| is_guarded(cell)).unwrap_or(cell)
}

/// The names of the columns.
pub(super) fn header() -> Vec<u8> {
    csv_line(&COLUMNS.map(|(name, _)| name.to_owned()))
}

pub(super) fn csv_line(cells: &[String]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(vec![]);
    // Writing to memory does not fail.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}

pub(super) fn read_csv(bytes: &[u8]) -> Result<Vec<Portable>, Problem> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let bad = |error: csv::Error| Problem::invalid("issue.import", format!("the file is no CSV: {error}"));
    let header = reader.headers().map_err(bad)?.clone();
    let mut rows = vec![];
    let mut count = 0;
    let mut cells = csv::StringRecord::new();
    while reader.read_record(&mut cells).map_err(bad)? {
        count += 1;
        // The rest is only counted.
        if require_few(count).is_ok() {
            rows.push(cells.clone());
        }
    }
    require_few(count)?;
    if !rows.is_empty() && !header.iter().any(is_title) {
        let named: String =
            header.iter().collect::<Vec<_>>().join(",").chars().take(HEADER_CHARS_MAX).collect();
        let detail = format!("the file has no column title; its columns, by commas, are: {named}");
        return Err(Problem::invalid("issue.import", detail));
    }
    let portable = |(line, cells): (usize, csv::StringRecord)| {
        let there = header.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
        let members = there.map(|(name, cell)| (name.to_owned(), Value::from(unguarded(cell))));
        Row::of(members).issue().map_err(|why| in_line(line, &why))
    };
    (1..).zip(rows).map(portable).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{PortableComment, PortableRelation};
    use super::*;

    #[test]
    fn a_line_of_csv_says_what_the_object_says() {
        let portable = Portable {
            identifier: Some("ENG-1".into()),
            title: "=SUM(A1), \"quoted\"\nand more".into(),
            description: Some("'quoted already".into()),
            routine: Some(String::new()),
            labels: vec!["a,b".into(), "c".into()],
            sort_order: Some(-1.5),
            estimate: Some(-3),
            routine_inputs: Some(serde_json::json!({ "x": [1, null] })),
            relations: vec![PortableRelation { relation_type: "blocks".into(), target: "ENG-2".into() }],
            comments: vec![PortableComment { body: "@all\n-1".into(), ..PortableComment::default() }],
            ..Portable::default()
        };
        let mut file = header();
        file.extend(csv_line(&portable.cells()));
        let text = String::from_utf8(file.clone()).expect("text");
        assert!(text.contains("'=SUM") && text.contains(",'quoted already,"), "{text}");
        assert_eq!(read_csv(&file).map_err(|_| ()), Ok(vec![portable]));
    }

    #[test]
    fn an_apostrophe_is_taken_off_only_where_one_was_put() {
        let texts =
            ["", "'", "''", "=1", "'=1", "''=1", "'tis", "''tis''", "it's", "-", "'-", "\t", "'\r", "'a=1"];
        for text in texts {
            let cell = Portable { title: text.into(), ..Portable::default() }.cells()[3].clone();
            assert_eq!(unguarded(&cell), text, "{cell}");
            assert!(!cell.is_empty() && !cell.starts_with(FORMULA_STARTS), "{cell}");
        }
        let file = read_csv(b"title\n'tis the season\n''quoted''\n").map_err(|_| ()).expect("a file");
        assert_eq!((&*file[0].title, &*file[1].title), ("'tis the season", "''quoted''"));
    }

    #[test]
    fn files_of_jira_are_read_by_their_own_names() {
        let file = b"\xef\xbb\xbfSummary,Issue key,Issue id,Status,Priority,Created,Labels,Labels,Labels,Parent,Parent key,\
            Custom field (Story Points),Comment,Comment,Outward issue link (Blocks)\n\
            Mend it,AB-7,10007,In Progress,Highest,14/May/24 9:31 AM,one,,two,10001,AB-1,3.0,\
            14/May/24 9:40 AM;5b10;first; and last,,AB-9\n";
        let read = read_csv(file).map_err(|_| ()).expect("a file").remove(0);
        assert_eq!((read.identifier.as_deref(), read.external_id.as_deref()), (Some("AB-7"), Some("AB-7")));
        assert_eq!((&*read.title, read.parent.as_deref(), read.estimate), ("Mend it", Some("AB-1"), Some(3)));
        assert_eq!((read.labels.join(" "), read.comments.len()), ("one two".to_owned(), 1));
        assert_eq!(
            (&*read.comments[0].body, read.comments[0].author.as_deref()),
            ("first; and last", Some("5b10"))
        );
        assert_eq!((&*read.relations[0].relation_type, &*read.relations[0].target), ("blocks", "AB-9"));
    }

    #[test]
    fn files_of_linear_and_github_are_read_by_their_own_names() {
        let linear = b"ID,Team,Title,Estimate,Labels,Due Date,Parent issue,Project Milestone,Canceled\n\
            ENG-7,Engineering,Mend it,5,\"one, two\",,ENG-2,v1,2024-05-14T09:31:00.000Z\n";
        let read = read_csv(linear).map_err(|_| ()).expect("a file").remove(0);
        assert_eq!((read.external_id.as_deref(), read.crew.as_deref()), (Some("ENG-7"), Some("Engineering")));
        assert_eq!(
            (read.labels, read.parent.as_deref()),
            (vec!["one".to_owned(), "two".to_owned()], Some("ENG-2"))
        );
        assert_eq!((read.milestone.as_deref(), read.completed_at.is_some()), (Some("v1"), true));
        let github = b"number,title,comments,labels\n7,Mend it,12,2024\n";
        let read = read_csv(github).map_err(|_| ()).expect("a file").remove(0);
        assert_eq!((read.external_id.as_deref(), read.comments.len()), (Some("7"), 0));
        assert_eq!(read.labels, ["2024"]);
    }
}

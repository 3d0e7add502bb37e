//! Issues as the cells of a table.

use serde_json::Value;

use super::Portable;
use super::import::in_line;
use crate::http::problem::Problem;

/// What a spreadsheet takes for the beginning of a formula (`journal.md` 10.4).
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The columns of CSV, each with what other trackers call it. Lists and objects are JSON in their cell.
pub(super) const COLUMNS: [(&str, &[&str]); 22] = [
    ("identifier", &[]),
    ("external_id", &["id", "issue key", "key", "number"]),
    ("crew", &["team"]),
    ("title", &["summary"]),
    ("description", &["body"]),
    ("status", &["state"]),
    ("priority", &[]),
    ("assignee_type", &[]),
    ("assignee", &[]),
    ("due_date", &["due date"]),
    ("sort_order", &[]),
    ("project", &[]),
    ("milestone", &["project milestone"]),
    ("parent", &["parent issue", "parent key"]),
    ("estimate", &["story points"]),
    ("labels", &["label"]),
    ("routine", &[]),
    ("routine_inputs", &[]),
    ("created_at", &["created"]),
    ("started_at", &["started"]),
    ("completed_at", &["completed", "closed_at", "resolved"]),
    ("comments", &[]),
];

impl Portable {
    /// In the order of [`COLUMNS`].
    pub(super) fn cells(&self) -> [String; COLUMNS.len()] {
        let value = serde_json::to_value(self).unwrap_or_default();
        COLUMNS.map(|(name, _)| match &value[name] {
            Value::Null => String::new(),
            Value::Array(list) if list.is_empty() => String::new(),
            Value::String(text) => guarded(text),
            other => other.to_string(),
        })
    }

    /// Reads cells under the names of a header.
    fn of_cells(header: &[Option<usize>], cells: &csv::StringRecord) -> Result<Self, String> {
        let mut value = serde_json::Map::new();
        for (column, cell) in header.iter().zip(cells) {
            let Some((name, _)) = column.and_then(|column| COLUMNS.get(column)) else { continue };
            if !cell.is_empty() {
                value.insert((*name).to_owned(), read_cell(name, cell));
            }
        }
        serde_json::from_value(Value::Object(value)).map_err(|error| error.to_string())
    }
}

/// A text that a spreadsheet would calculate is marked as a text; so is one that begins with that mark, and
/// one that is empty: without the mark it would be none.
fn guarded(text: &str) -> String {
    let is_marked = text.is_empty() || text.starts_with(FORMULA_STARTS) || text.starts_with('\'');
    if is_marked { format!("'{text}") } else { text.to_owned() }
}

fn read_cell(name: &str, cell: &str) -> Value {
    let parsed = || serde_json::from_str::<Value>(cell).ok();
    match name {
        "sort_order" | "estimate" => parsed().unwrap_or_else(|| Value::from(cell)),
        // Other trackers separate names by commas.
        "labels" => parsed()
            .filter(Value::is_array)
            .unwrap_or_else(|| cell.split(',').map(str::trim).filter(|label| !label.is_empty()).collect()),
        "comments" | "routine_inputs" => parsed().unwrap_or_else(|| Value::from(cell)),
        _ => Value::from(cell.strip_prefix('\'').unwrap_or(cell)),
    }
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
    let column = |name: &str| {
        let name = name.trim_start_matches('\u{feff}').trim().to_lowercase();
        COLUMNS.iter().position(|(own, others)| *own == name || others.contains(&name.as_str()))
    };
    let header: Vec<Option<usize>> = reader.headers().map_err(bad)?.iter().map(column).collect();
    (1..)
        .zip(reader.records())
        .map(|(line, record)| {
            Portable::of_cells(&header, &record.map_err(bad)?).map_err(|why| in_line(line, &why))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::PortableComment;
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
            comments: vec![PortableComment { body: "@all\n-1".into(), ..PortableComment::default() }],
            ..Portable::default()
        };
        let mut file = csv_line(&COLUMNS.map(|(name, _)| name.to_owned()));
        file.extend(csv_line(&portable.cells()));
        let text = String::from_utf8(file.clone()).expect("text");
        assert!(text.contains("'=SUM") && text.contains("''quoted already"), "{text}");
        assert_eq!(read_csv(&file).map_err(|_| ()), Ok(vec![portable]));
    }

    #[test]
    fn files_of_other_trackers_are_read_by_their_own_names() {
        let file = b"\xef\xbb\xbfIssue key,Summary,Status,Priority,Labels\nAB-7,Mend it,In Progress,Highest,\"one, two\"\n";
        let read = read_csv(file).map_err(|_| ()).expect("a file");
        assert_eq!((read[0].external_id.as_deref(), &*read[0].title), (Some("AB-7"), "Mend it"));
        assert_eq!(read[0].labels, ["one", "two"]);
    }
}

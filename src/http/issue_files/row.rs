//! One issue of a file, whoever wrote it: which of its members is which of ours.
//!
//! Names are compared by their letters and digits alone, so that `created_at`, `createdAt` and `Created At` are
//! one. The exports of GitHub (REST and `gh`), Linear and Jira are read by the names that they use.

use serde_json::{Map, Value};

use super::{Portable, PortableComment, PortableRelation};

/// Our members, in the order of the columns of CSV, each with what others call it: of two that are there the
/// first counts.
pub(super) const COLUMNS: [(&str, &[&str]); 23] = [
    ("identifier", &["issuekey", "key", "id"]),
    // A number is one of its repository only.
    ("external_id", &["issuekey", "key", "id", "htmlurl", "url", "number"]),
    ("crew", &["team"]),
    ("title", &["summary"]),
    ("description", &["body"]),
    ("status", &["state"]),
    ("priority", &["prioritylabel"]),
    ("assignee_type", &[]),
    ("assignee", &["assignees"]),
    ("due_date", &["due"]),
    ("sort_order", &[]),
    ("project", &["projectname"]),
    ("milestone", &["projectmilestone"]),
    // Beside the key of a parent Jira has its number, which nobody else knows.
    ("parent", &["parentkey", "parentissue"]),
    (
        "estimate",
        &["storypoints", "storypointestimate", "customfieldstorypoints", "customfieldstorypointestimate"],
    ),
    ("labels", &["label"]),
    ("routine", &[]),
    ("routine_inputs", &[]),
    ("created_at", &["created"]),
    ("started_at", &["started"]),
    ("completed_at", &["completed", "closedat", "resolved", "resolutiondate", "canceledat", "canceled"]),
    ("relations", &[]),
    ("comments", &["comment"]),
];
/// Jira's columns of links, each the key of another issue.
const LINKS: [(&str, &str); 3] = [
    ("outwardissuelinkblocks", "blocks"),
    ("outwardissuelinkrelates", "relates_to"),
    ("outwardissuelinkduplicate", "duplicate_of"),
];
/// What an object is called by, best first, where a name is expected.
const NAMES: [&str; 9] =
    ["identifier", "slug", "key", "login", "name", "displayname", "title", "emailaddress", "id"];

/// What an issue, or a comment, has in a file: a column may be there more than once.
pub(super) struct Row(Vec<(String, Value)>);

/// Letters and digits alone, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether a column of this name says what an issue is called.
pub(super) fn is_title(name: &str) -> bool {
    matches!(&*plain(name), "title" | "summary")
}

impl Row {
    /// What is null is not there.
    pub(super) fn of(members: impl IntoIterator<Item = (String, Value)>) -> Self {
        let there = members.into_iter().filter(|(_, value)| !value.is_null());
        Self(there.map(|(name, value)| (plain(&name), value)).collect())
    }

    /// The issue that it is.
    ///
    /// # Errors
    /// Which member is not of its sort.
    pub(super) fn issue(&self) -> Result<Portable, String> {
        let mut notes = vec![];
        Ok(Portable {
            identifier: self.word("identifier")?,
            external_id: self.word("external_id")?,
            crew: self.word("crew")?,
            title: self.text("title")?.unwrap_or_default(),
            description: self.text("description")?,
            status: self.status()?,
            priority: self.word("priority")?,
            assignee_type: self.word("assignee_type")?,
            assignee: self.word("assignee")?,
            due_date: self.word("due_date")?,
            sort_order: self.number("sort_order")?,
            project: self.word("project")?,
            milestone: self.word("milestone")?,
            parent: self.word("parent")?,
            estimate: self.number("estimate")?.map(|points| whole(points, &mut notes)),
            labels: self.labels()?,
            routine: self.word("routine")?,
            routine_inputs: self.one("routine_inputs").map(parsed),
            created_at: self.word("created_at")?,
            started_at: self.word("started_at")?,
            completed_at: self.word("completed_at")?,
            relations: self.relations()?,
            comments: self.comments()?,
            notes,
        })
    }

    /// A comment of an issue.
    fn comment(&self) -> Result<PortableComment, String> {
        let word = |names: &[&'static str]| {
            self.any(names).map(|value| word_of("author and created_at of a comment", value)).transpose()
        };
        let body = self.any(&["body", "text"]).and_then(Value::as_str);
        Ok(PortableComment {
            author_type: word(&["authortype"])?,
            author: word(&["author", "user", "creator"])?,
            body: body.ok_or("a comment has no body")?.to_owned(),
            created_at: word(&["createdat", "created"])?,
        })
    }

    /// What stands under the first of these names.
    fn any(&self, names: &[&'static str]) -> Option<&Value> {
        names.iter().find_map(|name| self.named(name).next())
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value)
    }

    /// All values of one of our members, under all of its names, best name first.
    fn all(&self, column: &str) -> Vec<&Value> {
        let others = COLUMNS.iter().find(|(own, _)| *own == column).map_or(&[][..], |(_, others)| others);
        let own = plain(column);
        let is_last = column == "parent";
        let mut names: Vec<&str> = std::iter::once(&*own).chain(others.iter().copied()).collect();
        if is_last {
            names.rotate_left(1);
        }
        names
            .iter()
            .flat_map(|name| self.0.iter().filter(move |(own, _)| own == name))
            .map(|(_, v)| v)
            .collect()
    }

    fn one(&self, column: &str) -> Option<&Value> {
        self.all(column).first().copied()
    }

    fn text(&self, column: &str) -> Result<Option<String>, String> {
        match self.one(column) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("{column} must be a text")),
        }
    }

    fn word(&self, column: &str) -> Result<Option<String>, String> {
        match self.one(column) {
            // Nobody of a list is nobody.
            None => Ok(None),
            Some(Value::Array(list)) if list.is_empty() => Ok(None),
            Some(value) => word_of(column, value).map(Some),
        }
    }

    fn number(&self, column: &str) -> Result<Option<f64>, String> {
        let number = match self.one(column) {
            None => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_f64(),
        };
        let number = number.filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| format!("{column} must be a number"))
    }

    /// GitHub closes what is done and what is not to be done alike, and says which beside it.
    fn status(&self) -> Result<Option<String>, String> {
        let reason = self.named("statereason").next().and_then(Value::as_str).map(plain);
        match reason.as_deref() {
            Some("notplanned" | "duplicate") => Ok(Some("CANCELLED".to_owned())),
            _ => self.word("status"),
        }
    }

    fn labels(&self) -> Result<Vec<String>, String> {
        let mut labels = vec![];
        for value in self.all("labels") {
            match parsed(value) {
                // Others separate names by commas.
                Value::String(text) => {
                    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                    labels.extend(names.map(str::to_owned));
                }
                list => {
                    for label in items(&list).ok_or("labels must be a list")? {
                        labels.push(word_of("labels", label)?);
                    }
                }
            }
        }
        Ok(labels)
    }

    fn relations(&self) -> Result<Vec<PortableRelation>, String> {
        let mut relations = vec![];
        for value in self.all("relations") {
            let list = parsed(value);
            for relation in items(&list).ok_or("relations must be a list")? {
                let text = |name: &str| relation[name].as_str().map(str::to_owned);
                let (how, target) = (text("relation_type"), text("target"));
                let (Some(relation_type), Some(target)) = (how, target) else {
                    return Err("a relation has a relation_type and a target".to_owned());
                };
                relations.push(PortableRelation { relation_type, target });
            }
        }
        for (column, how) in LINKS {
            let targets = self.named(column).filter_map(Value::as_str);
            relations.extend(
                targets.map(|key| PortableRelation { relation_type: how.to_owned(), target: key.to_owned() }),
            );
        }
        Ok(relations)
    }

    fn comments(&self) -> Result<Vec<PortableComment>, String> {
        let mut comments = vec![];
        for value in self.all("comments") {
            match parsed(value) {
                // How many there are, not which: GitHub.
                Value::Number(_) => {}
                Value::String(count) if count.trim().parse::<u64>().is_ok() => {}
                Value::String(text) => comments.push(spoken(&text)),
                list => {
                    for comment in items(&list).ok_or("comments must be a list")? {
                        comments.push(match comment {
                            Value::String(text) => spoken(text),
                            Value::Object(members) => Self::of(members.clone()).comment()?,
                            _ => return Err("a comment must be an object".to_owned()),
                        });
                    }
                }
            }
        }
        comments.retain(|comment| !comment.body.trim().is_empty());
        Ok(comments)
    }
}

/// What a cell holds that is JSON: lists and objects. Any other text is itself.
fn parsed(value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    match serde_json::from_str(text) {
        Ok(found @ (Value::Array(_) | Value::Object(_))) => found,
        _ => value.clone(),
    }
}

/// The items of a list; some have it one step further in.
fn items(value: &Value) -> Option<&Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        Value::Object(object) => ["nodes", "comments"].iter().find_map(|name| object.get(*name)?.as_array()),
        _ => None,
    }
}

/// A name, wherever it stands: of several the first.
fn word_of(column: &str, value: &Value) -> Result<String, String> {
    let found = match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => return list.first().map_or(Ok(String::new()), |first| word_of(column, first)),
        Value::Object(object) => name_in(object),
        Value::Null | Value::Bool(_) => None,
    };
    found.ok_or_else(|| format!("{column} must be a text"))
}

fn name_in(object: &Map<String, Value>) -> Option<String> {
    let named = |name: &&str| object.iter().find(|(own, value)| plain(own) == **name && !value.is_null());
    match NAMES.iter().find_map(named)?.1 {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Jira's comments are one text: when, by whom, and what.
fn spoken(text: &str) -> PortableComment {
    let mut parts = text.splitn(3, ';');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(when), Some(who), Some(what)) if super::dates::moment(when).is_some() => PortableComment {
            author_type: None,
            author: Some(who.trim().to_owned()),
            body: what.to_owned(),
            created_at: Some(when.to_owned()),
        },
        _ => PortableComment { body: text.to_owned(), ..PortableComment::default() },
    }
}

/// Points are whole here.
#[expect(clippy::cast_possible_truncation, reason = "too many points are the most there can be")]
fn whole(points: f64, notes: &mut Vec<String>) -> i64 {
    let whole = points.round() as i64;
    if points.fract() != 0.0 {
        notes.push(format!("an estimate of {points} points: {whole} are kept"));
    }
    whole
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Portable {
        Row::of(value.as_object().expect("an object").clone()).issue().expect("an issue")
    }

    #[test]
    fn issues_of_github_are_read() {
        let rest = json!({
            "id": 101, "number": 7, "title": "Mend it", "body": null, "state": "closed", "state_reason": "not_planned",
            "labels": [{ "id": 1, "name": "bug" }], "assignee": { "login": "ada", "id": 5 }, "comments": 3,
            "milestone": { "title": "v1", "id": 9 }, "created_at": "2024-05-14T09:31:00Z", "closed_at": null,
        });
        let found = read(&rest);
        let expected = Portable {
            identifier: Some("101".into()),
            external_id: Some("101".into()),
            title: "Mend it".into(),
            status: Some("CANCELLED".into()),
            labels: vec!["bug".into()],
            assignee: Some("ada".into()),
            milestone: Some("v1".into()),
            created_at: Some("2024-05-14T09:31:00Z".into()),
            ..Portable::default()
        };
        assert_eq!(found, expected);
        let printed = json!({
            "url": "https://example.org/o/r/issues/7", "number": 7, "title": "Mend it", "state": "OPEN", "assignees": [],
            "comments": [{ "author": { "login": "bob" }, "body": "Hm", "createdAt": "2024-05-14T09:31:00Z" }],
        });
        let found = read(&printed);
        assert_eq!(found.external_id.as_deref(), Some("https://example.org/o/r/issues/7"));
        assert_eq!((found.assignee, found.status.as_deref()), (None, Some("OPEN")));
        let comment = PortableComment {
            author: Some("bob".into()),
            body: "Hm".into(),
            created_at: Some("2024-05-14T09:31:00Z".into()),
            ..PortableComment::default()
        };
        assert_eq!(found.comments, [comment]);
    }

    #[test]
    fn issues_of_linear_are_read() {
        let found = read(&json!({
            "id": "9cfb482a", "identifier": "ENG-7", "title": "Mend it", "state": { "name": "In Review" },
            "priority": 1, "estimate": 2.5, "team": { "key": "ENG", "name": "Engineering" },
            "labels": { "nodes": [{ "name": "bug" }, { "name": "a,b" }] }, "dueDate": "2024-05-14",
            "parent": { "id": "1f", "identifier": "ENG-2" }, "createdAt": "2024-05-14T09:31:00.000Z",
        }));
        assert_eq!(
            (found.identifier.as_deref(), found.external_id.as_deref()),
            (Some("ENG-7"), Some("9cfb482a"))
        );
        assert_eq!((found.status.as_deref(), found.priority.as_deref()), (Some("In Review"), Some("1")));
        assert_eq!((found.parent.as_deref(), found.crew.as_deref()), (Some("ENG-2"), Some("ENG")));
        assert_eq!((found.estimate, found.due_date.as_deref()), (Some(3), Some("2024-05-14")));
        assert_eq!((found.labels.len(), found.notes.len()), (2, 1));
    }

    #[test]
    fn what_is_of_another_sort_is_named() {
        for (wrong, why) in [
            (json!({ "title": 5 }), "title must be a text"),
            (json!({ "estimate": "many" }), "estimate must be a number"),
            (json!({ "estimate": [] }), "estimate must be a number"),
            (json!({ "sort_order": "NaN" }), "sort_order must be a number"),
            (json!({ "status": true }), "status must be a text"),
            (json!({ "labels": 5 }), "labels must be a list"),
            (json!({ "comments": [{ "author": "ada" }] }), "a comment has no body"),
            (json!({ "relations": [{ "target": "ENG-1" }] }), "a relation has a relation_type and a target"),
        ] {
            let row = Row::of(wrong.as_object().expect("an object").clone());
            assert_eq!(row.issue().map(|_| ()), Err(why.to_owned()), "{wrong}");
        }
    }
}

//! What a new workspace is to be, and its rules (`platform.md` 6.2).

use isolang::Language;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::roster::{name, slug, slug_of};
use crate::{Rejection, Text};

/// Body of create workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkspaceDraft {
    /// What people call it, 2-100 characters; required.
    pub name: Option<String>,
    /// Its name in URLs, unique on the instance; made of the name if it is left out.
    pub slug: Option<String>,
    /// A language by its English name or ISO code.
    pub preferred_language: Option<String>,
}

/// A workspace whose parts keep their rules: only [`WorkspaceDraft::grant`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceGrant {
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
    /// The English name of a language.
    pub preferred_language: Option<Text>,
}

impl WorkspaceDraft {
    /// The workspace that is meant.
    ///
    /// # Errors
    /// The first part that breaks its rule, in the order of the API page.
    pub fn grant(&self) -> Result<WorkspaceGrant, Rejection> {
        let called = self.name.as_deref().unwrap_or_default();
        name("workspace.name", called)?;
        let given = self.slug.clone().filter(|slug| !slug.is_empty());
        let in_urls = given.unwrap_or_else(|| slug_of(called, "workspace"));
        let alphabet = "slug must contain only lowercase letters, numbers, hyphens, and underscores";
        slug("workspace.slug", &in_urls, alphabet)?;
        let preferred_language = language(self.preferred_language.as_deref().unwrap_or_default())?;
        Ok(WorkspaceGrant { name: called.into(), slug: in_urls.into(), preferred_language })
    }
}

fn language(word: &str) -> Result<Option<Text>, Rejection> {
    if word.is_empty() {
        return Ok(None);
    }
    let lower = word.to_lowercase();
    let found = Language::from_639_1(&lower).or_else(|| Language::from_639_3(&lower));
    // Of names, only those of languages with a two-letter code: `Ili'uun` is one too, and rarely meant.
    let named = || Language::from_name_lowercase(&lower).filter(|language| language.to_639_1().is_some());
    let found = found.or_else(named).ok_or_else(|| {
        let detail = format!("invalid language {word:?} — use a name (e.g. Czech) or ISO code (e.g. cs)");
        Rejection::invalid("workspace.preferred_language", detail)
    })?;
    Ok(Some(found.to_name().into()))
}

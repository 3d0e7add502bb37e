//! The index itself: what is kept of entries and issues, and up to where.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use taffrail_domain::issue::Issue;
use taffrail_domain::{MissionId, Offset};
use taffrail_projections::WorkspaceWorld;
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STRING, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::store::Compressor;
use tantivy::tokenizer::{NgramTokenizer, PreTokenizedString, Token, TokenizerManager, WhitespaceTokenizer};
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term};

use super::reading::Tailed;
use super::words::{Splitter, folded};
use crate::durable;

/// Goes up when what is indexed changes, or how texts are taken apart: older indexes are then made anew.
const VERSION: u32 = 2;
/// What a writer may take before it writes a segment; the library wants 15 MB at least.
const WRITER_BYTES: usize = 15_000_000;
/// A part of a word must have so many characters to be looked up.
pub(super) const GRAM_CHARS: usize = 3;
/// Stands behind a text, so that a gram begins at each of its letters.
pub(super) const GRAMS_END: char = '\0';
/// Names of the two ways in which the index takes texts apart by itself.
const BLANKS: &str = "blanks";
const GRAMS: &str = "grams";

/// Up to where an index goes, and of what it is one: kept with each of its commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    version: u32,
    /// Id of the journal's store.
    pub(super) store: [u8; 16],
    pub(super) log: u32,
    /// The last entry in it, and the journal's chain there.
    pub(super) offset: Offset,
    pub(super) chain: [u8; 32],
}

impl Mark {
    /// Of an index with nothing in it.
    pub(super) fn nothing(store: [u8; 16], log: u32) -> Self {
        Self { version: VERSION, store, log, offset: Offset(0), chain: [0; 32] }
    }
}

/// The fields. A document is either an entry (offset and words) or an issue (the others).
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) offset: Field,
    pub(super) entry: Field,
    pub(super) issue: Field,
    pub(super) identifier: Field,
    pub(super) title: Field,
    pub(super) description: Field,
    pub(super) comments: Field,
    pub(super) grams: Field,
}

/// Names of the fields that are read by name.
pub(super) const OFFSET: &str = "offset";
pub(super) const ISSUE: &str = "issue";

fn schema() -> (Schema, Fields) {
    let mut schema = SchemaBuilder::new();
    let text = |tokenizer: &str, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option);
        TextOptions::default().set_indexing_options(indexing)
    };
    let unranked = |tokenizer: &str, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option);
        TextOptions::default().set_indexing_options(indexing.set_fieldnorms(false))
    };
    let places = IndexRecordOption::WithFreqsAndPositions;
    let fields = Fields {
        offset: schema.add_u64_field(OFFSET, FAST),
        entry: schema.add_text_field("entry", unranked(BLANKS, places)),
        issue: schema.add_text_field(ISSUE, STRING.set_fast("raw")),
        identifier: schema.add_text_field("identifier", text(BLANKS, places)),
        title: schema.add_text_field("title", text(BLANKS, places)),
        description: schema.add_text_field("description", text(BLANKS, places)),
        comments: schema.add_text_field("comments", text(BLANKS, places)),
        grams: schema.add_text_field("grams", unranked(GRAMS, IndexRecordOption::Basic)),
    };
    (schema.build(), fields)
}

/// Where an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a folder of its own.
    Folder(PathBuf),
    /// Nowhere: that of a journal that is on no disk either.
    Memory,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Index(#[from] tantivy::TantivyError),
    #[error("{0}")]
    Odd(&'static str),
}

/// An open index. All of it is blocking.
#[derive(Clone)]
pub(super) struct Index {
    inner: tantivy::Index,
    reader: IndexReader,
    pub(super) fields: Fields,
}

impl Index {
    /// The one that is there, whole and of these fields.
    pub(super) fn open(place: &Place) -> Result<(Self, Mark), IndexError> {
        let Place::Folder(folder) = place else { return Err(IndexError::Odd("there is none in memory")) };
        if !folder.join("meta.json").is_file() {
            return Err(IndexError::Odd("there is none"));
        }
        let inner = tantivy::Index::open_in_dir(folder)?;
        let (schema, fields) = schema();
        let meta = inner.load_metas()?;
        let mark = meta.payload.as_deref().and_then(|payload| serde_json::from_str::<Mark>(payload).ok());
        let mark = mark.filter(|mark| mark.version == VERSION && inner.schema() == schema);
        let mark = mark.ok_or(IndexError::Odd("it is another build's, or not finished"))?;
        if !inner.validate_checksum()?.is_empty() {
            return Err(IndexError::Odd("its bytes are damaged"));
        }
        Ok((Self::around(inner, fields)?, mark))
    }

    /// A new one instead of whatever is there.
    pub(super) fn create(place: &Place) -> Result<Self, IndexError> {
        let (schema, fields) = schema();
        let settings = IndexSettings {
            docstore_compression: Compressor::None,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let builder = tantivy::Index::builder().schema(schema).settings(settings);
        let inner = match place {
            Place::Memory => builder.create_in_ram()?,
            Place::Folder(folder) => {
                match fs::remove_dir_all(folder) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                    _ => durable::make_folder(folder)?,
                }
                builder.create_in_dir(folder)?
            }
        };
        Self::around(inner, fields)
    }

    fn around(mut inner: tantivy::Index, fields: Fields) -> Result<Self, IndexError> {
        let tokenizers = TokenizerManager::default();
        tokenizers.register(BLANKS, WhitespaceTokenizer::default());
        tokenizers.register(GRAMS, NgramTokenizer::all_ngrams(GRAM_CHARS, GRAM_CHARS)?);
        inner.set_tokenizers(tokenizers);
        // Who writes says when to read anew.
        let reader = inner.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { inner, reader, fields })
    }

    /// What is committed.
    pub(super) fn searcher(&self) -> Result<Searcher, IndexError> {
        self.reader.reload()?;
        Ok(self.reader.searcher())
    }

    /// A writer: one thread that indexes, one that merges, while it lives.
    pub(super) fn writer(&self) -> Result<IndexWriter, IndexError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        Ok(self.inner.writer_with_options(options)?)
    }

    pub(super) fn add_entry(&self, writer: &IndexWriter, entry: &Tailed) -> Result<(), IndexError> {
        let mut document = TantivyDocument::new();
        document.add_u64(self.fields.offset, entry.offset.0);
        entry.words.lines().for_each(|line| document.add_text(self.fields.entry, line));
        writer.add_document(document)?;
        Ok(())
    }

    /// The issue as it is in this world; nothing of one that is not there.
    pub(super) fn put_issue(
        &self,
        writer: &IndexWriter,
        id: &MissionId,
        world: &WorkspaceWorld,
        splitter: &mut Splitter,
    ) -> Result<(), IndexError> {
        self.remove_issue(writer, id.as_str());
        if let Some(issue) = world.state.issues.all.get(id) {
            writer.add_document(self.document(issue, world, splitter))?;
        }
        Ok(())
    }

    pub(super) fn remove_issue(&self, writer: &IndexWriter, id: &str) {
        writer.delete_term(Term::from_field_text(self.fields.issue, id));
    }

    fn document(&self, issue: &Issue, world: &WorkspaceWorld, splitter: &mut Splitter) -> TantivyDocument {
        let fields = &self.fields;
        let mut document = TantivyDocument::new();
        document.add_text(fields.issue, issue.id.as_str());
        let described = issue.description.as_deref();
        for text in [Some(&*issue.identifier), Some(&*issue.title), described].into_iter().flatten() {
            // So that a gram begins at the last letters, too.
            document.add_text(fields.grams, format!("{}{GRAMS_END}{GRAMS_END}", folded(text)));
        }
        let comments = world.state.issues.comments_on(&issue.id);
        let texts = [(fields.identifier, &*issue.identifier), (fields.title, &*issue.title)].into_iter();
        let texts = texts.chain(described.map(|text| (fields.description, text)));
        for (field, text) in texts.chain(comments.map(|comment| (fields.comments, &*comment.body))) {
            document.add_pre_tokenized_text(field, tokens(text, splitter));
        }
        document
    }
}

/// The words of a text for the index: each as it is written and, at the same place, its stem.
fn tokens(text: &str, splitter: &mut Splitter) -> PreTokenizedString {
    let mut tokens = vec![];
    for (position, word) in splitter.words(text).into_iter().enumerate() {
        let stem = (word.stem != word.written).then_some(word.stem);
        let forms = [Some(word.written), stem].into_iter().flatten();
        tokens.extend(forms.map(|text| Token { position, text, ..Token::default() }));
    }
    PreTokenizedString { text: String::new(), tokens }
}

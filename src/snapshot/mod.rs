//! Folds as files.

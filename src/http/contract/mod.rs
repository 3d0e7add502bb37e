//! The contract: the OpenAPI document, made from the routes and from the types of their handlers.
//!
//! A route is added here or nowhere ([`Api`]), and what a handler extracts and answers is in its
//! signature; so a route that the document does not have, or has differently, cannot be written.

mod document;
mod operation;
mod routes;
mod schemas;

pub(super) use operation::{Answers, Asks, Operation, Response};
pub(super) use routes::Api;
pub(super) use schemas::Schemas;

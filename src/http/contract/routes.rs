//! Routes and their document, in one stroke.

use std::any::type_name;
use std::future::Future;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use super::document::Document;
use super::{Answers, Asks, Operation, Schemas};
use crate::http::App;

/// The routes of the API and what the document says of them.
pub(in crate::http) struct Api {
    router: Router<App>,
    document: Document,
}

/// A handler whose signature tells what it takes and what it answers; `T` is how axum tells handlers of
/// different extractors apart.
pub(in crate::http) trait Described<T>: Handler<T, App> {
    /// Adds what the signature says.
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

macro_rules! described {
    ($($input:ident)*) => {
        impl<F, Fut, Answer, Marker, $($input,)*> Described<(Marker, $($input,)*)> for F
        where
            F: FnOnce($($input,)*) -> Fut + Handler<(Marker, $($input,)*), App>,
            Fut: Future<Output = Answer>,
            Answer: Answers,
            $($input: Asks,)*
        {
            fn describe(operation: &mut Operation, schemas: &mut Schemas) {
                $($input::describe(operation, schemas);)*
                Answer::describe(operation, schemas);
            }
        }
    };
}

impl<F, Fut, Answer> Described<((),)> for F
where
    F: FnOnce() -> Fut + Handler<((),), App>,
    Fut: Future<Output = Answer>,
    Answer: Answers,
{
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Answer::describe(operation, schemas);
    }
}

described!(A);
described!(A B);
described!(A B C);
described!(A B C D);

impl Api {
    pub(in crate::http) fn new() -> Self {
        Self { router: Router::new(), document: Document::new() }
    }

    pub(in crate::http) fn get<T, H: Described<T>>(self, path: &str, handler: H) -> Self
    where
        T: 'static,
    {
        self.on(Method::GET, MethodFilter::GET, path, handler)
    }

    pub(in crate::http) fn post<T, H: Described<T>>(self, path: &str, handler: H) -> Self
    where
        T: 'static,
    {
        self.on(Method::POST, MethodFilter::POST, path, handler)
    }

    pub(in crate::http) fn put<T, H: Described<T>>(self, path: &str, handler: H) -> Self
    where
        T: 'static,
    {
        self.on(Method::PUT, MethodFilter::PUT, path, handler)
    }

    pub(in crate::http) fn patch<T, H: Described<T>>(self, path: &str, handler: H) -> Self
    where
        T: 'static,
    {
        self.on(Method::PATCH, MethodFilter::PATCH, path, handler)
    }

    pub(in crate::http) fn delete<T, H: Described<T>>(self, path: &str, handler: H) -> Self
    where
        T: 'static,
    {
        self.on(Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    fn on<T, H: Described<T>>(mut self, method: Method, filter: MethodFilter, path: &str, handler: H) -> Self
    where
        T: 'static,
    {
        let mut operation = Operation::new(method, path, type_name::<H>());
        H::describe(&mut operation, &mut self.document.schemas);
        self.document.add(operation);
        Self { router: self.router.route(path, on(filter, handler)), document: self.document }
    }

    /// The router, and the whole document as JSON.
    pub(in crate::http) fn finish(self) -> (Router<App>, String) {
        (self.router, self.document.text())
    }
}

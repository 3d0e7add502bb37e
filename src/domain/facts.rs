//! Facts that change field by field: an update stores what changed, and only that.

use serde::{Deserialize, Deserializer};

/// Reads a member that is present, null included: absent, null and a value are three things.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Declares the facts of an aggregate and the changes of an update, field for field.
macro_rules! facts {
    (
        $(#[$doc:meta])* $facts:ident, $(#[$changes_doc:meta])* $changes:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $facts { $($(#[$field_doc])* pub $field: $type,)* }

        $(#[$changes_doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct $changes {
            $(
                $(#[$field_doc])*
                #[serde(deserialize_with = "crate::facts::present", skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl $facts {
            /// What is different in `new`; `None` if nothing is: no new fact, no event.
            #[must_use]
            pub fn changes_to(&self, new: &Self) -> Option<$changes> {
                let changes =
                    $changes { $($field: (self.$field != new.$field).then(|| new.$field.clone()),)* };
                (changes != $changes::default()).then_some(changes)
            }

            /// Takes the changes on.
            pub(crate) fn change(&mut self, changes: &$changes) {
                $(if let Some(new) = &changes.$field { self.$field = new.clone(); })*
            }
        }
    };
}
pub(crate) use facts;

//! Closed sets of names and the view that is one of two, as schemas.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AnyOfBuilder, ObjectBuilder, Schema, Type},
    },
};

use crate::domain::{Operation, Outcome, Scope, Status};

/// A schema of its own for the names that a set of the domain has.
macro_rules! names {
    ($($(#[doc = $doc:literal])* $schema:ident = $name:literal, $texts:expr;)*) => {$(
        $(#[doc = $doc])*
        pub(in crate::rest) struct $schema;

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                let texts = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($doc),*).trim_ascii()))
                    .enum_values(Some($texts));
                texts.into()
            }
        }

        impl ToSchema for $schema {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

names! {
    /// Where a job stands, in the order in which it gets there.
    StatusName = "Status", Status::ALL.map(Status::as_str);
    /// What a job does with each row.
    OperationName = "Operation", Operation::ALL.map(Operation::as_str);
    /// How a job ended.
    OutcomeName = "Outcome", Outcome::ALL.map(Outcome::as_str);
    /// What a client may do. Taken in any case.
    ScopeName = "Scope", Scope::ALL.map(Scope::as_str);
    /// Whether a job's file was processed.
    ResultName = "StorageStatus", ["SUCCESS", "FAILED"];
}

/// A job in the documented view, or in ours where the caller asks for it.
pub(in crate::rest) struct JobView;

impl PartialSchema for JobView {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .item(Ref::from_schema_name("UploadStatusResponseAsync"))
            .item(Ref::from_schema_name("Job"))
            .description(Some("A job as documented, or in the full view."))
            .into()
    }
}

impl ToSchema for JobView {}

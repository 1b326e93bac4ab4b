//! `#[derive(Model)]`: a Rust struct or enum as a model of a Jetstream schema.
//!
//! Use it through `jetstream`, which exports it and has the traits that the generated code
//! implements; the page on `jetstream::Model` says what can be derived and what is generated.
//!
//! The way of a derive: [`attributes`] reads what `#[model(…)]` says, [`model`] (structs) or
//! [`enumeration`] (enums) checks the item and implements the traits, [`accessors`] writes the
//! types that read and change an object in place, [`change`] the enum of a model's typed changes.

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, parse_macro_input};

mod accessors;
mod attributes;
mod change;
mod enumeration;
mod model;
mod names;

/// Makes a struct with named fields a model, or an enum of unit variants an enumeration.
///
/// `jetstream::Model` documents the field types, the attributes and what is generated.
#[proc_macro_derive(Model, attributes(model, default))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let generated = match &input.data {
        Data::Struct(data) => model::expand(&input, data),
        Data::Enum(data) => enumeration::expand(&input, data),
        Data::Union(_) => {
            Err(Error::new_spanned(&input.ident, "a model is a struct or an enum, not a union"))
        }
    };
    generated.unwrap_or_else(Error::into_compile_error).into()
}

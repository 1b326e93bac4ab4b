//! `#[derive(Model)]`: a Rust struct or enum as a model of a Jetstream schema.
//!
//! Use it through `jetstream`, which exports it and has the traits that the generated code
//! implements; the page on `jetstream::Model` says what can be derived and what is generated.
//!
//! The way of a derive: `attributes` reads what `#[model(…)]` says, `model` (structs) or
//! `enumeration` (enums) checks the item and implements the traits, `accessors` writes the
//! types that read and change an object in place (`methods`: what they have whatever the properties),
//! `properties` the enum that names a model's properties in a stream of changes.

use proc_macro::TokenStream;
use proc_macro2::{Group, Ident, Spacing, TokenTree};
use syn::{Data, DeriveInput, Error, parse_macro_input};

mod accessors;
mod attributes;
mod enumeration;
mod methods;
mod model;
mod names;
mod properties;

/// Makes a struct with named fields a model, or an enum of unit variants an enumeration.
///
/// `jetstream::Model` documents the field types, the attributes and what is generated.
#[proc_macro_derive(Model, attributes(model, default))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// The same for programs that know `jetstream_client` only, which exports it as `Model`.
#[proc_macro_derive(ClientModel, attributes(model, default))]
pub fn derive_client_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = expand(&input).unwrap_or_else(Error::into_compile_error);
    in_client(expanded).into()
}

/// Generated code with paths that begin with `::jetstream_client` where they began with `::jetstream`.
fn in_client(tokens: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    // Of `x: ::jetstream` the first colon is no part of the path: only two that are joined are.
    let (mut joint, mut path) = (false, false);
    let rename = |token: TokenTree| {
        let (was_joint, in_path) = (std::mem::take(&mut joint), std::mem::take(&mut path));
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                joint = punct.spacing() == Spacing::Joint;
                path = was_joint;
                TokenTree::Punct(punct)
            }
            TokenTree::Ident(name) if in_path && name == "jetstream" => {
                Ident::new("jetstream_client", name.span()).into()
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), in_client(group.stream()));
                inner.set_span(group.span());
                inner.into()
            }
            other => other,
        }
    };
    tokens.into_iter().map(rename).collect()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    match &input.data {
        Data::Struct(data) => model::expand(input, data),
        Data::Enum(data) => enumeration::expand(input, data),
        Data::Union(_) => {
            Err(Error::new_spanned(&input.ident, "a model is a struct or an enum, not a union"))
        }
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    /// What the derive says about a mistake.
    #[track_caller]
    fn check(input: DeriveInput, expected: &[&str]) {
        let error = expand(&input).expect_err("there is a mistake");
        let messages: Vec<String> = error.into_iter().map(|error| error.to_string()).collect();
        assert_eq!(messages, expected);
    }

    #[test]
    fn in_a_client_the_paths_lead_to_the_client() {
        let input: DeriveInput = parse_quote!(
            struct Shape {
                x: f64,
            }
        );
        let code = in_client(expand(&input).unwrap()).to_string();
        assert!(code.contains(":: jetstream_client :: typed"));
        assert!(!code.contains(":: jetstream ::"), "{code}");
    }

    #[test]
    fn what_is_no_model_is_refused() {
        check(
            parse_quote!(
                struct Shape<T> {
                    x: T,
                }
            ),
            &["a model has no type parameters: its name stands for one set of properties"],
        );
        check(
            parse_quote!(
                struct Shape(f64);
            ),
            &["a model is a struct with named fields: their names are the properties"],
        );
        check(
            parse_quote!(
                struct Shape;
            ),
            &["a model is a struct with named fields: their names are the properties"],
        );
        check(
            parse_quote!(union Shape { x: f64 }),
            &["a model is a struct or an enum, not a union"],
        );
    }

    #[test]
    fn what_is_no_enumeration_is_refused() {
        check(
            parse_quote!(
                enum Nothing {}
            ),
            &["an enumeration needs at least one value"],
        );
        check(
            parse_quote!(
                enum Choice<T> {
                    A,
                }
            ),
            &["an enumeration has no type parameters"],
        );
        let fields = "a value of an enumeration carries no fields; \
                      a choice of models is a supermodel with submodels";
        check(
            parse_quote!(
                enum Shape {
                    Circle(f64),
                    Square { side: f64 },
                }
            ),
            &[fields, fields],
        );
        check(
            parse_quote!(
                enum Day {
                    Monday,
                    #[model(rename = "Monday")]
                    Tuesday,
                }
            ),
            &["the variants `Monday` and `Tuesday` are both \"Monday\""],
        );
    }

    #[test]
    fn an_unknown_attribute_is_named_with_those_that_there_are() {
        check(
            parse_quote!(
                struct Shape {
                    #[model(nmae = "x")]
                    x: f64,
                    #[model(skip)]
                    y: f64,
                }
            ),
            &["no such attribute here; there are rename, default, extends"; 2],
        );
        check(
            parse_quote!(
                #[model(integers)]
                struct Shape {
                    x: f64,
                }
            ),
            &[
                "no such attribute here; there are rename, rename_all, submodels, lifetime, no_default",
            ],
        );
        check(
            parse_quote!(
                #[model(no_default)]
                enum Day {
                    Monday,
                }
            ),
            &["no such attribute here; there are rename, rename_all, integers"],
        );
        check(
            parse_quote!(
                enum Day {
                    #[model(default)]
                    Monday,
                }
            ),
            &["no such attribute here; there are rename"],
        );
    }

    #[test]
    fn names_must_be_there_and_differ() {
        check(
            parse_quote!(
                struct Shape {
                    x: f64,
                    #[model(rename = "x")]
                    y: f64,
                }
            ),
            &["the fields `x` and `y` are both the property \"x\""],
        );
        check(
            parse_quote!(
                struct Shape {
                    #[model(rename = "")]
                    x: f64,
                }
            ),
            &["a name may not be empty"],
        );
    }

    #[test]
    fn a_supermodel_is_one_and_comes_first() {
        check(
            parse_quote!(
                struct Cook {
                    #[model(extends)]
                    person: Person,
                    #[model(extends)]
                    worker: Worker,
                }
            ),
            &["a model extends one other model at most"],
        );
        check(
            parse_quote!(
                struct Cook {
                    age: f64,
                    #[model(extends)]
                    person: Person,
                }
            ),
            &["the supermodel stands before the model's own properties, as on the wire"],
        );
        check(
            parse_quote!(
                struct Cook {
                    #[model(extends, rename = "p")]
                    person: Person,
                }
            ),
            &["the field of a supermodel is no property: it has no name and no default"],
        );
    }
}

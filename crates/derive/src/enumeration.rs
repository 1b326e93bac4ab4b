//! An enum of unit variants as an enumeration of strings or of integers.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, Ident};

use crate::attributes::{ItemAttributes, VariantAttributes};
use crate::model::{Mistakes, name_of};

struct Value<'a> {
    variant: &'a Ident,
    /// The value on the wire, or the name of the integer.
    name: String,
    default: bool,
}

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum) -> syn::Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "an enumeration has no type parameters"));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "an enumeration needs at least one value"));
    }
    let attributes = ItemAttributes::of_enum(&input.attrs)?;
    let integers =
        attributes.integers || data.variants.iter().any(|variant| variant.discriminant.is_some());
    let values = values(data, &attributes)?;
    let name = name_of(attributes.rename.as_ref(), &input.ident, None)?;
    Ok(implement(&input.ident, &name, &values, integers))
}

fn values<'a>(data: &'a DataEnum, attributes: &ItemAttributes) -> syn::Result<Vec<Value<'a>>> {
    let mut mistakes = Mistakes::default();
    let mut values = Vec::new();
    let mut seen: HashMap<String, &Ident> = HashMap::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let message = "a value of an enumeration carries no fields; \
                           a choice of models is a supermodel with submodels";
            mistakes.note::<()>(Err(Error::new_spanned(variant, message)));
            continue;
        }
        let Some(of_variant) = mistakes.note(VariantAttributes::of(&variant.attrs)) else {
            continue;
        };
        let name = name_of(of_variant.rename.as_ref(), &variant.ident, attributes.rename_all);
        let Some(name) = mistakes.note(name) else { continue };
        if let Some(other) = seen.insert(name.clone(), &variant.ident) {
            let message =
                format!("the variants `{other}` and `{}` are both \"{name}\"", variant.ident);
            mistakes.note::<()>(Err(Error::new_spanned(variant, message)));
        }
        values.push(Value { variant: &variant.ident, name, default: of_variant.default });
    }
    mistakes.none_or(values)
}

fn implement(ident: &Ident, name: &str, values: &[Value<'_>], integers: bool) -> TokenStream {
    let variants: Vec<_> = values.iter().map(|value| value.variant).collect();
    let names = values.iter().map(|value| &value.name);
    let indices = 0..values.len();
    let places = indices.clone();
    let table = if integers {
        quote!(Integers(&[#((#names, #ident::#variants as i64)),*]))
    } else {
        quote!(Strings(&[#(#names),*]))
    };
    let unset = values.iter().find(|value| value.default).unwrap_or(&values[0]).variant;
    quote! {
        #[automatically_derived]
        impl ::jetstream::typed::Enumeration for #ident {
            const NAME: &'static str = #name;
            const VALUES: ::jetstream::typed::EnumerationTable =
                ::jetstream::typed::EnumerationTable::#table;

            fn index(&self) -> usize {
                match self {
                    #(Self::#variants => #indices,)*
                }
            }

            fn from_index(index: usize) -> ::std::option::Option<Self> {
                match index {
                    #(#places => ::std::option::Option::Some(Self::#variants),)*
                    _ => ::std::option::Option::None,
                }
            }
        }

        #[automatically_derived]
        impl ::jetstream::typed::Element for #ident {
            type Family = ::jetstream::typed::PlainFamily;
        }

        #[automatically_derived]
        impl ::jetstream::typed::Plain for #ident {
            type Borrowed<'a> = Self;

            fn type_name() -> &'static str {
                #name
            }

            fn define_types(schema: &mut ::jetstream::core::model::SchemaBuilder) {
                let values =
                    <Self as ::jetstream::typed::Enumeration>::VALUES.to_values();
                schema.add_enumeration(#name, values);
            }

            fn unset() -> Self {
                Self::#unset
            }

            fn borrow_unset<'a>() -> Self::Borrowed<'a> {
                Self::#unset
            }

            fn borrow(
                scalar: &::jetstream::core::model::Scalar,
                _: impl ::std::ops::FnOnce(::std::string::String) -> ::jetstream::typed::ReadError,
            ) -> Self {
                ::jetstream::typed::enumeration_value(scalar)
            }

            fn from_scalar(
                scalar: &::jetstream::core::model::Scalar,
            ) -> ::std::result::Result<Self, ::std::string::String> {
                ::std::result::Result::Ok(::jetstream::typed::enumeration_value(scalar))
            }

            fn to_scalar(
                self,
            ) -> ::std::result::Result<::jetstream::core::model::Scalar, ::std::string::String> {
                ::std::result::Result::Ok(::jetstream::typed::enumeration_scalar(&self))
            }
        }
    }
}

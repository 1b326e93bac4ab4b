//! The enum that names the properties of a model, for streams of changes.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use crate::model::{Base, ModelItem};
use crate::names::{Case, plain};

pub(crate) fn expand(item: &ModelItem) -> TokenStream {
    let ModelItem { visibility, ident, .. } = item;
    let enumeration = item.property_ident();
    let doc = format!("The properties of [`{ident}`], as a change names them.");
    let variants: Vec<Ident> = item.properties.iter().map(|p| variant(&p.field)).collect();
    let names: Vec<&String> = item.properties.iter().map(|p| &p.name).collect();
    let variant_docs = names.iter().map(|name| format!("`{name}`."));
    let base = item.base.as_ref().map(|Base { field, ty }| (variant(field), ty));
    let (base_variant, base_name, base_find) = match &base {
        Some((variant, ty)) => (
            quote! {
                /// A property of the supermodel.
                #variant(<#ty as ::jetstream::typed::Model>::Property),
            },
            quote!(Self::#variant(inherited) => ::jetstream::typed::ModelProperty::name(&inherited),),
            quote! {
                if let ::std::option::Option::Some(inherited) =
                    <<#ty as ::jetstream::typed::Model>::Property as
                        ::jetstream::typed::ModelProperty>::find(name)
                {
                    return ::std::option::Option::Some(Self::#variant(inherited));
                }
            },
        ),
        None => (quote!(), quote!(), quote!()),
    };
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #visibility enum #enumeration {
            #base_variant
            #(#[doc = #variant_docs] #variants,)*
        }

        #[automatically_derived]
        impl ::jetstream::typed::ModelProperty for #enumeration {
            fn name(&self) -> &'static str {
                match *self {
                    #(Self::#variants => #names,)*
                    #base_name
                }
            }

            fn find(name: &str) -> ::std::option::Option<Self> {
                #base_find
                match name {
                    #(#names => ::std::option::Option::Some(Self::#variants),)*
                    _ => ::std::option::Option::None,
                }
            }
        }
    }
}

fn variant(field: &Ident) -> Ident {
    format_ident!("{}", Case::Pascal.apply(&plain(field)))
}

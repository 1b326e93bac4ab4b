//! The types that read (`ShapeRef`) and change (`ShapeMut`) an object in place.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{GenericArgument, Ident, PathArguments, Type};

use crate::methods;
use crate::model::{Base, ModelItem, Property};
use crate::names::plain;

/// `ShapeRef<'a>`: reads an object without copying it.
pub(crate) fn reference(item: &ModelItem) -> TokenStream {
    let ModelItem { visibility, ident, name, .. } = item;
    let reference = item.reference_ident();
    let doc = format!("Reads a `{name}` of a scope in place, without copying it: [`{ident}`].");
    let getters = getters(item, &quote!('a), &quote!(::jetstream::typed::ModelRef::object(self)));
    let inherent = methods::of_reference(item);
    let parts = Parts::of(item, &quote!(Ref), &quote!(::jetstream::typed::Object<'a>));
    let Parts { field, ty, wrap, unwrap, .. } = &parts;
    let deref = parts.deref(&reference);
    let base_getter = item.base.as_ref().map(|Base { field, ty }| {
        quote! {
            /// The same object as its supermodel.
            #visibility fn #field(&self) -> <#ty as ::jetstream::typed::Model>::Ref<'a> {
                self.base
            }
        }
    });
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy)]
        #visibility struct #reference<'a> {
            #field: #ty,
        }

        #[automatically_derived]
        impl<'a> ::jetstream::typed::ModelRef<'a> for #reference<'a> {
            type Model = #ident;

            fn from_object(object: ::jetstream::typed::Object<'a>) -> Self {
                Self { #field: #wrap }
            }

            fn object(&self) -> ::jetstream::typed::Object<'a> {
                #unwrap
            }
        }

        #[automatically_derived]
        impl ::std::fmt::Debug for #reference<'_> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&::jetstream::typed::ModelRef::object(self), f)
            }
        }
        #deref

        #[allow(dead_code)]
        impl<'a> #reference<'a> {
            #base_getter
            #getters
            #inherent
        }
    }
}

/// `ShapeMut<'a>`: reads and changes an object within a transaction.
pub(crate) fn mutable(item: &ModelItem) -> TokenStream {
    let ModelItem { visibility, ident, name, .. } = item;
    let mutable = item.mutable_ident();
    let doc = format!("Reads and changes a `{name}` of a scope within a transaction: [`{ident}`].");
    let object = quote!(::jetstream::typed::ModelMut::object(self));
    let getters = getters(item, &quote!('_), &object);
    let setters: TokenStream =
        (0..item.properties.len()).map(|index| setter(item, index)).collect();
    let inherent = methods::of_mutable(item);
    let parts = Parts::of(item, &quote!(Mut), &quote!(::jetstream::typed::ObjectMut<'a>));
    let Parts { field, ty, wrap, unwrap, unwrap_mut } = &parts;
    let deref = parts.deref(&mutable);
    let deref_mut = parts.deref_mut(&mutable);
    let base_getters = item.base.as_ref().map(|Base { field, ty }| {
        let field_mut = format_ident!("{}_mut", plain(field));
        quote! {
            /// The same object as its supermodel.
            #visibility fn #field(&self) -> <#ty as ::jetstream::typed::Model>::Ref<'_> {
                ::jetstream::typed::ModelRef::from_object(#object)
            }

            /// The same object as its supermodel, to change it.
            #visibility fn #field_mut(
                &mut self,
            ) -> &mut <#ty as ::jetstream::typed::Model>::Mut<'a> {
                &mut self.base
            }
        }
    });
    quote! {
        #[doc = #doc]
        #visibility struct #mutable<'a> {
            #field: #ty,
        }

        #[automatically_derived]
        impl<'a> ::jetstream::typed::ModelMut<'a> for #mutable<'a> {
            type Model = #ident;

            fn from_object(object: ::jetstream::typed::ObjectMut<'a>) -> Self {
                Self { #field: #wrap }
            }

            fn object(&self) -> ::jetstream::typed::Object<'_> {
                #unwrap
            }

            fn object_mut(&mut self) -> ::jetstream::typed::ObjectMut<'_> {
                #unwrap_mut
            }
        }

        #[automatically_derived]
        impl ::std::fmt::Debug for #mutable<'_> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&::jetstream::typed::ModelMut::object(self), f)
            }
        }
        #deref
        #deref_mut

        #[allow(dead_code)]
        impl<'a> #mutable<'a> {
            #base_getters
            #getters
            #setters
            #inherent
        }
    }
}

/// How an accessor holds its object: itself, or through the accessor of the supermodel.
struct Parts {
    field: Ident,
    ty: TokenStream,
    wrap: TokenStream,
    unwrap: TokenStream,
    unwrap_mut: TokenStream,
}

impl Parts {
    /// `kind` is `Ref` or `Mut`, `object` the untyped object below.
    fn of(item: &ModelItem, kind: &TokenStream, object: &TokenStream) -> Self {
        let accessor = format_ident!("Model{}", kind.to_string());
        match &item.base {
            Some(Base { ty, .. }) => Self {
                field: format_ident!("base"),
                ty: quote!(<#ty as ::jetstream::typed::Model>::#kind<'a>),
                wrap: quote!(::jetstream::typed::#accessor::from_object(object)),
                unwrap: quote!(::jetstream::typed::#accessor::object(&self.base)),
                unwrap_mut: quote!(::jetstream::typed::#accessor::object_mut(&mut self.base)),
            },
            None => Self {
                field: format_ident!("object"),
                ty: object.clone(),
                wrap: quote!(object),
                unwrap: quote!(self.object.as_object()),
                unwrap_mut: quote!(self.object.reborrow()),
            },
        }
    }

    /// The supermodel's accessors, as if they were the submodel's own.
    fn deref(&self, accessor: &Ident) -> TokenStream {
        if self.field != "base" {
            return TokenStream::new();
        }
        let ty = &self.ty;
        quote! {
            #[automatically_derived]
            impl<'a> ::std::ops::Deref for #accessor<'a> {
                type Target = #ty;

                fn deref(&self) -> &Self::Target {
                    &self.base
                }
            }
        }
    }

    fn deref_mut(&self, accessor: &Ident) -> TokenStream {
        if self.field != "base" {
            return TokenStream::new();
        }
        quote! {
            #[automatically_derived]
            impl<'a> ::std::ops::DerefMut for #accessor<'a> {
                fn deref_mut(&mut self) -> &mut Self::Target {
                    &mut self.base
                }
            }
        }
    }
}

fn getters(item: &ModelItem, lifetime: &TokenStream, object: &TokenStream) -> TokenStream {
    let visibility = &item.visibility;
    let getters = item.properties.iter().enumerate().map(|(index, property)| {
        let Property { field, docs, .. } = property;
        let (as_field, key) = (property.as_field(), item.key(index));
        let returns = returned(property, lifetime);
        let doc = (docs.is_empty())
            .then(|| format!("The property `{}`.", property.name))
            .map(|doc| quote!(#[doc = #doc]));
        quote! {
            #(#docs)*
            #doc
            #visibility fn #field(&self) -> #returns {
                #as_field::get(#object, #key)
            }
        }
    });
    getters.collect()
}

/// What a getter returns; written out for the most common types, so that editors show it readably.
fn returned(property: &Property, lifetime: &TokenStream) -> TokenStream {
    let ty = &property.ty;
    if is_named(ty, "String") {
        quote!(& #lifetime str)
    } else if is_named(ty, "f64") || is_named(ty, "bool") {
        quote!(#ty)
    } else {
        let field = property.as_field();
        quote!(#field::Get<#lifetime>)
    }
}

fn setter(item: &ModelItem, index: usize) -> TokenStream {
    let property = &item.properties[index];
    let Property { field, ty, name, .. } = property;
    let as_field = property.as_field();
    let visibility = &item.visibility;
    let key = item.key(index);
    let set = format_ident!("set_{}", plain(field));
    let set_doc = format!("Sets the property `{name}`.");
    let assign = quote! {
        ::jetstream::typed::Assign::<#as_field::Kind>::assign(
            value,
            &mut ::jetstream::typed::ModelMut::object_mut(self),
            #key,
        )
    };
    let set = match argument(ty) {
        Some(argument) => quote! {
            #[doc = #set_doc]
            #visibility fn #set(&mut self, value: #argument) {
                #assign
            }
        },
        None => quote! {
            #[doc = #set_doc]
            #visibility fn #set<V>(&mut self, value: V) -> V::Output
            where
                V: ::jetstream::typed::Assign<#as_field::Kind>,
            {
                #assign
            }
        },
    };
    // Only an `Option` or a `Vec` can hold objects; everything else is set as a whole.
    let never_objects = inner(ty, "Vec").is_none() && inner(ty, "Option").is_none_or(is_plain);
    if never_objects {
        return set;
    }
    let edit = format_ident!("{}_mut", plain(field));
    let edit_doc = format!("What the property `{name}` holds, to change it.");
    quote! {
        #set

        #[doc = #edit_doc]
        #visibility fn #edit(&mut self) -> #as_field::Edit<'_> {
            #as_field::edit(
                ::jetstream::typed::ModelMut::object_mut(self),
                #key,
            )
        }
    }
}

/// What a setter takes, where it is known to be a plain value: written out, so that literals find
/// their type.
fn argument(ty: &Type) -> Option<TokenStream> {
    if let Some(element) = inner(ty, "Vec") {
        let exact = is_plain(element) && !is_named(element, "String");
        return exact.then(|| quote!(impl ::std::iter::IntoIterator<Item = #element>));
    }
    match inner(ty, "Option") {
        Some(target) if !is_plain(target) => None,
        None if !is_named(ty, "String") => Some(quote!(#ty)),
        _ => Some(quote!(impl ::std::convert::Into<#ty>)),
    }
}

/// Whether the type is written as a plain one; enumerations and dates look like models from here.
fn is_plain(ty: &Type) -> bool {
    // Only names that nobody gives to a model of their own.
    is_integer(ty) || ["String", "f64", "f32", "bool"].iter().any(|name| is_named(ty, name))
}

pub(crate) fn is_integer(ty: &Type) -> bool {
    ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"].iter().any(|name| is_named(ty, name))
}

/// Whether the last part of the type's path is this name, without parameters.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == name && last.arguments.is_none())
}

/// The `T` of `wrapper<T>`.
fn inner<'t>(ty: &'t Type, wrapper: &str) -> Option<&'t Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == wrapper)?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

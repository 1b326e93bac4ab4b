//! The methods that accessors have whatever the properties are: `id`, `find` and the like.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::ModelItem;
use crate::names::plain;

/// A method, and its name.
type Method = (&'static str, TokenStream);

/// Of `ShapeRef`.
pub(crate) fn of_reference(item: &ModelItem) -> TokenStream {
    let object = quote!(::jetstream::typed::ModelRef::object(self));
    let (receiver, found) = (quote!(&self), quote!(M::Ref<'a>));
    let mut methods = of_both(item, &object);
    methods.extend(of_objects(item, &receiver, &object, &found));
    without_fields(item, methods)
}

/// Of `ShapeMut`.
pub(crate) fn of_mutable(item: &ModelItem) -> TokenStream {
    let object_mut = quote!(::jetstream::typed::ModelMut::object_mut(self));
    let (receiver, found) = (quote!(&mut self), quote!(M::Mut<'_>));
    let mut methods = of_both(item, &quote!(::jetstream::typed::ModelMut::object(self)));
    methods.extend(of_objects(item, &receiver, &object_mut, &found));
    let visibility = &item.visibility;
    methods.push((
        "delete",
        quote! {
            /// Takes an object out of every property that holds it. `false` if there is no such object, or
            /// if it is the root, which stays.
            #visibility fn delete<M: ::jetstream::typed::Model>(
                &mut self,
                id: ::jetstream::typed::Id<M>,
            ) -> bool {
                #object_mut.delete(id)
            }
        },
    ));
    without_fields(item, methods)
}

fn of_both(item: &ModelItem, object: &TokenStream) -> Vec<Method> {
    let ModelItem { visibility, ident, .. } = item;
    let id = quote! {
        /// Names the object, in this scope and on every client.
        #visibility fn id(&self) -> ::jetstream::typed::Id<#ident> {
            ::jetstream::typed::Id::new(#object.id())
        }
    };
    let to_owned = quote! {
        /// Copies the object, and all that it holds, into a value of its own.
        ///
        /// # Errors
        ///
        /// What the value's type cannot hold: see `jetstream::typed::ReadError`.
        #visibility fn to_owned(
            &self,
        ) -> ::std::result::Result<#ident, ::jetstream::typed::ReadError> {
            #object.read()
        }
    };
    vec![("id", id), ("to_owned", to_owned)]
}

/// The methods that lead from one object to another.
fn of_objects(
    item: &ModelItem,
    receiver: &TokenStream,
    object: &TokenStream,
    found: &TokenStream,
) -> [Method; 2] {
    let visibility = &item.visibility;
    let cast = quote! {
        /// The same object as another model: a submodel that it is of, or a supermodel.
        #visibility fn cast<M: ::jetstream::typed::Model>(
            #receiver,
        ) -> ::std::option::Option<#found> {
            #object.cast::<M>()
        }
    };
    let find = quote! {
        /// An object anywhere in the scope.
        #visibility fn find<M: ::jetstream::typed::Model>(
            #receiver,
            id: ::jetstream::typed::Id<M>,
        ) -> ::std::option::Option<#found> {
            #object.find(id)
        }
    };
    [("cast", cast), ("find", find)]
}

/// The methods whose names no field has: a field's accessor is what its name stands for.
fn without_fields(item: &ModelItem, methods: Vec<Method>) -> TokenStream {
    let taken = |name: &str| item.properties.iter().any(|p| plain(&p.field) == name);
    methods.into_iter().filter(|(name, _)| !taken(name)).map(|(_, method)| method).collect()
}

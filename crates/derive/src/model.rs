//! A struct as a model: checks it and implements `Model`.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DataStruct, DeriveInput, Error, Expr, Fields, Ident, LitStr, Path, Type, Visibility};

use crate::attributes::{FieldAttributes, ItemAttributes};
use crate::names::{Case, plain};
use crate::{accessors, properties};

/// What is known about a struct, for all that is generated from it.
pub(crate) struct ModelItem {
    pub(crate) visibility: Visibility,
    pub(crate) ident: Ident,
    /// The name in the schema.
    pub(crate) name: String,
    /// The field that holds the supermodel's properties.
    pub(crate) base: Option<Base>,
    /// The model's own properties, in order.
    pub(crate) properties: Vec<Property>,
    submodels: Vec<Path>,
    of_session: bool,
    no_default: bool,
}

pub(crate) struct Base {
    pub(crate) field: Ident,
    pub(crate) ty: Type,
}

pub(crate) struct Property {
    pub(crate) field: Ident,
    pub(crate) ty: Type,
    /// The name on the wire.
    pub(crate) name: String,
    /// The doc comment of the field, handed on to its accessor.
    pub(crate) docs: Vec<syn::Attribute>,
    default: Option<Expr>,
}

impl Property {
    /// The field's type as a `Field`, placed where the type is written, so that the compiler points there
    /// if it is none.
    pub(crate) fn as_field(&self) -> TokenStream {
        let ty = &self.ty;
        quote_spanned!(ty.span().resolved_at(Span::call_site())=>
            <#ty as ::jetstream::typed::Field>
        )
    }
}

pub(crate) fn expand(input: &DeriveInput, data: &DataStruct) -> syn::Result<TokenStream> {
    let item = ModelItem::read(input, data)?;
    let parts = [
        item.implement_model(),
        item.implement_default(),
        item.implement_elements(),
        accessors::reference(&item),
        accessors::mutable(&item),
        properties::expand(&item),
    ];
    Ok(parts.into_iter().collect())
}

impl ModelItem {
    fn read(input: &DeriveInput, data: &DataStruct) -> syn::Result<Self> {
        if !input.generics.params.is_empty() {
            let message =
                "a model has no type parameters: its name stands for one set of properties";
            return Err(Error::new_spanned(&input.generics, message));
        }
        let Fields::Named(fields) = &data.fields else {
            let message = "a model is a struct with named fields: their names are the properties";
            return Err(Error::new_spanned(&input.ident, message));
        };
        let attributes = ItemAttributes::of_struct(&input.attrs)?;
        let mut item = Self {
            visibility: input.vis.clone(),
            ident: input.ident.clone(),
            name: name_of(attributes.rename.as_ref(), &input.ident, None)?,
            base: None,
            properties: Vec::new(),
            submodels: attributes.submodels,
            of_session: attributes.of_session,
            no_default: attributes.no_default,
        };
        let mut mistakes = Mistakes::default();
        for field in &fields.named {
            mistakes.note(item.read_field(field, attributes.rename_all));
        }
        mistakes.note(item.check_names());
        mistakes.none_or(item)
    }

    fn read_field(&mut self, field: &syn::Field, case: Option<Case>) -> syn::Result<()> {
        let attributes = FieldAttributes::of(&field.attrs)?;
        let ident = field.ident.clone().expect("the fields are named");
        if attributes.extends {
            if attributes.rename.is_some() || attributes.default.is_some() {
                let message =
                    "the field of a supermodel is no property: it has no name and no default";
                return Err(Error::new_spanned(field, message));
            }
            if self.base.is_some() {
                return Err(Error::new_spanned(field, "a model extends one other model at most"));
            }
            if !self.properties.is_empty() {
                let message =
                    "the supermodel stands before the model's own properties, as on the wire";
                return Err(Error::new_spanned(field, message));
            }
            self.base = Some(Base { field: ident, ty: field.ty.clone() });
            return Ok(());
        }
        let docs = field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        self.properties.push(Property {
            name: name_of(attributes.rename.as_ref(), &ident, case)?,
            field: ident,
            ty: field.ty.clone(),
            docs: docs.cloned().collect(),
            default: attributes.default,
        });
        Ok(())
    }

    fn check_names(&self) -> syn::Result<()> {
        let mut seen: HashMap<&str, &Ident> = HashMap::new();
        for property in &self.properties {
            if let Some(other) = seen.insert(&property.name, &property.field) {
                let message = format!(
                    "the fields `{other}` and `{}` are both the property \"{}\"",
                    property.field, property.name
                );
                return Err(Error::new_spanned(&property.field, message));
            }
        }
        Ok(())
    }

    /// How many properties are inherited, as an expression.
    pub(crate) fn inherited(&self) -> TokenStream {
        match &self.base {
            Some(Base { ty, .. }) => {
                quote!(<#ty as ::jetstream::typed::Model>::PROPERTY_COUNT)
            }
            None => quote!(0usize),
        }
    }

    /// The `Key` of a property, as an expression.
    pub(crate) fn key(&self, index: usize) -> TokenStream {
        let name = &self.properties[index].name;
        let inherited = self.inherited();
        quote!(::jetstream::typed::Key { name: #name, index: #inherited + #index })
    }

    pub(crate) fn reference_ident(&self) -> Ident {
        format_ident!("{}Ref", plain(&self.ident))
    }

    pub(crate) fn mutable_ident(&self) -> Ident {
        format_ident!("{}Mut", plain(&self.ident))
    }

    pub(crate) fn property_ident(&self) -> Ident {
        format_ident!("{}Property", plain(&self.ident))
    }

    fn implement_model(&self) -> TokenStream {
        let Self { ident, name, .. } = self;
        let (reference, mutable) = (self.reference_ident(), self.mutable_ident());
        let property = self.property_ident();
        let inherited = self.inherited();
        let count = self.properties.len();
        let define = self.define();
        let (write, read) = (self.write(), self.read_back());
        quote! {
            #[automatically_derived]
            impl ::jetstream::typed::Model for #ident {
                const NAME: &'static str = #name;
                const PROPERTY_COUNT: usize = #inherited + #count;
                type Ref<'a> = #reference<'a>;
                type Mut<'a> = #mutable<'a>;
                type Property = #property;

                fn schema() -> ::std::sync::Arc<::jetstream::core::model::Schema> {
                    static SCHEMA: ::std::sync::OnceLock<
                        ::std::sync::Arc<::jetstream::core::model::Schema>,
                    > = ::std::sync::OnceLock::new();
                    SCHEMA.get_or_init(::jetstream::typed::schema_of::<Self>).clone()
                }
                #define
                #write
                #read
            }
        }
    }

    fn define(&self) -> TokenStream {
        let name = &self.name;
        let extends = self
            .base
            .as_ref()
            .map(|Base { ty, .. }| quote!(.extends(<#ty as ::jetstream::typed::Model>::NAME)));
        let properties = self.properties.iter().map(|property| {
            let Property { ty, name, default, .. } = property;
            let field = property.as_field();
            let default = match default {
                Some(default) => {
                    let value = default_value(ty, default);
                    quote_spanned!(default.span().resolved_at(Span::call_site())=>
                        <#ty as ::jetstream::typed::SingleField>::default_scalar(#value)
                    )
                }
                None => quote!(::std::option::Option::None),
            };
            quote! {
                .define(::jetstream::core::model::schema::PropertyDefinition {
                    name: ::std::string::String::from(#name),
                    kind: #field::type_name(),
                    default: #default,
                })
            }
        });
        let fields = self.properties.iter().map(Property::as_field);
        let models = self.base.iter().map(|base| {
            let ty = &base.ty;
            quote!(#ty)
        });
        let models = models.chain(self.submodels.iter().map(|path| quote!(#path)));
        let submodels = self.submodels.iter();
        let ident = &self.ident;
        let lifetime = self
            .of_session
            .then(|| quote!(.lifetime(::jetstream::core::model::schema::Lifetime::Session)));
        quote! {
            fn define(schema: &mut ::jetstream::core::model::SchemaBuilder) {
                #(::jetstream::typed::check_submodel::<#submodels, #ident>();)*
                let model = <::jetstream::core::model::schema::ModelBuilder as
                    ::std::default::Default>::default() #extends #lifetime #(#properties)*;
                if schema.add_model(#name, model) {
                    #(#fields::define_types(schema);)*
                    #(<#models as ::jetstream::typed::Model>::define(schema);)*
                }
            }
        }
    }

    fn write(&self) -> TokenStream {
        let base = self.base.as_ref().map(
            |Base { field, .. }| quote!(::jetstream::typed::Model::write(self.#field, object);),
        );
        let properties = self.properties.iter().enumerate().map(|(index, property)| {
            let (name, field, key) = (&property.field, property.as_field(), self.key(index));
            quote!(#field::write(self.#name, object, #key);)
        });
        quote! {
            fn write(self, object: &mut ::jetstream::typed::NewObject<'_, '_>) {
                let _ = &object;
                #base
                #(#properties)*
            }
        }
    }

    fn read_back(&self) -> TokenStream {
        let base = self.base.as_ref().map(
            |Base { field, .. }| quote!(#field: ::jetstream::typed::Model::read(object, copy)?,),
        );
        let properties = self.properties.iter().enumerate().map(|(index, property)| {
            let (name, field, key) = (&property.field, property.as_field(), self.key(index));
            quote!(#name: #field::read(object, #key, copy)?,)
        });
        quote! {
            fn read(
                object: ::jetstream::typed::Object<'_>,
                copy: &mut ::jetstream::typed::Copying,
            ) -> ::std::result::Result<Self, ::jetstream::typed::ReadError> {
                let _ = (&object, &copy);
                ::std::result::Result::Ok(Self { #base #(#properties)* })
            }
        }
    }

    fn implement_default(&self) -> TokenStream {
        if self.no_default {
            return TokenStream::new();
        }
        let ident = &self.ident;
        let base = self
            .base
            .as_ref()
            .map(|Base { field, ty }| quote!(#field: <#ty as ::std::default::Default>::default(),));
        let properties = self.properties.iter().map(|property| {
            let (name, field) = (&property.field, property.as_field());
            let value = match &property.default {
                Some(default) => default_value(&property.ty, default),
                None => quote!(#field::initial()),
            };
            quote!(#name: #value,)
        });
        quote! {
            /// What a new object has: the defaults of the model, otherwise nothing.
            #[automatically_derived]
            impl ::std::default::Default for #ident {
                fn default() -> Self {
                    Self { #base #(#properties)* }
                }
            }
        }
    }

    fn implement_elements(&self) -> TokenStream {
        let ident = &self.ident;
        let ancestors = self.base.as_ref().map(|Base { ty, .. }| {
            quote! {
                #[automatically_derived]
                impl<M> ::jetstream::typed::Extends<M> for #ident
                where
                    M: ::jetstream::typed::Model,
                    #ty: ::jetstream::typed::Extends<M>,
                {
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl ::jetstream::typed::Element for #ident {
                type Family = ::jetstream::typed::ModelFamily;
            }
            #[automatically_derived]
            impl ::jetstream::typed::Held for #ident {
                type Model = Self;

                fn read_held(
                    object: ::jetstream::typed::Object<'_>,
                    copy: &mut ::jetstream::typed::Copying,
                ) -> ::std::result::Result<Self, ::jetstream::typed::ReadError> {
                    copy.read(object)
                }

                fn write_held(
                    self,
                    object: &mut ::jetstream::typed::NewObject<'_, '_>,
                ) -> ::jetstream::core::ids::ObjectId {
                    object.create(self)
                }
            }
            #[automatically_derived]
            impl ::jetstream::typed::Extends<#ident> for #ident {}
            #ancestors
        }
    }
}

/// The default as a value of the field's type.
///
/// An integer literal must not go through `Into`: it would become an `i32` first.
fn default_value(ty: &Type, default: &Expr) -> TokenStream {
    if accessors::is_integer(ty) || accessors::is_named(ty, "bool") {
        quote!({ let value: #ty = #default; value })
    } else {
        quote_spanned!(default.span().resolved_at(Span::call_site())=>
            <_ as ::std::convert::Into<#ty>>::into(#default)
        )
    }
}

pub(crate) fn name_of(
    rename: Option<&LitStr>,
    ident: &Ident,
    case: Option<Case>,
) -> syn::Result<String> {
    let Some(rename) = rename else {
        let name = plain(ident);
        return Ok(case.map_or_else(|| name.clone(), |case| case.apply(&name)));
    };
    if rename.value().is_empty() {
        return Err(Error::new_spanned(rename, "a name may not be empty"));
    }
    Ok(rename.value())
}

/// Collects errors, so that all are reported at once.
#[derive(Default)]
pub(crate) struct Mistakes(Option<Error>);

impl Mistakes {
    pub(crate) fn note<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        match (result, &mut self.0) {
            (Ok(value), _) => return Some(value),
            (Err(error), Some(others)) => others.combine(error),
            (Err(error), none) => *none = Some(error),
        }
        None
    }

    pub(crate) fn none_or<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

//! What `#[model(…)]` says on a struct, an enum, a field or a variant.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, LitStr, Path, Token};

use crate::names::Case;

/// `#[model(…)]` on a struct or an enum.
#[derive(Default)]
pub(crate) struct ItemAttributes {
    /// `rename = "…"`: the name in the schema.
    pub(crate) rename: Option<LitStr>,
    /// `rename_all = "camelCase"`: how properties or values are spelled.
    pub(crate) rename_all: Option<Case>,
    /// `submodels(Cook, Waiter)`: models that no property mentions but that objects may have.
    pub(crate) submodels: Vec<Path>,
    /// `lifetime = "session"`: objects leave with the session that added them.
    pub(crate) of_session: bool,
    /// `no_default`: the application implements `Default` itself, or does without.
    pub(crate) no_default: bool,
    /// `integers`: the values of the enumeration are the discriminants.
    pub(crate) integers: bool,
}

/// `#[model(…)]` on a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    /// `rename = "…"`: the name of the property.
    pub(crate) rename: Option<LitStr>,
    /// `default = …`: what a new object has.
    pub(crate) default: Option<Expr>,
    /// `extends`: the field holds the supermodel's properties.
    pub(crate) extends: bool,
}

/// `#[model(…)]` and `#[default]` on a variant.
#[derive(Default)]
pub(crate) struct VariantAttributes {
    /// `rename = "…"`: the value on the wire, or the name of the integer.
    pub(crate) rename: Option<LitStr>,
    /// `#[default]`: what an unset property reads as.
    pub(crate) default: bool,
}

impl ItemAttributes {
    /// Of a struct.
    pub(crate) fn of_struct(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| match name(meta).as_str() {
            "rename" => set_rename(&mut found.rename, meta),
            "rename_all" => found.set_rename_all(meta),
            "lifetime" => found.set_lifetime(meta),
            "no_default" => {
                found.no_default = true;
                Ok(())
            }
            "submodels" => meta.parse_nested_meta(|submodel| {
                found.submodels.push(submodel.path);
                Ok(())
            }),
            _ => Err(unknown(meta, "rename, rename_all, submodels, lifetime, no_default")),
        })?;
        Ok(found)
    }

    /// Of an enum.
    pub(crate) fn of_enum(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| match name(meta).as_str() {
            "rename" => set_rename(&mut found.rename, meta),
            "rename_all" => found.set_rename_all(meta),
            "integers" => {
                found.integers = true;
                Ok(())
            }
            _ => Err(unknown(meta, "rename, rename_all, integers")),
        })?;
        Ok(found)
    }

    fn set_lifetime(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let lifetime: LitStr = meta.value()?.parse()?;
        self.of_session = match lifetime.value().as_str() {
            "session" => true,
            "scope" => false,
            _ => {
                return Err(Error::new_spanned(lifetime, "a lifetime is \"scope\" or \"session\""));
            }
        };
        Ok(())
    }

    fn set_rename_all(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        self.rename_all = Some(Case::parse(&meta.value()?.parse()?)?);
        Ok(())
    }
}

impl FieldAttributes {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| match name(meta).as_str() {
            "rename" => set_rename(&mut found.rename, meta),
            "default" => {
                found.default = Some(meta.value()?.parse()?);
                Ok(())
            }
            "extends" => {
                found.extends = true;
                Ok(())
            }
            _ => Err(unknown(meta, "rename, default, extends")),
        })?;
        Ok(found)
    }
}

impl VariantAttributes {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| match name(meta).as_str() {
            "rename" => set_rename(&mut found.rename, meta),
            _ => Err(unknown(meta, "rename")),
        })?;
        found.default = attributes.iter().any(|attribute| attribute.path().is_ident("default"));
        Ok(found)
    }
}

/// Hands every entry of every `#[model(…)]` to `read`.
fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("model")) {
        attribute.parse_nested_meta(|meta| read(&meta))?;
    }
    Ok(())
}

fn name(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(ToString::to_string).unwrap_or_default()
}

fn unknown(meta: &ParseNestedMeta<'_>, allowed: &str) -> Error {
    // What follows the unknown word would otherwise be reported instead of the word itself.
    if meta.input.peek(Token![=])
        && let Ok(value) = meta.value()
    {
        let _ = value.parse::<Expr>();
    }
    Error::new_spanned(&meta.path, format!("no such attribute here; there are {allowed}"))
}

fn set_rename(rename: &mut Option<LitStr>, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    *rename = Some(meta.value()?.parse()?);
    Ok(())
}

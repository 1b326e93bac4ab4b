//! The trait that `#[derive(Model)]` implements.

use std::fmt;
use std::sync::Arc;

use jetstream_core::model::{Schema, SchemaBuilder};

use crate::{Copying, Element, Held, NewObject, Object, ObjectMut, ReadError};

/// A Rust struct as a model of a schema. Derived with `#[derive(Model)]`; the same derive makes an enum an
/// enumeration.
///
/// ```
/// use jetstream::{Id, Model};
///
/// #[derive(Model)]
/// struct Shape {
///     x: f64,
///     y: f64,
///     #[model(default = 100)]
///     width: f64,
///     color: Option<Color>,
///     owner: Option<Id<User>>,
/// }
///
/// #[derive(Model)]
/// #[model(rename_all = "lowercase")]
/// enum Color { Red, Green, Blue }
///
/// #[derive(Model)]
/// #[model(rename_all = "camelCase")]
/// struct User { user_name: String }
///
/// #[derive(Model)]
/// struct Canvas { name: String, shapes: Vec<Shape>, users: Vec<User> }
///
/// assert_eq!(Canvas::schema().models().len(), 3);
/// assert_eq!(Shape::default().width, 100.0);
/// ```
///
/// # Types of fields
///
/// | field | property | read in place as |
/// |---|---|---|
/// | `String` | `String` | `&str` |
/// | `f64`, `f32` | `Number` | itself; `f32` rounds |
/// | `i8` … `i64`, `u8` … `u64` | `Number` | `Result<i32, ReadError>`: a client may set what is no integer |
/// | `bool` | `Boolean` | itself |
/// | `Timestamp`, `SystemTime` | `Date` | itself |
/// | an enum with `#[derive(Model)]` | the enumeration | itself |
/// | `Option<T>` of any of these | the same | `Option`, `None` if unset |
/// | `Vec<T>` of any of these | a collection, `[Number]` | [`Values`](super::Values) |
/// | `Option<M>`, `Option<Box<M>>` | a reference to a model | `Option<MRef>` |
/// | `Option<Id<M>>` | the same; the value holds the object's [`Id`](super::Id) | `Option<MRef>` |
/// | `Vec<M>`, `Vec<Box<M>>`, `Vec<Id<M>>` | a collection of references, `[Shape]` | [`Objects`](super::Objects) |
///
/// Every property can be unset on the wire. A field without `Option` reads an unset property as the
/// property's default or, if it has none, as the type's: `""`, 0, `false`, 1970, the variant with
/// `#[default]` or else the first. A reference without `Option` does not exist.
///
/// # Attributes
///
/// | on | attribute | |
/// |---|---|---|
/// | a struct, an enum | `#[model(rename = "…")]` | the name in the schema; otherwise the type's |
/// | | `#[model(rename_all = "camelCase")]` | how properties or values are spelled; also `PascalCase`, `snake_case`, `kebab-case`, `lowercase`, `UPPERCASE`, `SCREAMING_SNAKE_CASE` |
/// | a struct | `#[model(submodels(Circle))]` | models that no property mentions, but that objects may have |
/// | | `#[model(no_default)]` | leaves `Default` to you |
/// | an enum | `#[model(integers)]` | the values are the discriminants; so they are if one is written out |
/// | a field | `#[model(rename = "…")]` | the property's name |
/// | | `#[model(default = …)]` | what a new object has, and `Default` gives |
/// | | `#[model(extends)]` | the first field: it holds the supermodel's properties |
/// | a variant | `#[model(rename = "…")]` | the value, or the name of the integer |
/// | | `#[default]` | what an unset property reads as |
///
/// # What is generated
///
/// Beside the struct `Shape`:
///
/// - `Default`: each property's default, so that a value made in Rust begins as an object that a client
///   makes. This is why `Default` cannot be derived as well; `no_default` is the way out.
/// - `ShapeRef<'_>`: a method for each property that reads it in place; also `id`, `to_owned`, `cast`,
///   `find`.
/// - `ShapeMut<'_>`: the same within a transaction, and for each property `x` a `set_x`; for an `Option` or
///   `Vec` that may hold objects an `x_mut`; also `delete`.
/// - `ShapeProperty`: an enum of the properties' names, for streams of changes.
///
/// A field that has the name of one of the other methods (`id`, say) takes its place; what the method
/// does is then reached through [`ModelRef::object`] and [`ModelMut::object_mut`].
///
/// With `#[model(extends)] person: Person`, the accessors of a `Cook` have those of a `Person` as if they
/// were their own, and [`Extends`] lets a `Cook` go wherever a `Person` does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no model",
    label = "no struct with `#[derive(Model)]`"
)]
pub trait Model: Element + Held<Model = Self> + Extends<Self> + Send {
    /// The name in the schema, `clsName` on the wire.
    const NAME: &'static str;
    /// How many properties it has, inherited ones included.
    #[doc(hidden)]
    const PROPERTY_COUNT: usize;
    /// Reads an object in place: `ShapeRef<'a>`.
    type Ref<'a>: ModelRef<'a, Model = Self>;
    /// Reads and changes an object within a transaction: `ShapeMut<'a>`.
    type Mut<'a>: ModelMut<'a, Model = Self>;
    /// Names the properties, in a stream of changes: `ShapeProperty`.
    type Property: ModelProperty;

    /// The schema of this model and of all that it refers to.
    ///
    /// Made once; two calls give the same `Arc`.
    ///
    /// # Panics
    ///
    /// If the models make no schema, because two of them have the same name, say. That is a mistake in
    /// the program; [`SchemaExt::with`](super::SchemaExt::with) and
    /// [`SchemaBuilder::build`] report it as an error.
    fn schema() -> Arc<Schema>;

    /// Adds the model, and all that it refers to, to a schema.
    #[doc(hidden)]
    fn define(schema: &mut SchemaBuilder);

    /// Gives all properties to a new object.
    #[doc(hidden)]
    fn write(self, object: &mut NewObject<'_, '_>);

    /// Copies all properties out.
    ///
    /// # Errors
    ///
    /// What the Rust types cannot hold.
    #[doc(hidden)]
    fn read(object: Object<'_>, copy: &mut Copying) -> Result<Self, ReadError>;
}

/// What all generated types that read an object have in common.
pub trait ModelRef<'a>: Copy + fmt::Debug {
    /// The model.
    type Model: Model<Ref<'a> = Self>;

    /// Reads `object`, which must be of the model or of a submodel.
    fn from_object(object: Object<'a>) -> Self;
    /// The object without its type.
    fn object(&self) -> Object<'a>;
}

/// What all generated types that change an object have in common.
pub trait ModelMut<'a>: fmt::Debug {
    /// The model.
    type Model: Model<Mut<'a> = Self>;

    /// Changes `object`, which must be of the model or of a submodel.
    fn from_object(object: ObjectMut<'a>) -> Self;
    /// The object as the transaction has it so far, without its type.
    fn object(&self) -> Object<'_>;
    /// The object to change, without its type.
    fn object_mut(&mut self) -> ObjectMut<'_>;
}

/// What all generated enums of properties have in common.
pub trait ModelProperty: Copy + fmt::Debug + PartialEq + Send + 'static {
    /// The property's name on the wire.
    fn name(&self) -> &'static str;
    /// The property with this name on the wire.
    fn find(name: &str) -> Option<Self>;
}

/// A model that is `M` or a submodel of it, at any distance: where an `M` is asked for, it will do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `{M}`, nor a submodel of it",
    label = "`{M}` is asked for here",
    note = "a submodel has a field `#[model(extends)]` of its supermodel's type"
)]
pub trait Extends<M> {}

/// Checks at compile time that `#[model(submodels(…))]` names submodels.
#[doc(hidden)]
pub const fn check_submodel<S: Model + Extends<M>, M: Model>() {}

/// Mistakes that the compiler finds; the derive's own are tested with it.
///
/// A reference can always be unset:
///
/// ```compile_fail,E0277
/// # use jetstream::Model;
/// #[derive(Model)] struct Shape { x: f64 }
/// #[derive(Model)] struct Canvas { shape: Shape }
/// ```
///
/// A type that is no model and no plain value:
///
/// ```compile_fail,E0277
/// # use jetstream::Model;
/// struct Shape { x: f64 }
/// #[derive(Model)] struct Canvas { shapes: Vec<Shape> }
/// ```
///
/// A default for a reference:
///
/// ```compile_fail,E0277
/// # use jetstream::Model;
/// #[derive(Model)] struct Shape { x: f64 }
/// #[derive(Model)] struct Canvas { #[model(default = Shape { x: 1.0 })] shape: Option<Shape> }
/// ```
///
/// A `Default` beside the one that is derived with the model:
///
/// ```compile_fail,E0119
/// # use jetstream::Model;
/// #[derive(Model, Default)] struct Shape { x: f64 }
/// ```
///
/// `submodels` with what is none:
///
/// ```compile_fail,E0277
/// # use jetstream::Model;
/// #[derive(Model)] struct Circle { x: f64 }
/// #[derive(Model)] #[model(submodels(Circle))] struct Shape { x: f64 }
/// ```
///
/// An object of another model in a collection, and an accessor kept beyond its transaction:
///
/// ```compile_fail,E0277
/// # use jetstream::{Model, Scope};
/// # #[derive(Model)] struct Shape { x: f64 }
/// # #[derive(Model)] struct Canvas { shapes: Vec<Shape> }
/// let scope = Scope::with_root("Canvas", Canvas::default());
/// let _ = scope.update(|canvas| canvas.shapes_mut().push(Canvas::default()));
/// ```
///
/// ```compile_fail
/// # use jetstream::{Model, Scope};
/// # #[derive(Model)] struct Shape { x: f64 }
/// # #[derive(Model)] struct Canvas { shapes: Vec<Shape> }
/// let scope = Scope::with_root("Canvas", Canvas::default());
/// let _ = scope.read(|canvas| canvas.shapes());
/// ```
#[cfg(doctest)]
struct Mistakes;

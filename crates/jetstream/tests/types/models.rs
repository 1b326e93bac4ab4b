// Printed by `jetstream types` from models.toml. Print it again instead of editing it.
// In a client, `jetstream_client` instead of `jetstream`.

use jetstream::Model;
use jetstream::core::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Model)]
pub enum Flavour {
    #[model(rename = "sweet")]
    Sweet,
    #[model(rename = "sour")]
    Sour,
    #[model(rename = "very-salty")]
    VerySalty,
    #[model(rename = "it's \"odd\"")]
    ItSOdd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Model)]
pub enum Heat {
    Off = 0,
    Low = 1,
    #[model(rename = "very high")]
    VeryHigh = -5,
}

#[derive(Debug, Clone, PartialEq, Model)]
pub struct Kitchen {
    #[model(default = "Ann's \"Kitchen\"")]
    pub title: String,
    #[model(rename = "isOpen", default = true)]
    pub is_open: bool,
    #[model(rename = "foundedAt", default = Timestamp(1000000000500))]
    pub founded_at: Timestamp,
    #[model(default = Flavour::Sour)]
    pub flavour: Flavour,
    #[model(default = Heat::Low)]
    pub heat: Heat,
    #[model(default = -2.5)]
    pub rating: f64,
    pub labels: Vec<String>,
    pub scores: Vec<f64>,
    pub switches: Vec<bool>,
    pub closures: Vec<Timestamp>,
    pub flavours: Vec<Flavour>,
    pub heats: Vec<Heat>,
    pub staff: Vec<Person>,
    pub chef: Option<Box<Chef>>,
    pub tree: Option<Box<Node>>,
    pub r#type: f64,
}

#[derive(Debug, Clone, PartialEq, Model)]
pub struct Chef {
    #[model(extends)]
    pub cook: Cook,
    pub stars: f64,
}

#[derive(Debug, Clone, PartialEq, Model)]
#[model(submodels(Chef))]
pub struct Cook {
    #[model(extends)]
    pub person: Person,
    pub knife: Option<Box<Item>>,
}

#[derive(Debug, Clone, PartialEq, Model)]
#[model(submodels(Cook))]
pub struct Person {
    pub name: String,
    pub employer: Option<Box<Kitchen>>,
    #[model(rename = "bestFriend")]
    pub best_friend: Option<Box<Person>>,
}

#[derive(Debug, Clone, PartialEq, Model)]
pub struct Item {
    #[model(default = 1e21)]
    pub price: f64,
}

#[derive(Debug, Clone, PartialEq, Model)]
pub struct Node {
    pub label: String,
    pub left: Option<Box<Node>>,
    pub children: Vec<Node>,
}

/// Objects of this model leave with the session that added them.
#[derive(Debug, Clone, PartialEq, Model)]
#[model(lifetime = "session")]
#[model(submodels(Pen))]
pub struct Cursor {
    pub x: f64,
    pub y: f64,
}

/// Objects of this model leave with the session that added them.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct Pen {
    #[model(extends)]
    pub cursor: Cursor,
}

#[derive(Debug, Clone, PartialEq, Model)]
#[model(rename = "Option")]
pub struct Option2 {}

#[derive(Debug, Clone, PartialEq, Model)]
#[model(rename = "class")]
pub struct Class {
    pub default: String,
    pub of: Vec<Class>,
}

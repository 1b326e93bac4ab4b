//! Models as Rust types, without a server: `cargo run --example typed`.
//!
//! A chat room in which the application itself takes part. It posts messages in transactions, follows
//! the room, and keeps it short: whenever a message comes, from whomever, it takes out the oldest beyond
//! the last three.

#![allow(clippy::print_stdout)]

use std::time::SystemTime;

use jetstream::typed::{Change, TypedChanges};
use jetstream::{Id, Model, Scope, TypedScope, UpdateError};

#[derive(Model)]
struct User {
    username: String,
    #[model(default = Color::Blue)]
    color: Color,
}

#[derive(Model, Debug, Clone, Copy, PartialEq)]
#[model(rename_all = "lowercase")]
enum Color {
    Red,
    Green,
    Blue,
}

#[derive(Model)]
#[model(rename_all = "camelCase")]
struct Message {
    /// The author's id: the room holds the user itself.
    author: Option<Id<User>>,
    posted_at: Option<SystemTime>,
    text: String,
}

#[derive(Model)]
struct ChatRoom {
    name: String,
    users: Vec<User>,
    messages: Vec<Message>,
}

const MESSAGES_MAX: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let room =
        Scope::with_root("ChatRoom", ChatRoom { name: "Kitchen".into(), ..Default::default() });
    let keeper = tokio::spawn(keep_short(room.clone(), room.changes().await?));

    let ann = room
        .update(|room| room.users_mut().push(User { username: "ann".into(), color: Color::Red }))
        .await?;
    for text in ["hello", "is anybody here?", "never mind", "bye", "really"] {
        post(&room, ann, text).await?;
    }

    room.close().await;
    keeper.await??;
    Ok(())
}

/// Adds a message. Members of the scope get one small edit, however many messages there are.
async fn post(
    room: &TypedScope<ChatRoom>,
    author: Id<User>,
    text: &str,
) -> Result<Id<Message>, UpdateError> {
    let message =
        Message { author: Some(author), posted_at: Some(SystemTime::now()), text: text.into() };
    room.update(|room| room.messages_mut().push(message)).await
}

/// Follows the room until it is closed.
async fn keep_short(
    room: TypedScope<ChatRoom>,
    mut changes: TypedChanges<ChatRoom>,
) -> Result<(), UpdateError> {
    while let Some(commit) = changes.next().await {
        for change in commit.of::<Message>() {
            match change {
                Change::Added(message) => {
                    let author = message.author().map_or("nobody", |user| user.username());
                    println!("{author}: {}", message.text());
                }
                Change::Changed { object, properties } => {
                    println!("(edited {properties:?}: {})", object.text());
                }
                Change::Removed(id) => println!("({id:?} is gone)"),
            }
        }
        if commit.root().messages().len() > MESSAGES_MAX
            && let Err(error) = shorten(&room).await
            && !room.is_closed()
        {
            return Err(error);
        }
    }
    Ok(())
}

/// Takes out what is too much. It looks again: more may have happened since the commit that we saw.
async fn shorten(room: &TypedScope<ChatRoom>) -> Result<(), UpdateError> {
    room.update(|room| {
        let mut messages = room.messages_mut();
        while messages.len() > MESSAGES_MAX {
            messages.remove_at(0);
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_runs() {
        main().unwrap();
    }

    #[tokio::test]
    async fn the_room_is_kept_short() {
        let room = Scope::with_root("ChatRoom", ChatRoom::default());
        let ann = room.update(|room| room.users_mut().push(User::default())).await.unwrap();
        for text in ["a", "b", "c", "d", "e"] {
            post(&room, ann, text).await.unwrap();
        }
        shorten(&room).await.unwrap();
        let texts = room.read(|room| {
            room.messages().iter().map(|message| message.text().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(texts.await.unwrap(), ["c", "d", "e"]);
    }
}

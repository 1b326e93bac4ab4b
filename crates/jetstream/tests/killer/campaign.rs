//! Rounds of killing, and what has to hold after them.

use std::time::{Duration, Instant};

use jetstream_client::{Session, TypedScope};
use tokio::sync::watch;

use crate::author::{Author, Finished, Work};
use crate::board::{Board, View};
use crate::server::{Server, Store};

/// A server, its clients, and what is known of the boards.
pub(crate) struct Campaign {
    server: Server,
    dice: Dice,
    up: watch::Sender<bool>,
    authors: Vec<Author>,
    /// Every board as it was when everybody had finished with it.
    boards: Vec<(String, View)>,
    found: Vec<String>,
    acknowledged: usize,
    not_saved: usize,
    kills: usize,
    database_kills: usize,
}

impl Campaign {
    pub(crate) fn new(server: Server, seed: u64) -> Self {
        println!("KILLER_SEED={seed}");
        Self {
            server,
            dice: Dice(seed | 1),
            up: watch::Sender::new(false),
            authors: Vec::new(),
            boards: Vec::new(),
            found: Vec::new(),
            acknowledged: 0,
            not_saved: 0,
            kills: 0,
            database_kills: 0,
        }
    }

    /// Kills so often, and tells what was found that should not be.
    pub(crate) async fn run(mut self, rounds: usize) -> Vec<String> {
        self.server.start(None);
        self.up.send_replace(true);
        for name in ["ann", "bo", "cy", "di"] {
            let author = Author::join(name, &self.server.url(), self.up.subscribe()).await;
            self.authors.push(author);
        }
        for (generation, begin) in (0..rounds).step_by(ROUNDS_PER_BOARD).enumerate() {
            let board = format!("boards/{generation}");
            let count = ROUNDS_PER_BOARD.min(rounds - begin);
            if let Err(late) = tokio::time::timeout(PATIENCE, self.generation(&board, count)).await
            {
                self.found.push(format!("{board}: {late}; the log: {}", self.server.logged()));
                break;
            }
            if !self.found.is_empty() {
                break;
            }
        }
        self.look_back().await;
        println!(
            "{} kills of the server, {} of the database, {} boards, {} acknowledged changes, {} \
             not saved, {} findings",
            self.kills,
            self.database_kills,
            self.boards.len(),
            self.acknowledged,
            self.not_saved,
            self.found.len()
        );
        self.found
    }

    /// Some rounds on one board, and what its authors say of it.
    async fn generation(&mut self, board: &str, rounds: usize) {
        let mut works: Vec<Work> = Vec::new();
        for author in &self.authors {
            works.push(author.begin(board).await);
        }
        for _ in 0..rounds {
            self.round().await;
        }
        let mut finished = Vec::new();
        let mut copies = Vec::new();
        for (author, work) in self.authors.iter_mut().zip(works) {
            let (told, copy) = author.finish(work).await;
            finished.push(told);
            copies.push(copy);
        }
        self.compare(board, &finished, &copies).await;
    }

    async fn round(&mut self) {
        self.pause(20, 180).await;
        // Now and then the database dies, under the server or with it. It takes seconds to come back.
        if let (0, Some(database)) = (self.dice.below(12), self.server.database()) {
            database.kill();
            self.database_kills += 1;
            let with_server = self.dice.below(2) == 0;
            if with_server {
                self.server.kill();
            } else {
                self.pause(0, 60).await;
            }
            self.server.database().expect("it has one").resume();
            if !with_server {
                return;
            }
        }
        self.kills += 1;
        if matches!(self.server.store, Store::Forgetful) && self.kills == 1 {
            self.server.remember();
        }
        self.up.send_replace(false);
        self.server.kill();
        // Now and then it does not even come up before it is killed again.
        if self.dice.below(8) == 0 {
            let at_most = Duration::from_millis(self.dice.below(40));
            if self.server.start(Some(at_most)) {
                self.server.kill();
            }
        }
        self.server.start(None);
        self.up.send_replace(true);
    }

    async fn pause(&mut self, least: u64, spread: u64) {
        tokio::time::sleep(Duration::from_millis(least + self.dice.below(spread))).await;
    }

    /// Everybody sees what the server has, and it is what they were told.
    async fn compare(&mut self, name: &str, finished: &[Finished], copies: &[TypedScope<Board>]) {
        let reference = self.fetch(name).await;
        for told in finished {
            self.acknowledged += told.acknowledged();
            self.not_saved += told.not_saved();
            let wrong = told.compare(&reference);
            self.found.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
        }
        for (author, copy) in self.authors.iter().zip(copies) {
            // What others did last may still be on its way to it.
            let mut left = 200;
            while View::of(copy) != reference && left > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                left -= 1;
            }
            if let Some(difference) = View::of(copy).difference(&reference) {
                let who = &author.name;
                self.found
                    .push(format!("{name}: {who} does not see what the server has: {difference}"));
            }
            if author.sessions() != 1 {
                self.found.push(format!("{name}: {} had to begin a new session", author.name));
            }
        }
        self.boards.push((name.to_owned(), reference));
    }

    /// Every board is still what it was when it was left, after all kills and one more start.
    async fn look_back(&mut self) {
        self.up.send_replace(false);
        self.server.kill();
        if matches!(self.server.store, Store::Forgetful) {
            self.server.forget();
        }
        self.server.start(None);
        self.up.send_replace(true);
        for (name, expected) in std::mem::take(&mut self.boards) {
            if let Some(difference) = self.fetch(&name).await.difference(&expected) {
                self.found.push(format!("{name} has changed since it was left: {difference}"));
            }
            self.boards.push((name, expected));
        }
    }

    /// What somebody sees who comes now.
    async fn fetch(&self, name: &str) -> View {
        let session = jetstream_client::connect(&self.server.url()).await.unwrap();
        let view = View::of(&fetch(&session, name).await);
        session.close().await;
        view
    }
}

/// Fetches a board, again and again while its store is away.
pub(crate) async fn fetch(session: &Session, board: &str) -> TypedScope<Board> {
    let begun = Instant::now();
    loop {
        match session.fetch::<Board>(board).await {
            Ok(board) => return board,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{board} cannot be fetched: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// How long everybody writes on one board: long enough for several starts to build on each other, short
/// enough that a board stays small.
const ROUNDS_PER_BOARD: usize = 10;

/// How long the rounds on one board may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

//! Clients that mean harm, over real sockets, against a server in a process of its own.
//!
//! Every attack has an answer: an error, a close code, or silence. Beside each of them two honest
//! clients work, and every edit of the one must arrive at the other. What an attack may cost in memory
//! is read from the server's peak, with room to spare.

#![allow(
    unreachable_pub,
    reason = "in a test everything is private; `pub` says what a module offers"
)]

#[path = "../../examples/conformance/application.rs"]
mod application;
#[path = "../../examples/conformance/models.rs"]
mod models;
#[allow(dead_code, reason = "each test uses the part that it needs")]
#[path = "../support/process.rs"]
mod process;
#[allow(dead_code, reason = "each test uses the part that it needs")]
#[path = "../support/websocket.rs"]
mod websocket;

mod client;
mod connections;
mod floods;
mod messages;
mod rates;
mod victim;

use std::error::Error;
use std::future::Future;

use jetstream::core::limits::Limits;
use jetstream::{Proxies, WebSocket};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("serve") {
        return serve(arguments).unwrap_or_else(|error| panic!("{error}"));
    }
    let trials = vec![
        trial("unreadable_messages_are_dropped", messages::what_cannot_be_read_is_dropped),
        trial("deep_nesting", messages::a_million_levels_are_a_bound_not_a_stack_overflow),
        trial("broken_fragments_get_an_error_each", messages::broken_fragments_get_an_error_each),
        trial("a_huge_frame_is_refused_unread", messages::a_huge_frame_is_refused_unread),
        trial("invalid_utf8_closes_with_1007", messages::invalid_utf8_closes_with_1007),
        trial("broken_frames_close_with_1002", messages::broken_frames_close_with_1002),
        trial("thousands_may_stay_silent", connections::thousands_may_stay_silent),
        trial("strangers_are_turned_away", connections::beyond_the_bound_strangers_are_turned_away),
        trial("half_a_handshake_is_dropped", connections::half_a_handshake_is_dropped),
        trial("odd_requests", connections::odd_requests_are_answered_or_dropped),
        trial("a_token_is_not_guessed", connections::a_token_is_not_guessed),
        trial("tiny_messages", floods::a_frame_of_tiny_messages_is_bounded),
        trial("pings_without_end", floods::pings_without_end_disturb_nobody),
        trial("who_never_reads", floods::who_never_reads_is_kept_within_bounds),
        trial("a_flood_of_changes", rates::a_flood_of_changes_is_slowed),
        trial("one_frame_too_much", rates::what_one_frame_holds_is_refused_then_closed),
        trial("tiny_frames", rates::tiny_frames_are_counted_and_pieces_without_end_are_refused),
        trial("fetching_without_end", rates::fetching_without_end_is_slowed_by_what_it_costs),
        trial("one_address", rates::one_address_does_not_take_all_places),
        trial("making_sessions", rates::making_sessions_without_end_is_bounded),
        trial("bloated_scopes", rates::a_scope_is_not_bloated),
        trial("bodies_without_end", rates::a_body_without_end_is_dropped),
        trial("slowed_and_deaf", rates::who_is_slowed_and_never_reads_costs_little),
        trial("deaf_members", floods::a_member_that_reads_nothing_costs_a_bounded_backlog),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, attack: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(attack());
        Ok(())
    })
}

/// What this program is when a [`victim::Victim`] starts it: the server.
#[tokio::main]
async fn serve(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::default();
    let (mut file, mut proxies) = (String::new(), Proxies::default());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => drop(arguments.next()),
            "--proxy" => proxies = Proxies::new(["127.0.0.1".parse()?]),
            "--limit" => set(&mut limits, &arguments.next().ok_or("--limit NAME=NUMBER")?)?,
            _ => file = argument,
        }
    }
    let world = models::read(&std::fs::read_to_string(file)?)?;
    let transport = WebSocket::bind("127.0.0.1:0").compression(true);
    let server = application::server(world, limits).proxies(proxies).transport(transport);
    let server = server.start().await?;
    say(&server.local_addr().to_string());
    server.ended().await;
    Ok(())
}

fn set(limits: &mut Limits, setting: &str) -> Result<(), Box<dyn Error>> {
    let (name, number) = setting.split_once('=').ok_or("NAME=NUMBER")?;
    match name {
        "connections_pending_max" => limits.connections_pending_max = number.parse()?,
        "establish_timeout_ms" => limits.establish_timeout_ms = number.parse()?,
        "handshake_timeout_ms" => limits.handshake_timeout_ms = number.parse()?,
        "session_messages_per_second_max" => {
            limits.session_messages_per_second_max = number.parse()?;
        }
        "session_bytes_per_second_max" => limits.session_bytes_per_second_max = number.parse()?,
        "rate_burst_ms" => limits.rate_burst_ms = number.parse()?,
        "scope_bytes_max" => limits.scope_bytes_max = number.parse()?,
        "address_sessions_max" => limits.address_sessions_max = number.parse()?,
        "address_connections_pending_max" => {
            limits.address_connections_pending_max = number.parse()?;
        }
        "address_connections_per_second_max" => {
            limits.address_connections_per_second_max = number.parse()?;
        }
        _ => return Err(format!("no test sets {name}").into()),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "whoever started this reads the address from here")]
fn say(line: &str) {
    println!("{line}");
}

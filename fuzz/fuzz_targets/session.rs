//! A session fed arbitrary frames and everything else that can happen to one.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetstream_core::fuzzing::session(bytes));

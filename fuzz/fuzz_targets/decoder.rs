//! Any bytes as a frame: nothing panics, and what was read reads the same when it is written.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetstream_core::fuzzing::decoder(bytes));

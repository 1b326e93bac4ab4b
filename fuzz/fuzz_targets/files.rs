//! The embedded store's files, damaged: errors, and never what nobody wrote.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetstream::storage::embedded::fuzzing::files(bytes));

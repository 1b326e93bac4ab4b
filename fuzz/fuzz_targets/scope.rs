//! A scope fed arbitrary ChangeSets: the graph stays sound, and a listening member ends with the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jetstream_core::fuzzing::scope(bytes));

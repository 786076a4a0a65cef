//! See `latchkey_fuzz::event`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::event(data));

//! See `latchkey_fuzz::token`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::token(data));

//! See `latchkey_fuzz::item`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::item(data));

//! See `latchkey_fuzz::bearer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::bearer(data));

//! See `latchkey_fuzz::issuers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::issuers(data));

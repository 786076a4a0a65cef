//! See `latchkey_fuzz::forged_token`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::forged_token(data));

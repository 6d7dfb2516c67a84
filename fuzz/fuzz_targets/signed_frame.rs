#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| labman_fuzz_bodies::wire::signed_frame(bytes));

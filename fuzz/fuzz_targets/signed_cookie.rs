//! Nothing unsigned is taken; what is signed is read back; and whatever zlib is given, the output
//! is bounded.

#![no_main]

use bustapi_http::signed_cookie::{MAX_PAYLOAD, TimestampSigner};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_700_000_000;

fuzz_target!(|data: &[u8]| {
    let signer = TimestampSigner::new(b"key", [&b"older"[..]], b"cookie-session");
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(signer.unsign(text, u64::MAX, NOW).is_err());
    }

    let signed = signer.sign(data, NOW);
    assert_eq!(signer.unsign(&signed, 0, NOW).as_deref(), Ok(data));
    assert!(signer.unsign(&signed, u64::MAX, NOW - 1).is_err());

    // As if a key were known: the input is taken for the compressed form of something longer.
    let longer = vec![b' '; data.len() + 64];
    let signed = signer.sign_compressed_by(&longer, NOW, |_| Some(data.to_vec()));
    if let Ok(payload) = signer.unsign(&signed, 0, NOW) {
        assert!(payload.len() <= MAX_PAYLOAD);
    }
});

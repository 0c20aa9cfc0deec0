//! A connection's bytes get the same verdict however they are cut into packets, and what stands
//! before a fault is let through by itself.

#![no_main]

use bustapi_core::framing::{Fault, Guard, Refusal};
use libfuzzer_sys::fuzz_target;

/// The fault with its place in the whole, and whether the bytes end between requests.
type Verdict = Result<bool, (bool, Fault)>;

fn check<'a>(packets: impl IntoIterator<Item = &'a [u8]>) -> (Verdict, usize) {
    let mut guard = Guard::default();
    let mut let_through = 0;
    for packet in packets {
        match guard.check(packet) {
            Ok(()) => let_through += packet.len(),
            Err(Refusal {
                allowed,
                in_head,
                fault,
                ..
            }) => {
                assert!(allowed < packet.len(), "a refusal takes something back");
                return (Err((in_head, fault)), let_through + allowed);
            }
        }
    }
    (Ok(guard.is_between_requests()), let_through)
}

fuzz_target!(|input: (&[u8], u8)| {
    let (bytes, size) = input;
    let (whole, let_through) = check([bytes]);
    let (cut, cut_let_through) = check(bytes.chunks(usize::from(size) + 1));
    assert_eq!(whole, cut);
    // Lines are refused from where their last packet begins.
    assert!(cut_let_through >= let_through);
    let (before, _) = check([&bytes[..let_through]]);
    assert!(before.is_ok());
});

//! Signed, timestamped values in itsdangerous' format, as Flask keeps sessions in cookies.
//!
//! # The format
//!
//! `payload.timestamp.signature`, each part in base64 with the URL-safe alphabet and without
//! padding. The payload is JSON; one that is shorter when compressed with zlib is, and then
//! begins with a dot. The timestamp is the number of seconds since 1970, big-endian, without
//! leading zero bytes. The signature is the HMAC-SHA-1 of all before its dot, under a key that
//! is itself the HMAC-SHA-1 of a salt under the secret key (`key_derivation="hmac"`).
//!
//! What is written here differently from the canonical form (padding, foreign characters) is
//! refused, where Python's decoder may be more lenient.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::error::HttpError;

/// The longest JSON that a compressed payload may hold, in bytes. A cookie has room for 4 KiB;
/// zlib makes at most a thousandfold of it.
pub const MAX_PAYLOAD: usize = 4 * 1024 * 1024;

/// Signs values, and checks them.
#[derive(Clone)]
pub struct TimestampSigner {
    /// The first one signs; any of them may have signed.
    keys: Vec<Hmac<Sha1>>,
}

impl std::fmt::Debug for TimestampSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimestampSigner").finish_non_exhaustive()
    }
}

impl TimestampSigner {
    /// A signer with the secret key `key`, which also accepts what was signed with one of
    /// `older_keys`. The salt tells signatures for one purpose from those for another.
    #[must_use]
    pub fn new<'a>(
        key: &'a [u8],
        older_keys: impl IntoIterator<Item = &'a [u8]>,
        salt: &[u8],
    ) -> Self {
        Self {
            keys: std::iter::once(key)
                .chain(older_keys)
                .map(|key| {
                    let derived = keyed(key).chain_update(salt).finalize();
                    keyed(&derived.into_bytes())
                })
                .collect(),
        }
    }

    /// Signs `payload` at `now`, in seconds since 1970.
    ///
    /// ```
    /// use bustapi_http::signed_cookie::TimestampSigner;
    ///
    /// let signer = TimestampSigner::new(b"secret", [], b"cookie-session");
    /// let signed = signer.sign(br#"{"user":1}"#, 1_700_000_000);
    /// assert_eq!(signer.unsign(&signed, 60, 1_700_000_030).unwrap(), br#"{"user":1}"#);
    /// ```
    #[must_use]
    pub fn sign(&self, payload: &[u8], now: u64) -> String {
        self.sign_compressed_by(payload, now, compress)
    }

    /// As [`sign`](Self::sign), with another implementation of zlib: `compress` gives the
    /// compressed form of a payload, or `None` to leave it as it is. Implementations differ in
    /// the bytes they choose, and all can be read by each.
    #[must_use]
    pub fn sign_compressed_by(
        &self,
        payload: &[u8],
        now: u64,
        compress: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> String {
        let compressed = if payload.len() > OVERHEAD {
            // The dot that marks it must be gained as well.
            compress(payload).filter(|compressed| compressed.len() < payload.len() - 1)
        } else {
            None
        };
        let mut signed = String::with_capacity(payload.len() * 4 / 3 + 48);
        if compressed.is_some() {
            signed.push('.');
        }
        URL_SAFE_NO_PAD.encode_string(compressed.as_deref().unwrap_or(payload), &mut signed);
        signed.push('.');
        let moment = now.to_be_bytes();
        let zeros = moment.iter().take_while(|byte| **byte == 0).count();
        URL_SAFE_NO_PAD.encode_string(&moment[zeros..], &mut signed);
        if let Some(key) = self.keys.first() {
            let signature = key.clone().chain_update(&signed).finalize().into_bytes();
            signed.push('.');
            URL_SAFE_NO_PAD.encode_string(signature, &mut signed);
        }
        signed
    }

    /// The payload of a value signed at most `max_age` seconds before `now`.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidSignature`] for a value that was not signed with one of the keys, is
    /// too old, comes from the future, or is not in the canonical form.
    pub fn unsign(&self, signed: &str, max_age: u64, now: u64) -> Result<Vec<u8>, HttpError> {
        let refuse = || HttpError::InvalidSignature;
        let (value, signature) = signed.rsplit_once('.').ok_or_else(refuse)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse())?;
        let is_signed = self.keys.iter().any(|key| {
            // Takes the same time for every signature.
            let mac = key.clone().chain_update(value);
            mac.verify_slice(&signature).is_ok()
        });
        if !is_signed {
            return Err(refuse());
        }
        let (payload, moment) = value.rsplit_once('.').ok_or_else(refuse)?;
        let moment = URL_SAFE_NO_PAD.decode(moment).map_err(|_| refuse())?;
        let signed_at = big_endian(&moment).ok_or_else(refuse)?;
        match now.checked_sub(signed_at) {
            Some(age) if age <= max_age => {}
            _ => return Err(refuse()),
        }
        match payload.strip_prefix('.') {
            Some(compressed) => {
                let compressed = URL_SAFE_NO_PAD.decode(compressed).map_err(|_| refuse())?;
                decompress(&compressed).ok_or_else(refuse)
            }
            None => URL_SAFE_NO_PAD.decode(payload).map_err(|_| refuse()),
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn big_endian(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > size_of::<u64>() {
        return None;
    }
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

/// zlib's header, checksum and block take this many bytes; nothing shorter can gain.
const OVERHEAD: usize = 12;

fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(payload).ok()?;
    encoder.finish().ok()
}

fn decompress(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut payload = Vec::new();
    let mut decoder = ZlibDecoder::new(compressed).take(MAX_PAYLOAD as u64 + 1);
    decoder.read_to_end(&mut payload).ok()?;
    (payload.len() <= MAX_PAYLOAD).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn signer() -> TimestampSigner {
        TimestampSigner::new(b"secret-key", [], b"cookie-session")
    }

    #[test]
    fn signs_as_itsdangerous_does() {
        // URLSafeTimedSerializer("secret-key", salt="cookie-session",
        // signer_kwargs={"key_derivation": "hmac"}) at this time.
        assert_eq!(
            signer().sign(br#"{"n":1}"#, NOW),
            "eyJuIjoxfQ.ZVPxAA.kFxt91UzwecymQUH-HSBFzKwnjA"
        );
    }

    #[test]
    fn long_payloads_are_compressed() {
        let payload = format!(r#"{{"text":"{}"}}"#, "a".repeat(500));
        let signed = signer().sign(payload.as_bytes(), NOW);
        assert!(signed.starts_with('.') && signed.len() < 100, "{signed}");
        assert_eq!(
            signer().unsign(&signed, 0, NOW).unwrap(),
            payload.as_bytes()
        );
    }

    #[test]
    fn refuses_what_was_changed_or_is_out_of_time() {
        let signed = signer().sign(br#"{"n":1}"#, NOW);
        assert!(signer().unsign(&signed, 10, NOW + 10).is_ok());
        assert!(signer().unsign(&signed, 10, NOW + 11).is_err());
        assert!(signer().unsign(&signed, 10, NOW - 1).is_err());
        for at in 0..signed.len() {
            let mut changed = signed.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(signer().unsign(&changed, 10, NOW).is_err(), "{changed}");
        }
        for broken in ["", ".", "..", "a.b", "é.é.é"] {
            assert!(signer().unsign(broken, 10, NOW).is_err(), "{broken}");
        }
    }

    #[test]
    fn older_keys_are_accepted_and_do_not_sign() {
        let old = signer().sign(b"{}", NOW);
        let new: &[u8] = b"new-key";
        let rotated = TimestampSigner::new(new, [&b"secret-key"[..]], b"cookie-session");
        assert!(rotated.unsign(&old, 0, NOW).is_ok());
        assert!(signer().unsign(&rotated.sign(b"{}", NOW), 0, NOW).is_err());
    }
}

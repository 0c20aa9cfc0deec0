//! How fast is an upload parsed, against merely copying it, and does its content matter?

use std::hint::black_box;

use bustapi_http::form::{FormDecoder, FormKind, FormLimits};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What a browser sends.
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// The size in which bodies arrive.
const CHUNK: usize = 64 * 1024;

/// A file of this content between two fields.
fn upload(content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for name in ["title", "file", "comment"] {
        let filename = if name == "file" {
            "; filename=\"a.bin\""
        } else {
            ""
        };
        body.extend_from_slice(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(if name == "file" {
            content
        } else {
            b"a short text"
        });
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn parse(body: &[u8], chunk: usize) -> usize {
    let kind = FormKind::Multipart {
        boundary: BOUNDARY.to_owned(),
    };
    let mut decoder =
        FormDecoder::new(&kind, FormLimits::default()).expect("the boundary is a good one");
    let mut events = Vec::new();
    let mut count = 0;
    for piece in body.chunks(chunk) {
        decoder
            .receive(piece, &mut events)
            .expect("the body is well formed");
        count += events.len();
        events.clear();
    }
    decoder.finish(&mut events).expect("the body is complete");
    count + events.len()
}

fn multipart(c: &mut Criterion) {
    let mut group = c.benchmark_group("http_multipart");
    let mebibyte = 1 << 20;
    let mut state = 1_u32;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        // A linear congruential generator's high bits are random enough to fool no search.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(mebibyte)
    .collect();
    for (name, content) in [
        ("binary", random),
        ("lines", b"some text\r\n".repeat(mebibyte / 11)),
        ("breaks", b"\r\n".repeat(mebibyte / 2)),
        (
            "almost_boundaries",
            b"\r\n------WebKitFormBoundary7".repeat(mebibyte / 27),
        ),
    ] {
        let body = upload(&content);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |b| b.iter(|| parse(black_box(&body), CHUNK)));
        if name == "binary" {
            group.bench_function("copy_only", |b| {
                b.iter(|| {
                    let pieces = black_box(&body).chunks(CHUNK);
                    pieces
                        .map(|piece| black_box(piece.to_vec()).len())
                        .sum::<usize>()
                });
            });
        }
    }
    let small = upload(b"tiny");
    group.throughput(Throughput::Elements(1));
    group.bench_function("small_form", |b| b.iter(|| parse(black_box(&small), CHUNK)));
    group.finish();
}

criterion_group!(benches, multipart);
criterion_main!(benches);

//! Bodies as clients send them, cut at every place, and bodies that lie.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::StreamBody;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::auth::{AmzDate, ChunkSigner, PayloadMode, Secret, SigningKey};
use crate::checksum::{ChecksumAlgorithm, ChecksumHasher, md5_base64};
use crate::error::{S3Error, S3ErrorCode};

const DATE: &str = "20130524T000000Z";
const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";
/// Seed signatures of the two published examples.
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const SEED_TRAILER: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

fn signer(seed_hex: &str) -> ChunkSigner {
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let key = SigningKey::derive(&secret, "20130524", "us-east-1", "s3");
    let mut seed = [0; 32];
    hex::decode_to_slice(seed_hex, &mut seed).unwrap();
    ChunkSigner::new(key, AmzDate::parse(DATE).unwrap(), SCOPE, seed)
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let entry =
        |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(entry).collect()
}

/// Decodes in pieces of the given sizes, cycling; the last outcome decides.
fn decode(spec: BodySpec, wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, BodyDigests), S3Error> {
    let mut decoder = BodyDecoder::new(spec);
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(wire);
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let piece = rest.split_to((*cut).clamp(1, rest.len()));
        decoder.feed(piece, &mut out)?;
    }
    let digests = decoder.finish()?;
    Ok((out.concat(), digests))
}

fn code(outcome: Result<(Vec<u8>, BodyDigests), S3Error>) -> S3ErrorCode {
    outcome.expect_err("this body must be refused").code()
}

/// A body as a client would write it.
#[derive(Clone, Debug)]
struct Upload {
    data: Vec<u8>,
    chunk_bytes: usize,
    signed: bool,
    trailer: Option<ChecksumAlgorithm>,
}

impl Upload {
    fn spec(&self) -> BodySpec {
        let signer = signer(SEED);
        let mode = match (self.signed, self.trailer) {
            (true, None) => PayloadMode::StreamingSigned(signer),
            (true, Some(_)) => PayloadMode::StreamingSignedTrailer(signer),
            (false, _) => PayloadMode::StreamingUnsignedTrailer,
        };
        let length = self.data.len().to_string();
        let mut pairs = vec![("x-amz-decoded-content-length", length.as_str())];
        if let Some(algorithm) = self.trailer {
            pairs.push(("x-amz-trailer", algorithm.header_name()));
        }
        BodySpec::from_headers(mode, &headers(&pairs)).unwrap().with_md5()
    }

    fn wire(&self) -> Vec<u8> {
        let mut signer = signer(SEED);
        let mut wire = Vec::new();
        for chunk in self.data.chunks(self.chunk_bytes).chain(std::iter::once(&[][..])) {
            wire.extend_from_slice(format!("{:x}", chunk.len()).as_bytes());
            if self.signed {
                let signature = signer.sign_chunk(&Sha256::digest(chunk).into());
                wire.extend_from_slice(format!(";chunk-signature={signature}").as_bytes());
            }
            wire.extend_from_slice(b"\r\n");
            wire.extend_from_slice(chunk);
            if !chunk.is_empty() {
                wire.extend_from_slice(b"\r\n");
            }
        }
        if let Some(algorithm) = self.trailer {
            let value = ChecksumHasher::digest(algorithm, &self.data).to_base64();
            let line = format!("{}:{value}", algorithm.header_name());
            wire.extend_from_slice(format!("{line}\r\n").as_bytes());
            if self.signed {
                let signature = signer.sign_trailer(&Sha256::digest(format!("{line}\n")).into());
                wire.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        wire.extend_from_slice(b"\r\n");
        wire
    }
}

#[test]
fn published_signed_chunks() {
    let mut chain = signer(SEED);
    let sha256 = |data: &[u8]| -> [u8; 32] { Sha256::digest(data).into() };
    let expected = [
        (vec![b'a'; 65536], "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (vec![b'a'; 1024], "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (vec![], "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];
    for (data, signature) in &expected {
        assert_eq!(chain.sign_chunk(&sha256(data)), *signature);
    }
    let upload = Upload { data: vec![b'a'; 66560], chunk_bytes: 65536, signed: true, trailer: None };
    let wire = upload.wire();
    assert_eq!(wire.len(), 66824, "the Content-Length of the published example");
    let (data, digests) = decode(upload.spec(), &wire, &[1000]).unwrap();
    assert_eq!((data, digests.length), (upload.data, 66560));
}

#[test]
fn published_signed_trailer() {
    let mut chain = signer(SEED_TRAILER);
    let data = vec![b'a'; 66560];
    for (chunk, expected) in [
        (&data[..65536], "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (&data[65536..], "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (&[][..], "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ] {
        assert_eq!(chain.sign_chunk(&Sha256::digest(chunk).into()), expected);
    }
    let checksum = ChecksumHasher::digest(ChecksumAlgorithm::Crc32c, &data);
    assert_eq!(checksum.to_base64(), "sOO8/Q==");
    assert_eq!(
        chain.sign_trailer(&Sha256::digest("x-amz-checksum-crc32c:sOO8/Q==\n").into()),
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    );
}

fn uploads() -> impl Strategy<Value = Upload> {
    let algorithm = prop::sample::select(ChecksumAlgorithm::ALL.to_vec());
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        (any::<u8>(), 8000usize..20000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    (data, any::<bool>(), prop::option::of(algorithm), 1usize..20000).prop_map(
        |(data, signed, trailer, chunk_bytes)| {
            let chunk_bytes = if signed { chunk_bytes.max(8192) } else { chunk_bytes.max(data.len() / 50 + 1) };
            Upload { data, chunk_bytes, signed, trailer }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_do_not_matter(upload in uploads(), cuts in prop::collection::vec(1usize..3000, 1..8)) {
        let wire = upload.wire();
        let whole = decode(upload.spec(), &wire, &[usize::MAX]).unwrap();
        prop_assert_eq!(&whole.0, &upload.data);
        prop_assert_eq!(whole.1.declared.map(|checksum| checksum.algorithm()), upload.trailer);
        prop_assert_eq!(&decode(upload.spec(), &wire, &cuts).unwrap(), &whole);
        prop_assert_eq!(&decode(upload.spec(), &wire, &[1]).unwrap(), &whole);
    }

    /// No byte of a signed body can change, and no end of it can go missing.
    #[test]
    fn signed_bodies_do_not_bend(upload in uploads(), at: prop::sample::Index, flip in 1u8..=255) {
        let upload = Upload { signed: true, chunk_bytes: upload.chunk_bytes.max(8192), ..upload };
        let mut wire = upload.wire();
        let at = at.index(wire.len());
        prop_assert!(decode(upload.spec(), &wire[..at], &[usize::MAX]).is_err(), "truncated at {}", at);
        wire[at] ^= flip;
        if let Ok((data, _)) = decode(upload.spec(), &wire, &[usize::MAX]) {
            // Spellings without meaning: case of hex sizes and trailer names, blanks, a missing CR.
            prop_assert_eq!(data, upload.data);
        }
    }
}

#[test]
fn lies_are_refused() {
    use S3ErrorCode::*;
    let signed = Upload { data: vec![7; 20000], chunk_bytes: 8192, signed: true, trailer: None };
    let trailer =
        Upload { data: vec![7; 20000], chunk_bytes: 8192, signed: true, trailer: Some(ChecksumAlgorithm::Crc32) };
    let unsigned = Upload { signed: false, ..trailer.clone() };
    let with = |upload: &Upload, from: &str, to: &str| {
        let wire = upload.wire();
        let at = wire.windows(from.len()).position(|window| window == from.as_bytes()).expect("the text is there");
        let changed = [&wire[..at], to.as_bytes(), &wire[at + from.len()..]].concat();
        decode(upload.spec(), &changed, &[777])
    };
    let length = |upload: &Upload, length: usize| {
        let lying = Upload { data: vec![7; length], ..upload.clone() };
        code(decode(lying.spec(), &upload.wire(), &[777]))
    };
    for upload in [&signed, &trailer, &unsigned] {
        assert_eq!(length(upload, 19999), IncompleteBody, "declared less");
        assert_eq!(length(upload, 20001), IncompleteBody, "declared more");
        let wire = upload.wire();
        let last = wire.windows(3).rposition(|window| window == b"\r\n0").unwrap();
        assert_eq!(code(decode(upload.spec(), &wire[..last + 2], &[777])), IncompleteBody, "no last chunk");
        assert_eq!(code(decode(upload.spec(), &wire[..wire.len() - 2], &[777])), IncompleteBody, "no final CRLF");
        assert_eq!(code(decode(upload.spec(), &[], &[1])), IncompleteBody, "nothing at all");
        let extra = [&wire[..], b"x"].concat();
        assert_eq!(code(decode(upload.spec(), &extra, &[777])), InvalidRequest, "bytes after the end");
        let blank = [&wire[..], b"\r\n\r\n\r\n"].concat();
        assert_eq!(code(decode(upload.spec(), &blank, &[777])), InvalidRequest, "endless blank lines");
        assert_eq!(code(with(upload, "2000", "ffffffffffffffff")), IncompleteBody, "huge chunk");
        assert_eq!(code(with(upload, "2000", "10000000000000000")), InvalidRequest, "chunk size over 64 bits");
        assert_eq!(code(with(upload, "2000", "")), InvalidRequest, "no chunk size");
        assert_eq!(code(with(upload, "2000", "-1")), InvalidRequest, "negative chunk size");
        assert_eq!(code(with(upload, "2000", &"0".repeat(300))), InvalidRequest, "endless chunk header");
    }
    assert_eq!(code(with(&signed, "\u{7}\u{7}", "\u{7}\u{8}")), SignatureDoesNotMatch, "tampered chunk");
    assert_eq!(code(with(&trailer, "\u{7}\u{7}", "\u{7}\u{8}")), SignatureDoesNotMatch, "tampered chunk");
    assert_eq!(code(with(&unsigned, "\u{7}\u{7}", "\u{7}\u{8}")), BadDigest, "tampered data, honest trailer");
    let short = Upload { chunk_bytes: 5000, ..signed.clone() };
    assert_eq!(code(decode(short.spec(), &short.wire(), &[777])), InvalidChunkSizeError);
    assert_eq!(code(with(&signed, "2000;", "2000\r\n;")), SignatureDoesNotMatch, "chunk without signature");
    assert_eq!(code(with(&signed, ";chunk-signature=", ";chunk-sigmature=")), InvalidRequest);

    let value = ChecksumHasher::digest(ChecksumAlgorithm::Crc32, &trailer.data).to_base64();
    assert_eq!(code(with(&trailer, &value, "AAAAAA==")), SignatureDoesNotMatch, "trailer changed, signature not");
    assert_eq!(code(with(&unsigned, &value, "AAAAAA==")), BadDigest, "wrong trailer");
    assert_eq!(code(with(&unsigned, &value, "AAAA")), BadDigest, "malformed trailer value");
    let line = format!("x-amz-checksum-crc32:{value}\r\n");
    assert_eq!(code(with(&unsigned, &line, "")), MalformedTrailerError, "announced, not sent");
    assert_eq!(code(with(&unsigned, &line, &format!("{line}{line}"))), MalformedTrailerError, "twice");
    assert_eq!(
        code(with(&unsigned, &line, &format!("{line}x-amz-meta-a:1\r\n"))),
        MalformedTrailerError,
        "unannounced"
    );
    assert_eq!(code(with(&unsigned, &line, "nonsense\r\n")), MalformedTrailerError);
    let wire = trailer.wire();
    let signature_at = wire.windows(23).rposition(|window| window == b"x-amz-trailer-signature").unwrap();
    let unsigned_trailer = [&wire[..signature_at], b"\r\n"].concat();
    assert_eq!(code(decode(trailer.spec(), &unsigned_trailer, &[777])), IncompleteBody, "trailer signature missing");
    let never_signed = [&wire[..signature_at], b"\r\n\r\n\r\n"].concat();
    assert!(decode(trailer.spec(), &never_signed, &[777]).is_err());
}

#[test]
fn trailers_as_other_clients_write_them() {
    // LF after the checksum, a blank line, then the signature; and one blank line too many at the end.
    let upload =
        Upload { data: vec![1; 100], chunk_bytes: 8192, signed: true, trailer: Some(ChecksumAlgorithm::Crc32c) };
    let wire = String::from_utf8(upload.wire()).unwrap();
    let variant = wire.replace("==\r\nx-amz-trailer-signature", "==\n\r\nx-amz-trailer-signature");
    assert_ne!(variant, wire);
    assert!(decode(upload.spec(), variant.as_bytes(), &[1]).is_ok());
    let unsigned = Upload { signed: false, ..upload };
    let wire = String::from_utf8(unsigned.wire()).unwrap();
    let variant = wire.replace("==\r\n", "==\n\r\n") + "\r\n";
    assert!(decode(unsigned.spec(), variant.as_bytes(), &[3]).is_ok());
}

fn plain(mode: PayloadMode, pairs: &[(&str, &str)]) -> Result<BodySpec, S3Error> {
    BodySpec::from_headers(mode, &headers(pairs))
}

#[test]
fn plain_bodies() {
    use S3ErrorCode::*;
    let body = b"hello world";
    let sha256: [u8; 32] = Sha256::digest(body).into();
    let md5 = md5_base64(&<md5::Md5 as md5::Digest>::digest(body).into());
    let crc = ChecksumHasher::digest(ChecksumAlgorithm::Crc64Nvme, body).to_base64();
    let good = [("content-length", "11"), ("content-md5", md5.as_str()), ("x-amz-checksum-crc64nvme", crc.as_str())];
    let spec = || plain(PayloadMode::SignedSha256(sha256), &good).unwrap();
    let (data, digests) = decode(spec(), body, &[4]).unwrap();
    assert_eq!(data, body);
    assert_eq!(digests.etag().as_deref(), Some("5eb63bbbe01eeed093cb22bb8f5acdc3"));
    assert_eq!(digests.declared.map(|checksum| checksum.to_base64()), Some(crc.clone()));
    assert_eq!(digests.checksum(ChecksumAlgorithm::Sha256).unwrap().as_bytes(), sha256);

    assert_eq!(code(decode(spec(), b"hello worl", &[4])), IncompleteBody);
    assert_eq!(code(decode(spec(), b"hello world!", &[4])), IncompleteBody);
    assert_eq!(code(decode(spec(), b"hello World", &[4])), XAmzContentSHA256Mismatch);
    let unsigned = |pairs: &[(&str, &str)]| plain(PayloadMode::Unsigned, pairs).unwrap();
    assert_eq!(code(decode(unsigned(&good[1..2]), b"hello World", &[4])), BadDigest);
    assert_eq!(code(decode(unsigned(&good[2..]), b"hello World", &[4])), BadDigest);
    assert!(decode(unsigned(&[]), body, &[4]).is_ok());
}

#[test]
fn specs_that_make_no_sense() {
    use S3ErrorCode::*;
    let refused = |mode, pairs: &[(&str, &str)]| plain(mode, pairs).unwrap_err().code();
    assert_eq!(refused(PayloadMode::StreamingUnsignedTrailer, &[("content-length", "1")]), MissingContentLength);
    assert_eq!(
        refused(PayloadMode::StreamingUnsignedTrailer, &[("x-amz-decoded-content-length", "-1")]),
        InvalidRequest
    );
    assert_eq!(refused(PayloadMode::Unsigned, &[("content-md5", "zzz")]), InvalidDigest);
    assert_eq!(refused(PayloadMode::Unsigned, &[("x-amz-trailer", "x-amz-checksum-crc32")]), InvalidRequest);
    let spec = plain(PayloadMode::Unsigned, &[("content-length", "11")]).unwrap();
    assert_eq!(spec.clone().limit(10).unwrap_err().code(), EntityTooLarge);
    assert!(spec.limit(11).is_ok());
    let endless = plain(PayloadMode::Unsigned, &[]).unwrap();
    assert_eq!(endless.require_length().unwrap_err().code(), MissingContentLength);
    assert_eq!(code(decode(endless.limit(10).unwrap(), b"hello world", &[4])), EntityTooLarge);
    let of_object = [("x-amz-checksum-crc32", "AAAAAA==")];
    let complete = BodySpec::from_headers_of_object(PayloadMode::Unsigned, &headers(&of_object)).unwrap();
    assert!(decode(complete, b"<CompleteMultipartUpload/>", &[4]).is_ok(), "the checksum is not the document's");
    assert_eq!(stored_content_encoding("aws-chunked"), None);
    assert_eq!(stored_content_encoding("gzip, AWS-Chunked ,br").as_deref(), Some("gzip, br"));
    assert_eq!(stored_content_encoding("gzip,br").as_deref(), Some("gzip,br"));
    assert_eq!(stored_content_encoding(" , "), None);
}

type Frames = Vec<Result<http_body::Frame<Bytes>, std::io::Error>>;

fn http_body_of(
    wire: &[u8],
    frame_bytes: usize,
) -> StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<http_body::Frame<Bytes>, std::io::Error>>>> {
    let frames: Frames =
        wire.chunks(frame_bytes).map(|part| Ok(http_body::Frame::data(Bytes::copy_from_slice(part)))).collect();
    StreamBody::new(futures_util::stream::iter(frames))
}

#[tokio::test]
async fn reader_agrees_with_the_decoder_at_every_size() {
    for (length, frame_bytes) in
        [(0, 10), (1, 1), (5000, 3), (200_000, 1000), (3_000_000, 70_000), (3_000_000, 700_000)]
    {
        for signed in [true, false] {
            let data: Vec<u8> = (0..length).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let upload = Upload { data, chunk_bytes: 65536, signed, trailer: Some(ChecksumAlgorithm::Crc32) };
            let wire = upload.wire();
            let expected = decode(upload.spec(), &wire, &[usize::MAX]).unwrap();
            let mut reader = BodyReader::new(http_body_of(&wire, frame_bytes), upload.spec(), VerifierPool::default());
            let mut pieces = Vec::new();
            while let Some(piece) = reader.next_piece().await.unwrap() {
                assert!(!piece.is_empty());
                pieces.push(piece);
            }
            assert_eq!(reader.finish().await.unwrap(), expected.1);
            assert!(pieces.len() <= length as usize / (PIECE_BYTES / 4) + 1, "{} pieces of {length}", pieces.len());
            assert_eq!(pieces.concat(), expected.0);
            let collected = BodyReader::new(http_body_of(&wire, frame_bytes), upload.spec(), VerifierPool::default())
                .collect()
                .await
                .unwrap();
            assert_eq!((collected.0.to_vec(), collected.1), expected);
        }
    }
}

#[tokio::test]
async fn reader_refuses_what_the_decoder_refuses() {
    for length in [100usize, 3_000_000] {
        let upload = Upload { data: vec![7; length], chunk_bytes: 65536, signed: true, trailer: None };
        let wire = upload.wire();
        for at in [100, wire.len() / 2, wire.len() - 10] {
            let truncated =
                BodyReader::new(http_body_of(&wire[..at], 8192), upload.spec(), VerifierPool::default()).finish().await;
            assert_eq!(truncated.unwrap_err().code(), S3ErrorCode::IncompleteBody, "{length} cut at {at}");
        }
        let mut tampered = wire.clone();
        tampered[150] ^= 1;
        let error = BodyReader::new(http_body_of(&tampered, 8192), upload.spec(), VerifierPool::default())
            .finish()
            .await
            .unwrap_err();
        assert_eq!(error.code(), S3ErrorCode::SignatureDoesNotMatch, "{length}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_an_incomplete_body() {
    let frames: Frames =
        vec![Ok(http_body::Frame::data(Bytes::from_static(b"half"))), Err(std::io::Error::other("reset"))];
    let spec = plain(PayloadMode::Unsigned, &[("content-length", "8")]).unwrap();
    let mut reader =
        BodyReader::new(StreamBody::new(futures_util::stream::iter(frames)), spec, VerifierPool::default());
    assert_eq!(reader.next_piece().await.unwrap_err().code(), S3ErrorCode::IncompleteBody);
    assert_eq!(reader.next_piece().await.unwrap_err().code(), S3ErrorCode::IncompleteBody, "and stays one");
    assert_eq!(reader.finish().await.unwrap_err().code(), S3ErrorCode::IncompleteBody);
}

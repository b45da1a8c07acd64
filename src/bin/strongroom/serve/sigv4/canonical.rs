//! The canonical request: one text for every way of writing the same request, which is what is signed.

use ring::digest::{self, Digest, SHA256};

use super::{Headers, SignedRequest};

const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";
const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";

/// Method, path, query, signed headers with their values, their names, and the hash of the payload.
pub(super) fn canonical_request(
    request: &SignedRequest<'_>,
    headers: &Headers<'_>,
    signed_headers: &[&str],
    payload_hash: &str,
) -> Vec<u8> {
    let path = canonical_path(request.path);
    let query = canonical_query(request.query);
    let mut text = format!("{}\n{path}\n{query}\n", request.method).into_bytes();
    for name in signed_headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        let values: Vec<Vec<u8>> = headers.values(name).map(folded).collect();
        text.extend_from_slice(&values.join(&b','));
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(signed_headers.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload_hash.as_bytes());
    text
}

/// The path without dot segments (RFC 3986, 5.2.4) and empty segments, encoded once more than it arrived.
fn canonical_path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 1);
    for segment in &segments {
        canonical.push('/');
        encode(segment.as_bytes(), &mut canonical);
    }
    if matches!(path.rsplit('/').next(), Some("" | "." | "..")) {
        canonical.push('/');
    }
    canonical
}

/// The parameters in order of their encoded names, then values.
fn canonical_query(query: &str) -> String {
    let recoded = |text: &str| {
        let mut canonical = String::with_capacity(text.len());
        encode(&decoded(text), &mut canonical);
        canonical
    };
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut pairs: Vec<(String, String)> = parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// A header's value with one space in place of each run of white space.
fn folded(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// Encodes every byte that is not unreserved in RFC 3986.
fn encode(bytes: &[u8], encoded: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(digits(byte, HEX_UPPER));
        }
    }
}

/// Decodes a part of a query as signers do, to whom a plus sign is a space. A percent sign that begins no encoded byte
/// stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => match encoded_byte(behind) {
                Some((byte, behind)) => {
                    rest = behind;
                    byte
                }
                None => b'%',
            },
            plain => plain,
        });
    }
    decoded
}

/// The byte that two hexadecimal digits stand for, and what is behind them.
fn encoded_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], behind) = text.split_first_chunk()?;
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((value(*high)? << 4 | value(*low)?, behind))
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    digest::digest(&SHA256, bytes)
}

/// Hexadecimal digits in lower case.
pub(in crate::serve) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte, HEX_LOWER)).collect()
}

fn digits(byte: u8, digits: &[u8; 16]) -> impl Iterator<Item = char> {
    [byte >> 4, byte & 15].into_iter().filter_map(|digit| digits.get(usize::from(digit)).map(|c| char::from(*c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normalised_and_encoded_once_more() {
        for (path, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("/..", "/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a//b/", "/a/b/"),
            ("/a/../../b", "/b"),
            ("/...", "/..."),
            ("/%2e%2E/a", "/%252e%252E/a"),
            ("/a b%20c", "/a%20b%2520c"),
        ] {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded_sorted_and_encoded() {
        for (query, canonical) in [
            ("", ""),
            ("&&", ""),
            ("b&a", "a=&b="),
            ("a=2&a=1&a", "a=&a=1&a=2"),
            ("a=b=c", "a=b%3Dc"),
            ("a=b+c%20d%2Be", "a=b%20c%20d%2Be"),
            ("a=%e9%8d%B5", "a=%E9%8D%B5"),
            ("%zz=%4&%=%", "%25=%25&%25zz=%254"),
            ("%41=%7e", "A=~"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }
}

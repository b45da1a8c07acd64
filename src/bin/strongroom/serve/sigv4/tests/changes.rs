//! One thing of a signed request is not what was signed.

use chrono::TimeDelta;

use super::*;

/// What happens to a request on its way.
type Change = fn(&mut Row);

#[test]
fn a_request_that_was_changed_on_the_way_is_refused() {
    for row in recorded() {
        for index in 0..row.body.len().min(64) {
            row.changed(|row| row.body[index] ^= 1).refused("another byte in the body", INVALID, Some(MISMATCH));
        }
        let table: [(&str, Change); 8] = [
            ("one byte more in the body", |row| row.body.push(b'\n')),
            ("another body", |row| row.body = b"something else".to_vec()),
            ("another method", |row| row.method = "PATCH".to_owned()),
            ("method in lower case", |row| row.method.make_ascii_lowercase()),
            ("longer path", |row| row.path.push('x')),
            ("deeper path", |row| row.path.push_str("/x")),
            ("longer query", |row| row.query.push_str("&x=1")),
            ("longer value in the query", |row| row.query.push('1')),
        ];
        for (what, change) in table {
            row.changed(change).refused(what, INVALID, Some(MISMATCH));
        }
    }
}

/// What is said about a signed header whose value is not the signed one, or that is not there, or there twice.
fn codes_for(name: &str) -> [&'static str; 3] {
    match name {
        "x-amz-date" | "date" => [INCOMPLETE, INCOMPLETE, INCOMPLETE],
        "host" => [INVALID, INVALID, INCOMPLETE],
        "x-amz-security-token" => [UNRECOGNIZED, UNRECOGNIZED, UNRECOGNIZED],
        _ => [INVALID, INVALID, INVALID],
    }
}

#[test]
fn a_signed_header_that_was_changed_removed_or_repeated_is_refused() {
    for row in recorded() {
        for name in row.signed_headers() {
            let is_it = |(given, _): &(String, Vec<u8>)| given.eq_ignore_ascii_case(&name);
            let at = row.headers.iter().position(is_it).unwrap();
            let [changed, removed, repeated] = codes_for(&name);
            row.changed(|row| row.headers[at].1.push(b'x')).refused(&format!("{name} changed"), changed, None);
            row.changed(|row| row.headers[at].1.insert(0, b'x')).refused(&format!("{name} changed"), changed, None);
            row.changed(|row| row.headers.retain(|header| !is_it(header))).refused(
                &format!("{name} removed"),
                removed,
                None,
            );
            row.changed(|row| row.headers.insert(at, row.headers[at].clone())).refused(
                &format!("{name} repeated"),
                repeated,
                None,
            );
        }
    }
}

#[test]
fn headers_that_proxies_may_add_or_rewrite_are_no_part_of_the_signature() {
    for row in recorded() {
        row.changed(|row| row.set("User-Agent", "something else")).accepted("another user agent");
        row.changed(|row| row.set("X-Forwarded-For", "10.0.0.1")).accepted("forwarded");
        row.changed(|row| row.headers.iter_mut().for_each(|(name, _)| name.make_ascii_uppercase()))
            .accepted("names in upper case");
        row.changed(|row| row.headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase()))
            .accepted("names in lower case");
        row.changed(|row| row.headers.iter_mut().for_each(|(_, value)| value.insert(0, b' '))).accepted("with spaces");
    }
}

#[test]
fn what_must_be_signed_must_be_signed() {
    let row = usual();
    for (name, message) in [
        ("host", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
        ("x-amz-date", "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization."),
        ("x-amz-target", "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."),
        ("content-type", MISMATCH),
    ] {
        let kept: Vec<String> = row.signed_headers().into_iter().filter(|kept| kept != name).collect();
        row.replacing(&row.signed_headers().join(";"), &kept.join(";")).refused(name, INVALID, Some(message));
    }
    for name in ["X-Amz-Security-Token", "x-amz-content-sha256", "X-AMZ-anything", "x-amz-"] {
        row.changed(|row| row.set(name, "added")).refused(name, INVALID, None);
    }
    row.changed(|row| row.set("x-amzn-trace-id", "added")).accepted("a header of another family");
}

#[test]
fn signed_headers_must_be_written_in_their_canonical_form() {
    let row = usual();
    let names = "content-type;host;x-amz-date;x-amz-target";
    for (written, code) in [
        ("host;content-type;x-amz-date;x-amz-target", INCOMPLETE),
        ("Content-Type;host;x-amz-date;x-amz-target", INCOMPLETE),
        ("content-type;host;host;x-amz-date;x-amz-target", INCOMPLETE),
        (";content-type;host;x-amz-date;x-amz-target", INCOMPLETE),
        ("content-type;host;x-amz-date;x-amz-target;", INCOMPLETE),
        ("content-type;;host;x-amz-date;x-amz-target", INCOMPLETE),
        ("content-type; host;x-amz-date;x-amz-target", INCOMPLETE),
        ("content-type:host:x-amz-date:x-amz-target", INCOMPLETE),
        ("content-type;höst;x-amz-date;x-amz-target", INCOMPLETE),
        ("content-type;host;not-there;x-amz-date;x-amz-target", INVALID),
        ("authorization;content-type;host;x-amz-date;x-amz-target", INVALID),
    ] {
        row.replacing(names, written).refused(written, code, None);
    }
}

#[test]
fn another_scope_is_refused() {
    for row in recorded() {
        let date = row.now.format("/%Y%m%d/").to_string();
        let region = format!("/{}/", row.region);
        row.replacing(&date, "/20010101/").refused("another date", INVALID, None);
        row.replacing(&date, "//").refused("no date", INVALID, None);
        row.replacing(&region, "/af-south-1/").refused("another Region", INVALID, Some(MISMATCH));
        row.replacing("/secretsmanager/", "/kms/").refused(
            "another service",
            INVALID,
            Some("Credential should be scoped to correct service: 'secretsmanager'."),
        );
        row.replacing("/aws4_request", "/aws4_requests").refused(
            "another terminator",
            INVALID,
            Some("Credential should be scoped with a valid terminator: 'aws4_request'."),
        );
        row.replacing("Credential=", "Credential=x").refused("unknown key", UNRECOGNIZED, None);
        for (what, change) in [("one part less", ("/aws4_request", "")), ("one part more", ("/aws4", "/x/aws4"))] {
            let error = row.replacing(change.0, change.1).verify().unwrap_err();
            assert_eq!(error.code(), INCOMPLETE, "{}, {what}", row.name);
            assert!(error.message().starts_with("Credential must have exactly 5 slash-delimited elements"));
        }
        row.replacing("Credential=", "Credential=/").refused("nobody", INCOMPLETE, None);
    }
    usual().replacing("20260101/us-east-1/secretsmanager", "20260101/Here/there").refused(
        "several things at once",
        INVALID,
        Some(
            "Credential should be scoped to a valid region. Credential should be scoped to correct service: \
             'secretsmanager'.",
        ),
    );
}

#[test]
fn another_key_or_token_is_refused() {
    for row in recorded() {
        let secret = row.credential["secret_access_key"].as_str().unwrap();
        for other in [format!("{secret}x"), secret.to_uppercase(), NO_SECRET.to_owned()] {
            row.changed(|row| row.credential["secret_access_key"] = json!(other)).refused(
                "another secret",
                INVALID,
                Some(MISMATCH),
            );
        }
        let message = Some("The security token included in the request is invalid.");
        for other in ["t", "another-token"] {
            row.changed(|row| row.credential["session_token"] = json!(other)).refused(
                "another token",
                UNRECOGNIZED,
                message,
            );
        }
        let unknown = row.changed(|row| row.credential["access_key_id"] = json!("somebody"));
        unknown.refused("unknown key", UNRECOGNIZED, message);
        unknown.changed(|row| row.body.push(b'x')).refused("unknown key, changed body", UNRECOGNIZED, message);
        unknown.changed(|row| row.now += TimeDelta::hours(1)).refused("unknown key, late", INVALID, None);
        if row.has_token() {
            let tokenless = row.changed(|row| drop(row.credential.as_object_mut().unwrap().remove("session_token")));
            tokenless.refused("a token that was not asked for", UNRECOGNIZED, message);
        }
    }
}

/// Signs a row as it is now, whatever it claims.
fn signed_with(row: &Row, secret: &str) -> Row {
    let signature = row.with_request(|request| {
        let headers = Headers::of(request).unwrap();
        let authorization = Authorization::of(&headers).unwrap();
        let hash = hex(sha256(request.body).as_ref());
        let canonical = canonical_request(request, &headers, &authorization.signed_headers, &hash);
        authorization.sign(secret, &authorization.string_to_sign(&canonical))
    });
    row.replacing(&row.signature, &signature)
}

#[test]
fn the_stand_in_for_an_unknown_secret_opens_nothing() {
    for row in recorded().into_iter().filter(|row| !row.has_token()) {
        let stranger = row.changed(|row| row.credential["access_key_id"] = json!("somebody"));
        signed_with(&stranger, NO_SECRET).refused("forged", UNRECOGNIZED, None);
    }
}

#[test]
fn a_claim_about_the_body_must_be_true_even_if_the_signature_is_right() {
    let row = usual();
    let claiming = |hash: &str| {
        let claiming = row.changed(|row| row.set("X-Amz-Content-SHA256", hash));
        let claiming = claiming.replacing(";x-amz-date", ";x-amz-content-sha256;x-amz-date");
        signed_with(&claiming, row.credential["secret_access_key"].as_str().unwrap())
    };
    let hash = hex(sha256(&row.body).as_ref());
    claiming(&hash).accepted("the truth");
    for other in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "", &hash.to_uppercase(), &"0".repeat(64)] {
        claiming(other).refused(other, INVALID, Some(MISMATCH));
    }
}

#[test]
fn each_digit_of_the_signature_counts() {
    for row in recorded() {
        for index in 0..64 {
            let other = if row.signature.as_bytes()[index] == b'0' { '1' } else { '0' };
            let mut signature = row.signature.clone();
            signature.replace_range(index..=index, &other.to_string());
            row.replacing(&row.signature, &signature).refused("another digit", INVALID, Some(MISMATCH));
        }
        let upper = row.signature.to_uppercase();
        let shorter = row.signature.get(..63).unwrap();
        let longer = format!("{}0", row.signature);
        for other in [upper.as_str(), shorter, longer.as_str(), "0", &"0".repeat(64)] {
            row.replacing(&row.signature, other).refused(other, INVALID, Some(MISMATCH));
        }
    }
}

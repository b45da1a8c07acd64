//! Whose secrets a request is about, and whether it is let in.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::http::Version;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use strongroom::wire::WireResponse;
use strongroom::{Clock as _, SystemClock};

use crate::serve::credentials::Credentials;
use crate::serve::sigv4::{self, Identity, SignedRequest};

/// The account and Region of a request, and who sent it as far as is known.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) principal: Option<String>,
    /// On whose behalf the call is made, where policies are enforced.
    pub(super) acting: Option<Arc<strongroom::Caller>>,
}

/// The address that a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// How callers are told apart.
#[derive(Debug)]
pub(super) struct Callers {
    credentials: Arc<RwLock<Credentials>>,
    must_sign: bool,
    enforces_policies: bool,
    /// Names of this server, besides those of the loopback interface. Not looked at where signatures are.
    hosts: Vec<String>,
    account: String,
    region: String,
}

impl Callers {
    /// Callers of whom nothing is known count as those of this account and Region.
    pub(super) fn new((account, region): (&str, &str), credentials: Arc<RwLock<Credentials>>, must_sign: bool) -> Self {
        let (account, region) = (account.to_owned(), region.to_owned());
        Self { credentials, must_sign, enforces_policies: false, hosts: Vec::new(), account, region }
    }

    /// Calls are made on behalf of those who sign them, if they are to be.
    pub(super) fn enforce_policies(self, enforces_policies: bool) -> Self {
        Self { enforces_policies, must_sign: self.must_sign || enforces_policies, ..self }
    }

    /// With further names of this server.
    pub(super) fn allow_hosts(self, hosts: Vec<String>) -> Self {
        Self { hosts, ..self }
    }

    fn credentials(&self) -> RwLockReadGuard<'_, Credentials> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what a web page could send on behalf of whoever looks at it: a server without signatures trusts everybody
    /// on this machine, but not every page that their browser shows.
    pub(super) fn check_origin(&self, parts: &Parts) -> Result<(), WireResponse> {
        if parts.headers.contains_key(ORIGIN) {
            return Err(forbidden("Requests from web pages are not served."));
        }
        if parts.headers.get_all(HOST).iter().count() > 1 {
            return Err(WireResponse::error(400, "SerializationException", "The request names more than one host."));
        }
        if self.must_sign {
            return Ok(());
        }
        let host = match parts.headers.get(HOST).map(|host| host.to_str()) {
            // No browser sends such a request.
            None if parts.version < Version::HTTP_11 => return Ok(()),
            None => return Err(WireResponse::error(400, "SerializationException", "The request names no host.")),
            Some(host) => host.unwrap_or_default(),
        };
        if self.is_ours(host) {
            return Ok(());
        }
        Err(forbidden("This host name is not one of the server's. It is started with --allow-host for further names."))
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = host_name(host);
        let is_loopback = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_local = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
        is_loopback || is_local || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    }

    /// Who has sent a request.
    pub(super) fn identify(&self, parts: &Parts, body: &[u8]) -> Result<Caller, WireResponse> {
        if self.must_sign {
            return self.admit(parts, body);
        }
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(scope) = authorization.and_then(sigv4::scope) else {
            let (account, region) = (self.account.clone(), self.region.clone());
            return Ok(Caller { account, region, principal: None, acting: None });
        };
        let credentials = self.credentials();
        let known = credentials.identify(scope.access_key_id);
        let (account, principal) = match known {
            Some((account, principal)) => (account, principal),
            None if is_account(scope.access_key_id) => (scope.access_key_id, None),
            None => (self.account.as_str(), None),
        };
        let Some(region) = scope.region else { return Err(no_region()) };
        let (account, principal) = (account.to_owned(), principal.map(str::to_owned));
        Ok(Caller { account, region: region.to_owned(), principal, acting: None })
    }

    /// Refuses what no body could make right, before one is read.
    pub(super) fn check_head(&self, parts: &Parts) -> Result<(), WireResponse> {
        if !self.must_sign {
            return Ok(());
        }
        match self.verify(parts, b"") {
            // The signature covers the body, so this may still be the right one.
            Err(refused) if refused.error_code.as_deref() != Some("InvalidSignatureException") => Err(refused),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Who has signed a request.
    fn admit(&self, parts: &Parts, body: &[u8]) -> Result<Caller, WireResponse> {
        let Identity { account, principal, region, access_key_id } = self.verify(parts, body)?;
        // Passes are not of the file, and call on nobody's behalf.
        let acting = self.enforces_policies.then(|| self.credentials().caller(&access_key_id)).flatten();
        if self.enforces_policies && acting.is_none() {
            return Err(forbidden("Nobody is known by this key on whose behalf calls can be made."));
        }
        let acting = acting.map(|caller| match parts.extensions.get() {
            Some(Peer(address)) => Arc::new(Arc::unwrap_or_clone(caller).source_ip(*address)),
            None => caller,
        });
        Ok(Caller { account, region, principal, acting })
    }

    fn verify(&self, parts: &Parts, body: &[u8]) -> Result<Identity, WireResponse> {
        let headers: Vec<(&str, &[u8])> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &headers,
            body,
        };
        // Clients sign with the time of their own clocks, whatever the store's clock was moved to.
        sigv4::verify(&request, &self.credentials(), SystemClock.now())
            .map_err(|error| WireResponse::error(error.status(), error.code(), error.message()))
    }
}

/// As for a signature that is verified.
pub(super) fn no_region() -> WireResponse {
    WireResponse::error(400, "InvalidSignatureException", "Credential should be scoped to a valid region.")
}

fn forbidden(message: &str) -> WireResponse {
    WireResponse::error(403, "AccessDeniedException", message)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A `Host` header without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers() -> Callers {
        Callers {
            credentials: Arc::new(RwLock::new(
                Credentials::parse(
                    br#"{"credentials": [{"access_key_id": "AKIDALICE", "secret_access_key": "x",
                        "account": "111122223333", "principal": "arn:aws:iam::111122223333:user/alice"}]}"#,
                )
                .unwrap(),
            )),
            must_sign: false,
            enforces_policies: false,
            hosts: vec!["vault.test".to_owned()],
            account: "999999999999".to_owned(),
            region: "eu-west-1".to_owned(),
        }
    }

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_account_and_region_come_from_the_scope_of_the_signature() {
        let rows = [
            (
                "AWS4-HMAC-SHA256 Credential=AKIDALICE/20260101/us-west-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0",
                "111122223333",
                "us-west-2",
            ),
            (
                "AWS4-HMAC-SHA256 Credential=444455556666/20260101/us-west-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0",
                "444455556666",
                "us-west-2",
            ),
            (
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-west-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0",
                "999999999999",
                "us-west-2",
            ),
            ("Bearer nothing", "999999999999", "eu-west-1"),
            ("", "999999999999", "eu-west-1"),
        ];
        for (authorization, account, region) in rows {
            let caller = callers().identify(&parts(&[("authorization", authorization)]), b"").unwrap();
            assert_eq!((caller.account.as_str(), caller.region.as_str()), (account, region), "{authorization}");
        }
        for region in ["local", "", "us_east_1"] {
            let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{region}/secretsmanager/aws4_request");
            let refused = callers().identify(&parts(&[("authorization", &scope)]), b"").unwrap_err();
            assert_eq!(refused.error_code.as_deref(), Some("InvalidSignatureException"), "{region}");
        }
        let caller = callers().identify(&parts(&[]), b"").unwrap();
        assert_eq!((caller.account.as_str(), caller.region.as_str()), ("999999999999", "eu-west-1"));
    }

    #[test]
    fn a_name_that_is_not_the_servers_is_refused_and_so_is_a_web_page() {
        let rows = [
            ("127.0.0.1:4566", true),
            ("127.0.0.1", true),
            ("127.8.9.10:1", true),
            ("[::1]:4566", true),
            ("[::1]", true),
            ("localhost:4566", true),
            ("LocalHost", true),
            ("secrets.localhost:4566", true),
            ("vault.test:4566", true),
            ("evil.example:4566", false),
            ("localhost.evil.example", false),
            ("192.168.1.5:4566", false),
            ("0.0.0.0:4566", false),
            ("", false),
            ("::::", false),
        ];
        for (host, is_served) in rows {
            assert_eq!(callers().check_origin(&parts(&[("host", host)])).is_ok(), is_served, "{host}");
        }
        assert_eq!(callers().check_origin(&parts(&[])).unwrap_err().status, 400);
        let mut old = parts(&[]);
        old.version = Version::HTTP_10;
        assert!(callers().check_origin(&old).is_ok());
        let page = parts(&[("host", "localhost"), ("origin", "http://localhost:3000")]);
        assert_eq!(callers().check_origin(&page).unwrap_err().status, 403);
    }

    #[test]
    fn where_signatures_are_required_nothing_else_counts() {
        let callers = Callers { must_sign: true, ..callers() };
        let claims = "AWS4-HMAC-SHA256 Credential=444455556666/20260101/us-west-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0";
        for headers in [&[][..], &[("authorization", claims)], &[("authorization", "Bearer x")]] {
            assert_eq!(callers.identify(&parts(headers), b"").unwrap_err().status, 400);
        }
        assert!(callers.check_origin(&parts(&[("host", "vault.example")])).is_ok());
        for headers in [&[][..], &[("authorization", claims)], &[("authorization", "Bearer x")]] {
            assert!(callers.check_head(&parts(headers)).is_err(), "before the body is read");
        }
    }
}

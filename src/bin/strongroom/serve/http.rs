//! From an HTTP request to a call of the engine and back.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, EXPECT, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use strongroom::SecretBytes;
use strongroom::wire::{self, WireResponse};
use tokio::sync::RwLock;
use tokio::time::Instant;

use crate::serve::admin;
use crate::serve::at_work::AtWork;
use crate::serve::body::{Bodies, Received, Unread};
use crate::serve::caller::{self, Caller, Callers};
use crate::serve::clock::ServerClock;
use crate::serve::maintenance::Maintenance;
use crate::serve::random_id;
use crate::serve::shelf::Shelf;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// What every request shares.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) shelf: Arc<Shelf>,
    /// Who maintains the store, unless that is for others to do.
    pub(super) maintenance: Option<Arc<Maintenance>>,
    /// Whether replicas wait for maintenance.
    pub(super) defers_replication: bool,
    pub(super) callers: Callers,
    pub(super) clock: ServerClock,
    pub(super) has_admin: bool,
    pub(super) bodies: Bodies,
    pub(super) at_work: AtWork,
    /// Shared by all requests until they are in the log.
    pub(super) under_way: Arc<RwLock<()>>,
}

/// What the log says about a request besides its status.
#[derive(Debug, Clone, Default)]
struct Note {
    operation: &'static str,
    error_code: String,
    caller: Option<Caller>,
}

/// The id of a request, as its answer, the log and the audit file have it.
#[derive(Debug, Clone, Default)]
struct RequestId(String);

pub(super) fn router(server: Server) -> Router {
    let server = Arc::new(server);
    let mut router = Router::new().route("/", post(call)).route("/health", get(health));
    if server.has_admin {
        router = router
            .route("/_strongroom/reset", post(administer))
            .route("/_strongroom/clock", get(administer).post(administer))
            .route("/_strongroom/maintain", post(administer))
            .route("/_strongroom/stats", get(administer));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&server), attend))
        .with_state(server)
}

/// What is done for every request: who may come in at all, a request id, a line in the log.
///
/// All of it goes on when the client leaves, so that nothing is done that is not in the log.
async fn attend(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let under_way = Arc::clone(&server.under_way).read_owned().await;
    let attended = tokio::spawn(async move {
        let response = attend_to_the_end(server, request, next).await;
        drop(under_way);
        response
    });
    let attended = attended.await;
    attended.unwrap_or_else(|_| respond(internal("a request ended early"), Note::default()))
}

async fn attend_to_the_end(server: Arc<Server>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = random_id();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(RequestId(request_id.clone()));
    let mut response = match server.callers.check_origin(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refused) => respond(refused, Note::default()),
    };
    let Note { operation, error_code, caller } = response.extensions_mut().remove().unwrap_or_default();
    let (account, region, principal) = match &caller {
        Some(Caller { account, region, principal, acting: _ }) => {
            (account.as_str(), region.as_str(), principal.as_deref())
        }
        None => ("", "", None),
    };
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    if status >= 500 {
        tracing::error!(request_id, operation, status, error_code, account, region, principal, micros, "request");
    } else {
        tracing::info!(request_id, operation, status, error_code, account, region, principal, micros, "request");
    }
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

/// One call of the API.
async fn call(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
    let mut note = Note { operation: wire::operation(&target).unwrap_or_default(), ..Note::default() };
    let (caller, body) = match receive(&server, &parts, body).await {
        Ok(received) => received,
        Err(refused) => return respond(refused, note),
    };
    if !is_json(&parts, wire::CONTENT_TYPE) {
        let refused = WireResponse::error(400, "UnknownOperationException", "The content type is not the protocol's.");
        return respond(refused, note);
    }
    note.caller = Some(caller.clone());
    let begins_rotation = note.operation == "RotateSecret";
    let leaves_replicas_behind = server.defers_replication && !only_reads(note.operation);
    let id = parts.extensions.get().cloned().unwrap_or_default();
    let at_work = server.at_work.begin();
    let work = move || {
        let answer = dispatch(&server.shelf, &caller, &id, &target, &body.bytes);
        if let Some(maintenance) = server.maintenance.as_ref().filter(|_| answer.status == 200) {
            if begins_rotation {
                maintenance.ask();
            } else if leaves_replicas_behind {
                maintenance.look_again();
            }
        }
        answer
    };
    let answered = at_work.make(work).await;
    respond(answered.unwrap_or_else(|| internal("a call ended early")), note)
}

/// Whether an operation leaves every secret as it is.
fn only_reads(operation: &str) -> bool {
    ["Get", "BatchGet", "List", "Describe", "Validate"].iter().any(|start| operation.starts_with(start))
}

fn dispatch(shelf: &Shelf, caller: &Caller, id: &RequestId, target: &str, body: &[u8]) -> WireResponse {
    let Caller { account, region, principal: _, acting } = caller;
    let answered = shelf.with(|store| {
        // A Region that is none comes from a client, and is its mistake.
        let Ok(secrets) = store.secrets_manager(account, region) else {
            return Ok(caller::no_region());
        };
        let secrets = match acting {
            Some(acting) => secrets.as_caller(strongroom::Caller::clone(acting)),
            None => secrets,
        };
        let answer = wire::dispatch(&secrets.with_request_id(&id.0), target, body);
        if let Some(error) = answer.error.as_ref().filter(|_| answer.status >= 500) {
            tracing::error!(%error, "a call failed");
        }
        Ok(answer)
    });
    answered.unwrap_or_else(|failure| internal(&failure.to_string()))
}

/// One call of the administrative endpoint.
async fn administer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (operation, action) = match request.uri().path() {
        "/_strongroom/reset" => ("admin:reset", "reset"),
        "/_strongroom/clock" => ("admin:clock", "clock"),
        "/_strongroom/maintain" => ("admin:maintain", "maintain"),
        _ => ("admin:stats", "stats"),
    };
    let note = Note { operation, ..Note::default() };
    let Some(maintenance) = server.maintenance.clone() else { return not_found().await };
    let (parts, body) = request.into_parts();
    let (caller, body) = match receive(&server, &parts, body).await {
        Ok(received) => received,
        Err(refused) => return respond(refused, note),
    };
    // A web page can send other types without being asked who it is.
    if parts.method == Method::POST && !is_json(&parts, "application/json") {
        let refused = WireResponse::error(415, "UnsupportedMediaType", "The content type must be application/json.");
        return respond(refused, note);
    }
    let is_change = parts.method == Method::POST;
    let done = if action == "maintain" {
        Ok(admin::maintain(&maintenance, &body.bytes).await)
    } else {
        let acting = tokio::task::spawn_blocking(move || {
            let done = admin::act(&server.shelf, &server.clock, action, is_change, &body.bytes);
            if is_change && action == "clock" {
                maintenance.look_again();
            }
            done
        });
        acting.await
    };
    match done {
        Ok(done) => plain(done.status, done.body.to_string(), Note { caller: Some(caller), ..note }),
        Err(_) => respond(internal("a call ended early"), note),
    }
}

/// Reads the body and finds out who sent it.
async fn receive(server: &Server, parts: &Parts, body: Body) -> Result<(Caller, Received), WireResponse> {
    server.callers.check_head(parts)?;
    let waits_for_word = parts.headers.contains_key(EXPECT);
    let body = server.bodies.read(body, waits_for_word).await.map_err(|unread| match unread {
        Unread::TooLong => WireResponse::error(413, "RequestEntityTooLargeException", "The request is too large."),
        Unread::TooSlow => WireResponse::error(408, "RequestTimeoutException", "The request took too long to arrive."),
        Unread::Broken => WireResponse::error(400, "SerializationException", "The request ended early."),
    })?;
    let caller = server.callers.identify(parts, &body.bytes)?;
    Ok((caller, body))
}

/// Whether the store answers.
async fn health(State(server): State<Arc<Server>>) -> Response {
    let asked = tokio::task::spawn_blocking(move || server.shelf.with(|store| store.stats())).await;
    let note = Note { operation: "health", ..Note::default() };
    match asked {
        Ok(Ok(_)) => plain(200, r#"{"status":"ok"}"#.to_owned(), note),
        Ok(Err(_)) | Err(_) => plain(503, r#"{"status":"failing"}"#.to_owned(), note),
    }
}

async fn not_found() -> Response {
    respond(WireResponse::error(404, "UnknownOperationException", "There is nothing at this path."), Note::default())
}

async fn not_allowed() -> Response {
    respond(WireResponse::error(405, "UnknownOperationException", "Requests are sent by POST."), Note::default())
}

fn internal(why: &str) -> WireResponse {
    tracing::error!(why, "a call failed");
    WireResponse::error(500, "InternalServiceError", "An error occurred on the server side.")
}

/// Whether the request says that its body is of this type, with whatever parameters.
fn is_json(parts: &Parts, wanted: &str) -> bool {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

/// A body that wipes itself when the last of it is sent.
struct Wiped(SecretBytes);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

fn respond(answer: WireResponse, mut note: Note) -> Response {
    note.error_code = answer.error_code.unwrap_or_default().into_owned();
    let body =
        if answer.body.expose().is_empty() { Body::empty() } else { Body::from(Bytes::from_owner(Wiped(answer.body))) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    response.extensions_mut().insert(note);
    response
}

fn plain(status: u16, body: String, note: Note) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(note);
    response
}

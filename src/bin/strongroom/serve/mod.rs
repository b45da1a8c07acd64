//! `strongroom serve`: a store over HTTP, as the SDKs expect it.

mod admin;
mod at_work;
mod audit;
mod beside;
mod body;
mod caller;
mod clock;
mod connections;
mod credentials;
mod functions;
mod http;
mod maintenance;
mod passes;
mod shelf;
mod sigv4;
mod standby;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use strongroom::{Entropy as _, Observer, OpenMode, OsEntropy, Replication, StandbyDirectory};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{self, oneshot};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use crate::arguments::{LogFormat, LogLevel, Serve};
use crate::failure::Failure;
use crate::output;
use crate::place::{self, Keys};
use crate::serve::at_work::AtWork;
use crate::serve::audit::Audit;
use crate::serve::body::Bodies;
use crate::serve::caller::Callers;
use crate::serve::clock::ServerClock;
use crate::serve::credentials::Credentials;
use crate::serve::functions::{AccessKey, Functions};
use crate::serve::http::Server;
use crate::serve::maintenance::Maintenance;
use crate::serve::shelf::{Opening, Shelf};
use crate::serve::standby::Standby;

pub(crate) use crate::serve::beside::beside;

/// Between two rounds of maintenance, unless the arguments say otherwise.
const MAINTENANCE_SECONDS: u64 = 60;

/// Lines of the log that wait to be written; further ones are lost.
const LOG_LINES_MAX: usize = 16 * 1024;

pub(crate) fn run(arguments: Serve) -> Result<(), Failure> {
    let must_sign = arguments.verify_signatures || arguments.enforce_policies;
    if !arguments.listen.ip().is_loopback() && !must_sign {
        return Err(Failure::usage(format!(
            "`--listen {}` would let anybody who reaches this machine read every secret",
            arguments.listen
        ))
        .hint("listen on 127.0.0.1, or add --verify-signatures and --credentials FILE"));
    }
    let _log = log(arguments.log_format, arguments.log_level);
    let credentials = match &arguments.credentials {
        Some(path) => Some(Credentials::read(path, arguments.enforce_policies).map_err(Failure::usage)?),
        None => None,
    };
    if must_sign && credentials.as_ref().is_none_or(Credentials::is_empty) {
        return Err(Failure::usage("nobody could sign a request: the credentials file has no entry"));
    }
    // Before anything is made or opened, because the port may be taken.
    let listener = listen(arguments.listen)?;
    let audit = arguments.audit_file.as_deref().map(Audit::open).transpose()?.map(Arc::new);
    let access_key = if credentials.is_some() { AccessKey::Inherited } else { AccessKey::Account };
    let functions = Functions::new(&arguments.rotation, listener.local_addr()?, &access_key)?;
    let clock = ServerClock::default();
    let tell = match arguments.log_format {
        LogFormat::Text => place::tell_made,
        LogFormat::Json => log_made,
    };
    let keys = Keys::new(&arguments.place, tell)?;
    let followed_by = match &arguments.standby.standby {
        Some(directory) => Some(StandbyDirectory::new(keys.standby(directory, &arguments.standby.key, tell)?)),
        None => None,
    };
    let credentials = Arc::new(RwLock::new(credentials.unwrap_or_default()));
    let callers = Callers::new(keys.tenant(), credentials, must_sign).enforce_policies(arguments.enforce_policies);
    let (durability, is_deferred) = (arguments.durability, arguments.replicas.deferred_replication);
    let observer = audit.clone().map(|audit| audit as Arc<dyn Observer>);
    let opening = Opening {
        keys,
        clock: clock.clone(),
        durability,
        functions,
        observer,
        rotates_inline: false,
        replication: if is_deferred { Replication::Deferred } else { Replication::Synchronous },
        also_regions: arguments.replicas.also.also_regions.clone(),
    };
    let shelf = Arc::new(Shelf::open(opening, OpenMode::OpenOrCreate)?);
    let standby = followed_by.map(|link| Standby::start(Arc::clone(&shelf), link)).transpose()?;
    // Whoever moves the clock wants to see what is due then.
    let seconds = arguments.maintain_every.unwrap_or(if arguments.admin { 0 } else { MAINTENANCE_SECONDS });
    let interval = (seconds > 0).then(|| Duration::from_secs(seconds));
    let (maintenance, maintenance_ended) = Maintenance::start(Arc::clone(&shelf), clock.clone(), interval)?;
    let server = Server {
        shelf: Arc::clone(&shelf),
        maintenance: Some(Arc::clone(&maintenance)),
        defers_replication: is_deferred,
        callers: callers.allow_hosts(arguments.allow_host.clone()),
        clock,
        has_admin: arguments.admin,
        bodies: Bodies::new(arguments.max_body_bytes),
        at_work: AtWork::default(),
        under_way: Arc::default(),
    };

    let runtime = Runtime::new()?;
    let served = runtime.block_on(serve(&arguments, listener, server, (maintenance, maintenance_ended)));
    // Calls that are still under way finish before the store is closed.
    drop(runtime);
    if let Some(standby) = standby {
        standby.finish();
    }
    let closed = shelf.close();
    let audited = audit.map_or(Ok(()), |audit| audit.check());
    served.and(closed).and(audited)
}

/// Where the log is for programs, this has to be one of its lines.
fn log_made(what: &str, path: &Path) {
    tracing::warn!(path = %path.display(), "made {what}; without it nothing in the store can be read, so back it up apart from the store");
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    let bind = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error: io::Error| {
        let is_taken = error.kind() == io::ErrorKind::AddrInUse;
        let failure = Failure::from(error).during(format_args!("cannot listen on {address}"));
        if is_taken { failure.hint("--listen 127.0.0.1:0 takes a free port and says which") } else { failure }
    })
}

/// Does something when the process is asked to end, as long as the result is kept.
pub(crate) fn on_stop_signal(act: impl FnOnce() + Send + 'static) -> io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let entered = runtime.enter();
    let asked = connections::stop_signal()?;
    drop(entered);
    runtime.spawn(async move {
        asked.await;
        act();
    });
    Ok(runtime)
}

async fn serve(
    arguments: &Serve,
    listener: std::net::TcpListener,
    server: Server,
    (maintenance, maintenance_ended): (Arc<Maintenance>, oneshot::Receiver<()>),
) -> Result<(), Failure> {
    let listener = TcpListener::from_std(listener)?;
    let stop = connections::stop_signal()?;
    let address = listener.local_addr()?;
    output::line(format_args!("listening on http://{address}"))?;
    let Serve { verify_signatures, enforce_policies, admin, .. } = *arguments;
    let verifies_signatures = verify_signatures || enforce_policies;
    tracing::info!(%address, verifies_signatures, enforces_policies = enforce_policies, admin, "ready");

    let under_way = Arc::clone(&server.under_way);
    connections::serve(listener, http::router(server), stop).await;
    maintenance.stop();
    let maintenance_ended = tokio::time::timeout(connections::STOP_PATIENCE, maintenance_ended);
    let _ = tokio::join!(settle(&under_way), maintenance_ended);
    tracing::info!("stopped");
    Ok(())
}

/// Waits for what is under way, also for what was asked by clients that have left.
async fn settle(under_way: &sync::RwLock<()>) {
    if tokio::time::timeout(connections::STOP_PATIENCE, under_way.write()).await.is_err() {
        tracing::warn!("some requests did not come to an end in time");
    }
}

/// A random UUID, for names that must not meet. Nothing depends on its being secret, so a failing source is no failure.
fn random_id() -> String {
    let mut bytes = [0; 16];
    let _ = OsEntropy::default().fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Lines on standard error. They name operations, codes and accounts, never secrets or their values.
///
/// They are written by a thread of their own until the guard is dropped: whoever does not read them, or cannot keep them,
/// loses lines but does not stop the server.
fn log(format: LogFormat, level: LogLevel) -> WorkerGuard {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let (lines, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LOG_LINES_MAX).finish(io::stderr());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(lines)
        .with_target(false)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    guard
}

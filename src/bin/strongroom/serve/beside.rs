//! A server beside another command: as long as the command works on the store, the rotation functions that it calls find the
//! API there. It has no log, no maintenance of its own, and nothing to administer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use strongroom::{Observer, OpenMode, Replication, SecretStore};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::arguments::rotation::Beside;
use crate::arguments::{Durability, Place};
use crate::failure::Failure;
use crate::place::{self, Keys};
use crate::serve::at_work::AtWork;
use crate::serve::body::Bodies;
use crate::serve::caller::Callers;
use crate::serve::clock::ServerClock;
use crate::serve::functions::{AccessKey, Functions};
use crate::serve::http::Server;
use crate::serve::passes::Passes;
use crate::serve::shelf::{Opening, Shelf};
use crate::serve::{connections, http, listen, settle};

/// Longest body that is read. No value comes near it.
const BODY_BYTES_MAX: u32 = 1024 * 1024;

/// Any free port.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Works on a store that is there, and serves it meanwhile if there is anybody who would do the work of rotations.
pub(crate) fn beside<T>(
    place: &Place,
    arguments: &Beside,
    rotates_inline: bool,
    observer: Arc<dyn Observer>,
    work: impl FnOnce(&SecretStore) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if arguments.rotation.is_nobody() {
        let store = place::open_with(place, |builder| builder.rotate_inline(rotates_inline).observer(observer))?;
        let done = work(&store)?;
        store.close()?;
        return Ok(done);
    }
    place::require_store(place)?;
    let listener = listen(address(arguments)?)?;
    let passes = Passes::default();
    // Functions behind an endpoint have credentials from elsewhere, if any, so that nobody's can be checked.
    let must_sign = arguments.rotation.lambda_endpoint.is_none();
    let access_key = AccessKey::Pass(passes.clone());
    let functions = Functions::new(&arguments.rotation, listener.local_addr()?, &access_key)?;
    let (keys, clock) = (Keys::new(place, place::tell_made)?, ServerClock::default());
    let callers = Callers::new(keys.tenant(), passes.credentials(), must_sign);
    let durability = Durability::Immediate;
    let opening = Opening {
        keys,
        clock: clock.clone(),
        durability,
        functions,
        observer: Some(observer),
        rotates_inline,
        replication: Replication::default(),
        also_regions: Vec::new(),
    };
    let shelf = Arc::new(Shelf::open(opening, OpenMode::OpenExisting)?);
    let server = Server {
        shelf: Arc::clone(&shelf),
        maintenance: None,
        defers_replication: false,
        callers,
        clock,
        has_admin: false,
        bodies: Bodies::new(BODY_BYTES_MAX),
        at_work: AtWork::default(),
        under_way: Arc::default(),
    };

    let runtime = Runtime::new()?;
    let entered = runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    drop(entered);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(async move {
        let under_way = Arc::clone(&server.under_way);
        // It is the end of the work, not a word from it, that is waited for.
        connections::serve(listener, http::router(server), async { drop(stopped.await) }).await;
        settle(&under_way).await;
    });
    let done = shelf.lent(work);
    drop(stop);
    // What it could fail with is of no interest to anybody any more.
    let _ = runtime.block_on(serving);
    drop(runtime);
    let closed = shelf.close();
    let done = done?;
    closed?;
    Ok(done)
}

/// Where to listen.
fn address(arguments: &Beside) -> Result<SocketAddr, Failure> {
    let address = match arguments.listen {
        None if arguments.rotation.lambda_endpoint.is_none() => ANYWHERE,
        None => {
            return Err(Failure::usage("functions behind --lambda-endpoint have to know where they find the API")
                .hint("--listen ADDRESS:PORT says where it is to be, for example 127.0.0.1:4566"));
        }
        Some(address) => address,
    };
    if !address.ip().is_loopback() {
        let text = format!("`--listen {address}` would let anybody who reaches this machine read every secret");
        return Err(Failure::usage(text).hint(
            "listen on 127.0.0.1; to be reached from elsewhere, use `strongroom serve` with --verify-signatures",
        ));
    }
    Ok(address)
}

//! `strongroom replicate`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use strongroom::{Builder, Error, OpenMode, Progress, ReplicationReport, SecretStore, StandbyDirectory};

use crate::arguments::standby::Replicate;
use crate::commands::salvage::how_to_open;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place::{self, WholeKeys};
use crate::serve;
use crate::standby::{Stop, Stoppable};

/// The file of a store that changes with every commit. Whoever has the store open does not mind that others read it.
const ANCHOR: &str = "store.anchor";

/// A catch-up, for programs.
#[derive(Serialize)]
struct Summary {
    seeded_secrets: Option<u64>,
    frames: u64,
    commits: u64,
    bytes: u64,
    epoch: u64,
}

pub(crate) fn run(arguments: Replicate) -> Result<(), Failure> {
    let Replicate { standby, follow, interval, keep, report: format, whole, key } = arguments;
    place::require_store_in(&whole.dir)?;
    let keys = WholeKeys::new(&whole, &whole.dir)?;
    let link = StandbyDirectory::new(keys.standby(&standby, &key)?);
    let following = Following { keys, link, standby, anchor: whole.dir.join(ANCHOR), keep, is_json: format.json };
    if follow {
        return following.until_stopped(Duration::from_secs(interval.into()));
    }
    let (done, _) = following.catch_up(&Stop::default())?;
    following.tell(&done)?;
    if done.seeded_secrets.is_some() && !format.json {
        let opened_by = key.own();
        output::line(how_to_open(&whole.dir, &following.standby, opened_by.as_ref().unwrap_or(&whole.key))?)?;
    }
    Ok(())
}

/// A store and its standby.
struct Following {
    keys: WholeKeys,
    link: StandbyDirectory,
    standby: PathBuf,
    anchor: PathBuf,
    keep: Option<u64>,
    is_json: bool,
}

impl Following {
    /// Brings the standby to where the store is. Gives what the store's anchor was then. Both are open only meanwhile.
    fn catch_up(&self, stop: &Stop) -> Result<(ReplicationReport, Option<Vec<u8>>), Failure> {
        let link = Stoppable::new(&self.link, stop);
        let caught_up =
            self.keys.opened("replicating".to_owned(), |builder, tell| self.open_both(builder, &link, tell));
        // Whatever has become of it, nobody has to wait for what is done.
        let closed = self.link.close();
        let caught_up = caught_up.map_err(|failure| {
            let whose = format!("the standby `{}`", self.standby.display());
            if link.has_failed() { failure.during(whose) } else { failure }
        })?;
        closed?;
        Ok(caught_up)
    }

    fn open_both(
        &self,
        builder: Builder,
        link: &Stoppable<'_>,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<(ReplicationReport, Option<Vec<u8>>), Error> {
        let store = builder.mode(OpenMode::OpenExisting).open()?;
        let done = self.bring(&store, link, tell);
        // Nobody else can commit as long as it is open.
        let anchor = fs::read(&self.anchor).ok();
        let closed = store.close();
        let done = done?;
        closed?;
        Ok((done, anchor))
    }

    fn bring(
        &self,
        store: &SecretStore,
        link: &Stoppable<'_>,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<ReplicationReport, Error> {
        if let Some(keep) = self.keep
            && store.kept_changes()?.is_none_or(|kept| kept.commits_max != keep)
        {
            store.keep_changes(keep)?;
        }
        store.replicate_to(link, tell)
    }

    /// One catch-up after the other, whenever the store has changed.
    fn until_stopped(&self, interval: Duration) -> Result<(), Failure> {
        let stop = Arc::new(Stop::default());
        let asked = Arc::clone(&stop);
        let _signals = serve::on_stop_signal(move || asked.ask())?;
        let (mut seen, mut is_waiting, mut is_first) = (None, false, true);
        while !stop.is_asked() {
            let now = fs::read(&self.anchor).ok();
            if is_first || now.is_none() || now != seen {
                if !is_first {
                    // One that has gone with its medium is not made anew on another one.
                    let whose = format!("the standby `{}`", self.standby.display());
                    place::require_store_in(&self.standby).map_err(|failure| failure.during(whose))?;
                }
                match self.catch_up(&stop) {
                    Ok((done, anchor)) => {
                        if is_first || done.commits > 0 || done.seeded_secrets.is_some() {
                            self.tell(&done)?;
                        }
                        (seen, is_waiting, is_first) = (anchor, false, false);
                    }
                    // What was brought over until then is there, and the next call goes on.
                    Err(_) if stop.is_asked() => break,
                    Err(failure) if failure.is(Code::InUse) => {
                        if !std::mem::replace(&mut is_waiting, true) {
                            // Nobody is left to be told if this fails.
                            let _ = writeln!(io::stderr(), "waiting: {}", output::shown(&failure.to_string()));
                        }
                    }
                    Err(failure) => return Err(failure),
                }
            }
            stop.wait(interval);
        }
        Ok(())
    }

    fn tell(&self, done: &ReplicationReport) -> Result<(), Failure> {
        let ReplicationReport { seeded_secrets, frames, commits, bytes, position, .. } = *done;
        let epoch = position.epoch();
        if self.is_json {
            return output::json_line(&Summary { seeded_secrets, frames, commits, bytes, epoch });
        }
        let copied = seeded_secrets.map(|secrets| format!("copied {}", counted(secrets, "secret")));
        let applied = (commits > 0).then(|| format!("applied {}", counted(commits, "commit")));
        let told: Vec<String> = copied.into_iter().chain(applied).collect();
        let told = if told.is_empty() { "nothing new".to_owned() } else { told.join(", ") };
        output::line(format_args!("{told}: the standby is at commit {epoch}"))
    }
}

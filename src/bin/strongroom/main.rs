//! The `strongroom` command: an offline Secrets Manager in one directory, over HTTP or from the shell.

mod arguments;
mod commands;
mod failure;
mod output;
mod place;
mod progress;
mod serve;
mod standby;
mod values;

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser as _;
use zeroizing_alloc::ZeroAlloc;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Wipes whatever is freed, because the network's and the terminal's libraries do not wipe what passed through them.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Serve(serve) => serve::run(serve),
        Command::Init(init) => commands::init::run(&init),
        Command::Create(create) => commands::create::run(create),
        Command::Get(get) => commands::get::run(get),
        Command::Put(put) => commands::put::run(put),
        Command::List(list) => commands::list::run(list),
        Command::Describe(describe) => commands::describe::run(describe),
        Command::Versions(versions) => commands::versions::run(versions),
        Command::Tag(tag) => commands::tag::run(tag),
        Command::Update(update) => commands::update::run(update),
        Command::Stage(stage) => commands::stage::run(stage),
        Command::Delete(delete) => commands::delete::run(delete),
        Command::Restore(restore) => commands::restore::run(restore),
        Command::Rotate(rotate) => commands::rotation::rotate(rotate),
        Command::Rotation(rotation) => commands::rotation::run(rotation),
        Command::Policy(policy) => commands::policy::run(policy),
        Command::Replicas(replicas) => commands::replicas::run(replicas),
        Command::Maintain(maintain) => commands::maintain::run(&maintain),
        Command::Verify(verify) => commands::verify::run(verify),
        Command::Backup(backup) => commands::backup::run(backup),
        Command::RestoreBackup(restore) => commands::restore_backup::run(restore),
        Command::Salvage(salvage) => commands::salvage::run(salvage),
        Command::SalvageReader(reader) => commands::salvage::read(&reader),
        Command::Replicate(replicate) => commands::replicate::run(replicate),
        Command::Standby(standby) => commands::standby::run(standby),
        Command::Compact(compact) => commands::compact::run(compact),
        Command::Export(export) => commands::export::run(export),
        Command::Import(import) => commands::import::run(import),
        Command::Audit(audit) => commands::audit::run(audit),
        Command::Keys(keys) => commands::keys::run(keys),
        Command::RandomPassword(password) => commands::random_password::run(password),
        Command::Completions(completions) => commands::completions::run(&completions),
    }
}

//! `strongroom keys`.

mod census;
mod header;
mod keyring;
mod passphrase;
mod report;
mod root;
mod wraps;

use crate::arguments::keys::KeyCommand;
use crate::failure::Failure;

pub(crate) fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Census(census) => census::run(&census),
        KeyCommand::Rewrap(rewrap) => wraps::rewrap(rewrap),
        KeyCommand::Reencrypt(reencrypt) => wraps::reencrypt(&reencrypt),
        KeyCommand::DropWraps(dropped) => wraps::drop_wraps(&dropped),
        KeyCommand::AddRecipient(added) => wraps::add_recipient(&added),
        KeyCommand::RotateRoot(work) => root::rotate(&work),
        KeyCommand::Shred(work) => root::shred(&work),
        KeyCommand::ChangePassphrase(change) => passphrase::change(&change),
        KeyCommand::BackupHeader(backup) => header::backup(&backup),
        KeyCommand::RestoreHeader(restore) => header::restore(&restore),
        KeyCommand::List(list) => keyring::list(&list),
        KeyCommand::Create(create) => keyring::create(create),
        KeyCommand::Disable(key) => keyring::change(key, &keyring::DISABLE),
        KeyCommand::Enable(key) => keyring::change(key, &keyring::ENABLE),
        KeyCommand::ScheduleDeletion(key) => keyring::change(key, &keyring::SCHEDULE_DELETION),
        KeyCommand::CancelDeletion(key) => keyring::change(key, &keyring::CANCEL_DELETION),
        KeyCommand::Rotate(key) => keyring::change(key, &keyring::ROTATE),
        KeyCommand::Alias(alias) => keyring::alias(alias),
    }
}

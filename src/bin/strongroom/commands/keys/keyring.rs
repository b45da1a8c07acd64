//! The keys of a keyring: `strongroom keys list`, `create`, `disable`, `enable`, `schedule-deletion`, `cancel-deletion`,
//! `rotate` and `alias`.

use serde::Serialize;
use strongroom::{Error, ErrorKind, KeyDescription, KeyScope, KeyState, LocalKeyring};

use crate::arguments::Place;
use crate::arguments::keys::{Alias, Create, OneKey, Work};
use crate::failure::{Code, Failure};
use crate::{output, place};

/// A key as programs see it.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    state: &'static str,
    aws_managed: bool,
    versions: usize,
    aliases: &'a [String],
}

impl<'a> From<&'a KeyDescription> for Line<'a> {
    fn from(key: &'a KeyDescription) -> Self {
        let KeyDescription { arn, state, aws_managed, versions, aliases, .. } = key;
        Self { key: arn, state: named(*state), aws_managed: *aws_managed, versions: *versions, aliases }
    }
}

/// As AWS KMS writes it.
fn named(state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => "Enabled",
        KeyState::Disabled => "Disabled",
        KeyState::PendingDeletion => "PendingDeletion",
        KeyState::PendingImport => "PendingImport",
        _ => "Unavailable",
    }
}

pub(crate) fn list(arguments: &Work) -> Result<(), Failure> {
    let Work { report: format, holder } = arguments;
    let keys = place::open_keyring(&holder.place)?.keys();
    if format.json {
        keys.iter().try_for_each(|key| output::json_line(&Line::from(key)))?;
        return output::json_line(&serde_json::json!({ "keys": keys.len() }));
    }
    output::table(&["KEY", "STATE", "VERSIONS", "MANAGED BY", "ALIASES"], keys.iter().map(row))
}

fn row(key: &KeyDescription) -> Vec<String> {
    let name = |alias: &String| alias.rsplit_once(':').map_or(alias.clone(), |(_, name)| name.to_owned());
    vec![
        key.arn.clone(),
        named(key.state).to_owned(),
        key.versions.to_string(),
        if key.aws_managed { "store" } else { "you" }.to_owned(),
        key.aliases.iter().map(name).collect::<Vec<_>>().join(", "),
    ]
}

pub(crate) fn create(arguments: Create) -> Result<(), Failure> {
    let Create { alias, report: format, holder } = arguments;
    let place = &holder.place;
    let keyring = place::open_or_make_keyring(place)?;
    place::require_tenant(&place.account, &place.region)?;
    let scope = KeyScope::of(&place.account, &place.region);
    if let Some(alias) = &alias {
        require_alias(alias, scope)?;
        if find(&keyring, place, alias).is_ok() {
            return Err(Failure::new(Code::Conflict, format!("there is a key with the alias `{alias}` already"))
                .hint("`strongroom keys alias NAME KEY` lets a name lead to another key"));
        }
    }
    let arn = keyring.create_key(scope)?;
    if let Some(alias) = &alias {
        keyring.create_alias(alias, &arn)?;
    }
    tell(&keyring, &arn, &arn, format.json)
}

/// A change of one key: what the keyring is asked for, and what is told.
pub(super) struct Change {
    change: fn(&LocalKeyring, &str) -> strongroom::Result<()>,
    told: &'static str,
}

pub(super) const DISABLE: Change = Change { change: LocalKeyring::disable_key, told: "disabled" };
pub(super) const ENABLE: Change = Change { change: LocalKeyring::enable_key, told: "enabled" };
pub(super) const SCHEDULE_DELETION: Change =
    Change { change: LocalKeyring::schedule_key_deletion, told: "scheduled for deletion:" };
pub(super) const CANCEL_DELETION: Change =
    Change { change: LocalKeyring::cancel_key_deletion, told: "not to be deleted any more, and disabled:" };
pub(super) const ROTATE: Change = Change { change: LocalKeyring::rotate_key, told: "rotated" };

pub(crate) fn change(arguments: OneKey, change: &Change) -> Result<(), Failure> {
    let OneKey { key, report: format, holder } = arguments;
    let keyring = place::open_keyring(&holder.place)?;
    let arn = find(&keyring, &holder.place, &key)?.arn;
    (change.change)(&keyring, &arn).map_err(|error| not_done(error, Code::Conflict))?;
    tell(&keyring, &arn, &format!("{} {arn}", change.told), format.json)
}

pub(crate) fn alias(arguments: Alias) -> Result<(), Failure> {
    let Alias { name, key, report: format, holder } = arguments;
    let keyring = place::open_keyring(&holder.place)?;
    let arn = find(&keyring, &holder.place, &key)?.arn;
    keyring.create_alias(&name, &arn).map_err(|error| not_done(error, Code::Invalid))?;
    tell(&keyring, &arn, &format!("{name} leads to {arn}"), format.json)
}

/// What the keyring refuses although the key is there is wrong in one way only, which depends on what was asked for.
fn not_done(error: Error, code: Code) -> Failure {
    let is_refused = *error.kind() == ErrorKind::Configuration;
    let failure = Failure::from(error);
    if is_refused { failure.code(code) } else { failure }
}

/// A name that is none is told before there is a key that would have it.
fn require_alias(alias: &str, scope: KeyScope<'_>) -> Result<(), Failure> {
    let rehearsal = LocalKeyring::in_memory();
    let key = rehearsal.create_key(scope)?;
    rehearsal.create_alias(alias, &key).map_err(|error| not_done(error, Code::Invalid))
}

/// The key that is meant by an id, an ARN, an alias of the account and Region, or the ARN of an alias.
fn find(keyring: &LocalKeyring, place: &Place, name: &str) -> Result<KeyDescription, Failure> {
    let Place { account, region, .. } = place;
    let own = [format!(":{region}:{account}:key/{name}"), format!(":{region}:{account}:{name}")];
    let is_own = |arn: &str| !name.contains(':') && own.iter().any(|own| arn.ends_with(own.as_str()));
    let is_meant = |key: &KeyDescription| {
        let mut names = std::iter::once(&key.arn).chain(&key.aliases);
        names.any(|arn| arn == name || is_own(arn))
    };
    keyring.keys().into_iter().find(is_meant).ok_or_else(|| {
        Failure::new(Code::Key, format!("the keyring has no key `{name}` in {account}, {region}"))
            .hint("`strongroom keys list` shows its keys; --account and --region say where a name is looked for")
    })
}

/// The key as it is now for programs, or a text for people.
fn tell(keyring: &LocalKeyring, arn: &str, text: &str, is_json: bool) -> Result<(), Failure> {
    if !is_json {
        return output::line(output::shown(text));
    }
    match keyring.keys().iter().find(|key| key.arn == arn) {
        Some(key) => output::json_line(&Line::from(key)),
        None => Err(Failure::new(Code::Key, format!("the keyring has no key `{arn}` any more"))),
    }
}

//! Help, usage and completions: what somebody reads who has never seen the command.

use crate::fixture::{Folder, run};

/// Every subcommand with the options that its help has to name.
const COMMANDS: [(&str, &[&str]); 32] = [
    (
        "serve",
        &[
            "--listen",
            "--credentials",
            "--verify-signatures",
            "--enforce-policies",
            "`policies`",
            "--admin",
            "--allow-host",
            "--max-body-bytes",
            "--maintain-every",
            "--audit-file",
            "--durability",
            "--log-format",
            "--log-level",
            "--lambda-endpoint",
            "--rotation-command",
            "--deferred-replication",
            "--also-region",
            "--standby <DIR>",
            "--standby-key-file",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            "127.0.0.1:4566",
            "listening on http://",
            "SIGTERM",
        ],
    ),
    ("init", &[]),
    (
        "create",
        &[
            "<NAME>",
            "--value-file",
            "--binary",
            "--no-value",
            "--description",
            "--kms-key-id",
            "--tag",
            "--token",
            "--replica-region <REGION[=KEY]>",
            "--overwrite-replicas",
            "--cross-account-primary <ARN>",
            "--also-region",
            "--json",
            "standard input",
        ],
    ),
    ("get", &["<ID>", "--version-id", "--version-stage", "--json"]),
    ("put", &["<ID>", "--value-file", "--binary", "--version-stage", "--token", "--json", "standard input"]),
    ("list", &["--filter", "--include-deleted", "--sort-by", "--descending", "--json", "tag-key"]),
    ("describe", &["<ID>", "--json"]),
    ("versions", &["<ID>", "--include-deprecated", "--json"]),
    ("tag", &["<ID>", "KEY=VALUE", "--remove"]),
    ("delete", &["<ID>", "--recovery-window", "--force", "7 to 30", "--json"]),
    ("restore", &["<ID>", "--json", "restore-backup"]),
    (
        "rotate",
        &[
            "<ID>",
            "--function",
            "--every-days",
            "--schedule",
            "--duration",
            "--no-run-now",
            "--token",
            "--rotation-command",
            "--lambda-endpoint",
            "--listen",
            "--json",
            "cron(",
            "strongroom maintain",
        ],
    ),
    ("rotation", &["status", "cancel"]),
    ("policy", &["put", "get", "delete", "list", "validate", "explain"]),
    ("replicas", &["add", "remove", "list", "promote", "associate", "disassociate"]),
    ("maintain", &["--json", "rotation status", "code 9", "--rotation-command", "--lambda-endpoint", "--listen"]),
    ("verify", &["--no-values", "--expect-epoch", "--json", "restore-backup", "salvage"]),
    ("backup", &["<FILE>", "--json", "restore-backup", "keyring"]),
    ("restore-backup", &["<FILE>", "--json", "strongroom restore SECRET", "strongroom backup"]),
    ("salvage", &["<SOURCE>", "--json", "SOURCE.keyring", "restore-backup"]),
    (
        "replicate",
        &[
            "<STANDBY>",
            "--follow",
            "--interval",
            "--keep <COMMITS>",
            "--standby-keyring",
            "--standby-key-file",
            "--json",
            "strongroom standby promote",
            "strongroom serve --standby",
        ],
    ),
    ("standby", &["status", "promote", "forget"]),
    ("compact", &["--if-recommended", "--json", "space"]),
    (
        "export",
        &[
            "<FILE>",
            "--export-key-file",
            "--export-passphrase ",
            "--export-passphrase-fd",
            "--skip-unreadable",
            "--plain",
            "--yes-write-values-in-plain-text",
            "--json",
            "strongroom import",
        ],
    ),
    (
        "import",
        &[
            "<FILE>",
            "--export-key-file",
            "--export-passphrase ",
            "--export-passphrase-fd",
            "--plain",
            "--dry-run",
            "--kms-key-id",
            "--json",
            "strongroom export",
        ],
    ),
    ("audit", &["verify"]),
    ("audit verify", &["<FILE>", "--expect-head <HEX>", "--json", "Exit code 8"]),
    ("keys", &["census", "rewrap", "add-recipient", "restore-header", "rotate"]),
    ("stage", &["<ID>", "<LABEL>", "--from", "--to", "--json"]),
    ("update", &["<ID>", "--description", "--kms-key-id", "--json"]),
    (
        "random-password",
        &["--length", "--exclude-characters", "--exclude ", "--include-space", "--any-types", "punctuation", "--json"],
    ),
    ("completions", &["<SHELL>", "bash", "zsh", "fish", "powershell", "elvish"]),
];

/// Every subcommand of `keys`.
const KEY_COMMANDS: [(&str, &[&str]); 18] = [
    ("keys census", &["--json", "ONLY KEY OF"]),
    (
        "keys rewrap",
        &["--replace <FROM> <TO>", "--only <ACCOUNT/REGION>", "--dry-run", "--json", "code 6", "keys reencrypt"],
    ),
    ("keys reencrypt", &["--only <ACCOUNT/REGION>", "--dry-run", "--json", "code 6", "keys shred"]),
    (
        "keys drop-wraps",
        &["<KEY>", "--only <ACCOUNT/REGION>", "--dry-run", "--json", "exit code 4", "code 6", "backup"],
    ),
    ("keys add-recipient", &["<KEY>", "--json", "code 6", "keys drop-wraps"]),
    ("keys rotate-root", &["--json", "Backups"]),
    ("keys shred", &["--json", "Promised:", "Not promised:", "snapshots", "backups"]),
    ("keys change-passphrase", &["--new-passphrase-file", "--new-passphrase-fd", "--json", "again", "Backups"]),
    ("keys backup-header", &["<FILE>", "--json", "root key", "strongroom backup"]),
    ("keys restore-header", &["<FILE>", "--json", "backup-header"]),
    ("keys list", &["--json", "A server"]),
    ("keys create", &["--alias", "--json", "add-recipient", "A server"]),
    ("keys disable", &["<KEY>", "--json", "A server"]),
    ("keys enable", &["<KEY>", "--json", "A server"]),
    ("keys schedule-deletion", &["<KEY>", "--json", "keys census", "A server"]),
    ("keys cancel-deletion", &["<KEY>", "--json", "A server"]),
    ("keys rotate", &["<KEY>", "--json", "keys rewrap", "A server"]),
    ("keys alias", &["<NAME>", "<KEY>", "--json", "A server"]),
];

/// Every subcommand of `rotation`.
const ROTATION_COMMANDS: [(&str, &[&str]); 2] = [
    ("rotation status", &["[ID]", "--json", "NEXT ATTEMPT"]),
    ("rotation cancel", &["<ID>", "--json", "AWSPENDING", "strongroom stage", "strongroom rotate"]),
];

/// Every subcommand of `policy`.
const POLICY_COMMANDS: [(&str, &[&str]); 6] = [
    ("policy put", &["<ID>", "<FILE>", "--block-public-policy", "--json", "standard input", "--enforce-policies"]),
    ("policy get", &["<ID>", "--json", "code 3"]),
    ("policy delete", &["<ID>", "--json"]),
    ("policy list", &["<ID>", "--json"]),
    ("policy validate", &["<FILE>", "--secret", "--json", "standard input", "code 5"]),
    (
        "policy explain",
        &[
            "--principal <ARN>",
            "--action <ACTION>",
            "--secret <NAME>",
            "--resource <ARN>",
            "--policy <FILE>",
            "--identity-policy <FILE>",
            "--context <KEY=VALUE>",
            "--json",
            "aws:SourceIp=203.0.113.7",
            "Exit code 0",
        ],
    ),
];

/// Every subcommand of `replicas`.
const REPLICA_COMMANDS: [(&str, &[&str]); 6] = [
    (
        "replicas add",
        &[
            "<ID>",
            "<REGION[=KEY]>...",
            "--overwrite",
            "--also-region",
            "--json",
            "strongroom maintain",
            "exit code is 0",
        ],
    ),
    ("replicas remove", &["<ID>", "<REGION>...", "--json"]),
    ("replicas list", &["<ID>", "--json", "InProgress", "strongroom maintain", "LAST READ"]),
    ("replicas promote", &["<ID>", "--json", "--region says", "strongroom rotate"]),
    (
        "replicas associate",
        &["<ID>", "<REPLICA_ARN>", "--role <ARN>", "--any-organization", "--json", "--cross-account-primary"],
    ),
    ("replicas disassociate", &["<ID>", "<REPLICA_ARN>", "--json", "strongroom replicas promote"]),
];

/// Every subcommand of `standby`.
const STANDBY_COMMANDS: [(&str, &[&str]); 3] = [
    ("standby status", &["<STANDBY>", "--json", "--keyring", "STANDBY.keyring", "--key-file", "--passphrase-fd"]),
    ("standby promote", &["<STANDBY>", "--json", "--keyring", "no way back", "nobody uses the other store"]),
    ("standby forget", &["--dir", "--keyring"]),
];

/// What every command that opens a store takes.
const STORE: [&str; 7] =
    ["--dir", "--keyring", "--key-file", "--passphrase", "--passphrase-fd", "--also-key-file", "STRONGROOM_DIR"];

/// What those take that work on the secrets of one account and Region.
const TENANT: [&str; 2] = ["--account", "--region"];

/// Commands that work on a whole store.
const WHOLE: [&str; 13] = [
    "replicate",
    "standby forget",
    "maintain",
    "verify",
    "backup",
    "restore-backup",
    "salvage",
    "compact",
    "export",
    "import",
    "keys census",
    "keys backup-header",
    "keys restore-header",
];

#[track_caller]
fn is_readable(text: &str, what: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{what}: {} columns: {line}", line.chars().count());
        assert!(!line.ends_with(' ') || line.trim().is_empty(), "{what}: spaces at the end: {line:?}");
    }
}

#[test]
fn the_help_of_every_command_names_its_options_and_fits_on_the_screen() {
    let folder = Folder::new();
    for (name, options) in COMMANDS
        .into_iter()
        .chain(KEY_COMMANDS)
        .chain(ROTATION_COMMANDS)
        .chain(POLICY_COMMANDS)
        .chain(REPLICA_COMMANDS)
        .chain(STANDBY_COMMANDS)
    {
        let needs_store = !matches!(
            name,
            "random-password"
                | "completions"
                | "keys"
                | "audit"
                | "audit verify"
                | "rotation"
                | "policy"
                | "replicas"
                | "standby"
                | "standby status"
                | "standby promote"
        );
        let needs_tenant = needs_store && !WHOLE.contains(&name);
        let words: Vec<&str> = name.split(' ').collect();
        for help in ["-h", "--help"] {
            for columns in ["80", "100", "250"] {
                let done = run(folder.command(&words).arg(help).env("COLUMNS", columns), b"").quiet();
                is_readable(done.text(), &format!("{name} {help}"));
                let common = STORE.iter().filter(|_| needs_store).chain(TENANT.iter().filter(|_| needs_tenant));
                for option in options.iter().chain(common) {
                    let text = done.text().split_whitespace().collect::<Vec<_>>().join(" ");
                    assert!(text.contains(option.trim()), "{name} {help} does not name {option}");
                }
            }
        }
        let by_help = folder.run(&format!("help {name}")).quiet();
        assert_eq!(by_help.stdout, folder.run(&format!("{name} --help")).quiet().stdout, "{name}");
    }
    assert!(folder.files().is_empty());
}

#[test]
fn the_help_of_the_whole_names_every_command_and_exit_code_and_shows_a_first_session() {
    let folder = Folder::new();
    let long = folder.run("--help").quiet();
    is_readable(long.text(), "--help");
    for help in [&long, &folder.run("-h").quiet(), &folder.run("help").quiet()] {
        for (name, _) in COMMANDS.into_iter().filter(|(name, _)| !name.contains(' ')) {
            assert!(help.text().lines().any(|line| line.trim().starts_with(name)), "{name}");
        }
        for code in 0..=10 {
            assert!(help.text().contains(&format!("\n  {code:>2}  ")), "{code}: {}", help.text());
        }
    }
    // What the help shows must work as it stands there.
    let session: Vec<&str> = long.text().lines().filter_map(|line| line.trim().strip_prefix("$ strongroom ")).collect();
    assert!(session.contains(&"init --dir ./vault") && session.contains(&"get db/main --dir ./vault"), "{session:?}");
    folder.run("init --dir ./vault").ok();
    folder.shell(r#"printf s3cret | "$BIN" create db/main --dir ./vault"#).quiet();
    assert_eq!(folder.run("get db/main --dir ./vault").quiet().text(), "s3cret");
    for line in ["backup ./vault.backup --dir ./vault", "verify --dir ./vault"] {
        assert!(session.contains(&line), "{session:?}");
        folder.run(line).quiet();
    }
    let version = folder.run("--version").quiet();
    assert_eq!(version.text(), format!("strongroom {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_help_of_keys_names_every_subcommand() {
    let folder = Folder::new();
    let help = folder.run("keys --help").quiet();
    is_readable(help.text(), "keys --help");
    for (name, _) in KEY_COMMANDS {
        let name = name.strip_prefix("keys ").unwrap();
        assert!(help.text().lines().any(|line| line.trim().split(' ').next() == Some(name)), "{name}: {help:?}");
    }
    let bare = folder.run("keys");
    assert_eq!((bare.code, bare.text()), (Some(2), ""));
    assert!(bare.stderr.contains("Usage: strongroom keys") && bare.stderr.contains("census"), "{bare:?}");
}

#[test]
fn help_without_anything_else_is_wrong_usage_and_goes_to_standard_error() {
    let done = Folder::new().run("");
    assert_eq!((done.code, done.text()), (Some(2), ""));
    assert!(done.stderr.contains("Usage: strongroom") && done.stderr.contains("create"));
}

#[test]
fn every_shell_gets_completions_that_it_can_read() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = folder.run(&format!("completions {shell}")).quiet();
        for word in [
            "random-password",
            "version-stage",
            "strongroom",
            "restore-backup",
            "expect-epoch",
            "dry-run",
            "drop-wraps",
            "no-run-now",
            "enforce-policies",
            "identity-policy",
            "replica-region",
            "any-organization",
            "standby-key-file",
        ] {
            assert!(script.text().contains(word), "{shell} lacks {word}");
        }
        assert!(!script.text().contains("salvage-reader"), "{shell} offers what is hidden");
        folder.write(&format!("completions.{shell}"), &script.stdout, 0o600);
    }
    let checked = folder.shell(
        r#"command -v bash >/dev/null || exit 0
        exec bash --norc -c '. ./completions.bash
            COMP_WORDS=(strongroom ran) COMP_CWORD=1; _strongroom strongroom ran strongroom; echo "${COMPREPLY[@]}"'"#,
    );
    assert!(matches!(checked.text(), "random-password\n" | ""), "{checked:?}");
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

//! What an export leaves behind: a private file that says nothing, or no file.

use std::fs;

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, ErrorKind, ExportOptions, KeyFileProvider, KeyScope, PassphraseProvider,
    Progress, StaticKey,
};

use crate::fixture::{Exported, Source, Target, export_key, file_is_refused, import, names};

fn files_in(exported: &Exported) -> Vec<String> {
    let entries = fs::read_dir(exported.path.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn nothing_in_an_export_can_be_read() {
    let source = Source::empty();
    let request = CreateSecretRequest::new("CANARY/name")
        .secret_string("CANARY-value")
        .description("CANARY-description")
        .kms_key_id("")
        .tags([strongroom::Tag::new("CANARY-key", "CANARY-tag")]);
    source.home().create_secret(request).unwrap();
    let bytes = source.export().bytes();
    for word in ["CANARY", "AWSCURRENT", "arn:aws:secretsmanager", "us-east-1:000000000000:secret"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    let lines = source.lines();
    assert!(lines.windows(6).any(|window| window == b"CANARY"), "the search finds what is there");
}

#[cfg(unix)]
#[test]
fn an_export_is_for_its_owner_alone_and_nothing_else_is_left_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let exported = Source::small().export();
    assert_eq!(fs::metadata(&exported.path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(files_in(&exported), ["secrets.export"]);
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let (source, exported) = (Source::small(), Exported::place());
    fs::write(&exported.path, "mine").unwrap();
    let error = file_is_refused(exported.from(&source.store), "existing file");
    assert!(error.to_string().contains("is there already"), "{error}");
    assert_eq!((exported.bytes().as_slice(), files_in(&exported).len()), (b"mine".as_slice(), 1));
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_not_written_through() {
    let (source, exported) = (Source::small(), Exported::place());
    let elsewhere = exported.path.with_file_name("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, &exported.path).unwrap();
    file_is_refused(exported.from(&source.store), "link");
    assert!(!elsewhere.exists());
}

#[test]
fn an_export_into_a_directory_that_is_not_there_fails_and_makes_nothing() {
    let (source, exported) = (Source::small(), Exported::place());
    let path = exported.path.join("below/secrets.export");
    let exported = source.store.export(&path, &export_key(), &ExportOptions::new(), &mut |_| ());
    file_is_refused(exported, "missing directory");
}

#[test]
fn two_exports_of_one_store_have_nothing_in_common_but_their_secrets() {
    let source = Source::small();
    let (one, other) = (source.export().bytes(), source.export().bytes());
    assert_eq!(one.len(), other.len());
    let same = one.windows(32).filter(|window| other.windows(32).any(|found| found == *window)).count();
    // The name of the key that wraps stands in both headers.
    assert!(same < 80, "{same}");
}

#[test]
fn a_secret_whose_key_is_switched_off_stops_the_export_or_is_left_out_by_name() {
    let source = Source::small();
    let key = source.keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let request = CreateSecretRequest::new("locked").secret_string("v").kms_key_id(&key);
    let arn = source.home().create_secret(request).unwrap().arn;
    source.keyring.disable_key(&key).unwrap();

    let exported = Exported::place();
    let error = exported.from(&source.store).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DecryptionFailure(fault) if fault.key == key), "{error:?}");
    assert!(error.to_string().contains(&arn) && error.to_string().contains(&key), "{error}");
    assert!(files_in(&exported).is_empty(), "no file is left");

    let options = ExportOptions::new().skip_unreadable(true);
    let report = source.store.export(&exported.path, &export_key(), &options, &mut |_| ()).unwrap();
    assert_eq!((report.secrets, report.skipped.len(), report.skipped[0].arn.as_str()), (1, 1, arn.as_str()));
    let target = Target::new();
    assert_eq!(import(&target.store, &exported.path).unwrap().created, 1);
    assert_eq!(names(&target.home()), ["small"]);
}

#[test]
fn what_is_past_its_recovery_window_is_not_exported() {
    let source = Source::several(3);
    source.home().delete_secret(DeleteSecretRequest::new("secret/1").recovery_window_in_days(7)).unwrap();
    source.home().delete_secret(DeleteSecretRequest::new("secret/2").recovery_window_in_days(8)).unwrap();
    source.clock.advance(TimeDelta::days(7));
    let exported = Exported::place();
    assert_eq!(exported.from(&source.store).unwrap().secrets, 2);
    let target = Target::new();
    import(&target.store, &exported.path).unwrap();
    assert_eq!(names(&target.home()).len(), 2);
    assert!(!names(&target.home()).contains(&"secret/1".to_owned()));
}

#[test]
fn any_key_provider_protects_an_export() {
    let source = Source::small();
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFileProvider::open_or_create(directory.path().join("key")).unwrap();
    let reopened = KeyFileProvider::open(directory.path().join("key")).unwrap();
    let passphrase = PassphraseProvider::cheap_for_tests("correct horse").unwrap();
    // Another salt is known to it already.
    let same = PassphraseProvider::cheap_for_tests("correct horse").unwrap();
    strongroom::SecretStore::in_memory().key_provider(same.clone()).open().unwrap();
    let keyring = strongroom::LocalKeyring::in_memory();
    let pairs: [(&dyn strongroom::KeyProvider, &dyn strongroom::KeyProvider); 4] = [
        (&file, &reopened),
        (&passphrase, &same),
        (&keyring, &keyring),
        (&StaticKey::new([3; 32]), &StaticKey::new([3; 32])),
    ];
    for (wraps, unwraps) in pairs {
        let (exported, target) = (Exported::place(), Target::new());
        source.store.export(&exported.path, wraps, &ExportOptions::new(), &mut |_| ()).unwrap();
        let imported = target.store.import(&exported.path, unwraps, &Default::default(), &mut |_| ()).unwrap();
        assert_eq!(imported.created, 1, "{}", wraps.id());
    }
}

#[test]
fn progress_rises_within_each_step_up_to_its_total() {
    let source = Source::several(700);
    let (exported, target) = (Exported::place(), Target::new());
    let mut told: Vec<Progress> = Vec::new();
    source.store.export(&exported.path, &export_key(), &ExportOptions::new(), &mut |at| told.push(at)).unwrap();
    target.store.import(&exported.path, &export_key(), &Default::default(), &mut |at| told.push(at)).unwrap();
    let mut steps: Vec<&str> = told.iter().map(|at| at.step).collect();
    steps.dedup();
    assert_eq!(steps, ["exporting secrets", "checking the export", "reading the export", "importing secrets"]);
    for step in steps {
        let told: Vec<&Progress> = told.iter().filter(|at| at.step == step).collect();
        assert!(told.len() > 100 && told.len() < 300, "{step}: {}", told.len());
        assert!(told.windows(2).all(|pair| pair[0].done <= pair[1].done), "{step}");
        assert!(told.iter().all(|at| at.done <= at.total.unwrap()), "{step}");
    }
}

#[test]
fn a_chosen_account_or_region_that_is_none_is_refused() {
    let (source, exported) = (Source::small(), Exported::place());
    for (account, region) in [("12", "us-east-1"), ("000000000000", "nowhere")] {
        let options = ExportOptions::new().only(account, region);
        let error = source.store.export(&exported.path, &export_key(), &options, &mut |_| ()).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Configuration);
    }
    assert!(files_in(&exported).is_empty());
}

#[test]
fn every_secret_is_whole_although_others_change_it_meanwhile() {
    let source = Source::several(20);
    let exports = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..60 {
                for number in 0..20 {
                    let request = strongroom::UpdateSecretRequest::new(format!("secret/{number}"))
                        .description(format!("round {round}"))
                        .secret_string(format!("round {round}"));
                    source.home().update_secret(request).unwrap();
                }
            }
        });
        let mut exports = Vec::new();
        while !writer.is_finished() {
            exports.push(source.export());
        }
        exports
    });
    for exported in &exports {
        let target = Target::new();
        assert_eq!(import(&target.store, &exported.path).unwrap().created, 20);
        for name in names(&target.home()) {
            let described =
                target.home().describe_secret(strongroom::DescribeSecretRequest::new(&name)).unwrap().description;
            if let Some(described) = described {
                assert_eq!(crate::fixture::current(&target.store, &name).unwrap(), described);
            }
        }
    }
    eprintln!("{} exports while secrets were changed", exports.len());
    assert!(!exports.is_empty());
}

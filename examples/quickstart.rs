//! The main job, told as a story: an encrypted store on disk, secrets that are created, versioned, rotated, deleted,
//! restored, and read again after a restart.
//!
//! ```text
//! cargo run --example quickstart [DIR]
//! ```
//!
//! Without DIR a directory beside the system's temporary files is used. The keys go into `DIR.keyring`, apart from the
//! store, as they should. Run it twice on the same directory: it goes on with what is there.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Filter, FilterKey, GetRandomPasswordRequest,
    GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest, LocalKeyring, PutSecretValueRequest,
    RestoreSecretRequest, RotateSecretRequest, RotationCall, RotationError, RotationFunction, RotationRules,
    RotationStep, SecretStore, SecretsManager, Tag, TagResourceRequest, UpdateSecretVersionStageRequest,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const DATABASE: &str = "prod/db/main";
const CERTIFICATE: &str = "prod/tls/certificate";
const TOKEN: &str = "prod/api/session-token";
/// The name under which secrets ask for the function below. Nobody looks for it at AWS.
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:new-token";
const VALUE: &str = r#"{"username":"admin","password":"correct horse battery staple"}"#;
const DESCRIPTION: &str = "Credentials of the main database";
const TAG: (&str, &str) = ("team", "payments-and-billing");

fn main() -> Outcome {
    let directory = match std::env::args_os().nth(1) {
        Some(directory) => PathBuf::from(directory),
        None => std::env::temp_dir().join("strongroom-quickstart"),
    };
    let keyring_file = keyring_beside(&directory);
    let mut out = io::stdout().lock();

    writeln!(out, "Opening the store in {} with the keys in {}", directory.display(), keyring_file.display())?;
    let open = || -> Outcome<SecretStore> {
        let keyring = LocalKeyring::open_or_create(&keyring_file)?;
        let builder = SecretStore::builder(&directory).key_provider(keyring);
        Ok(builder.rotation_function(FUNCTION, NewToken).open()?)
    };
    let store = open()
        .map_err(|error| format!("{error}. Remove {} and try again, or give another directory", directory.display()))?;
    let secrets = store.default_secrets_manager();

    create(&secrets, &mut out)?;
    put_versions(&secrets, &mut out)?;
    tag_and_list(&secrets, &mut out)?;
    rotate(&store, &secrets, &mut out)?;
    delete_and_restore(&secrets, &mut out)?;

    writeln!(out, "\nClosing the store and opening it again")?;
    store.close()?;
    let store = open()?;
    let secrets = store.default_secrets_manager();
    let read = secrets.get_secret_value(GetSecretValueRequest::new(DATABASE))?;
    let text = read.secret_string.as_ref().ok_or("a text was stored")?;
    writeln!(out, "  {DATABASE} still reads {} bytes of text, version {}", text.expose().len(), read.version_id)?;
    let is_whole = text.expose() == VALUE;
    store.close()?;

    look_for_plaintext(&directory, &mut out)?;
    if is_whole { Ok(()) } else { Err("the value that was read is not the one that was stored".into()) }
}

/// The key file never goes into the store's directory: a copy of that would carry both.
fn keyring_beside(directory: &Path) -> PathBuf {
    let mut name = directory.components().as_path().as_os_str().to_owned();
    name.push(".keyring");
    name.into()
}

fn create(secrets: &SecretsManager, out: &mut impl Write) -> Outcome {
    writeln!(out, "\nCreating a JSON secret and a binary one")?;
    let json = CreateSecretRequest::new(DATABASE).description(DESCRIPTION).secret_string(VALUE);
    let binary = CreateSecretRequest::new(CERTIFICATE).secret_binary(vec![0x30, 0x82, 0x01, 0x0a]);
    create_each([json, binary], secrets, out)
}

fn create_each<const N: usize>(
    requests: [CreateSecretRequest; N],
    secrets: &SecretsManager,
    out: &mut impl Write,
) -> Outcome {
    for request in requests {
        let name = request.name.clone().unwrap_or_default();
        match secrets.create_secret(request) {
            Ok(created) => writeln!(out, "  {name} is {}", created.arn)?,
            Err(error) if error.code() == "ResourceExistsException" => {
                writeln!(out, "  {name} is there from an earlier run")?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn put_versions(secrets: &SecretsManager, out: &mut impl Write) -> Outcome {
    writeln!(out, "\nPutting a pending version, and making it the current one")?;
    let before = current_version(secrets, DATABASE)?;
    let password = secrets.get_random_password(GetRandomPasswordRequest::new().password_length(24))?.random_password;
    let pending = PutSecretValueRequest::new(DATABASE, password).version_stages(["AWSPENDING"]);
    let pending = secrets.put_secret_value(pending)?.version_id;
    show_labels(secrets, DATABASE, out)?;
    let promote = UpdateSecretVersionStageRequest::new(DATABASE, "AWSCURRENT");
    secrets.update_secret_version_stage(promote.remove_from_version_id(before).move_to_version_id(pending))?;
    show_labels(secrets, DATABASE, out)?;
    writeln!(out, "  ... and storing the JSON value again, as a version of its own")?;
    secrets.put_secret_value(PutSecretValueRequest::new(DATABASE, VALUE))?;
    show_labels(secrets, DATABASE, out)
}

fn current_version(secrets: &SecretsManager, name: &str) -> strongroom::Result<String> {
    Ok(secrets.get_secret_value(GetSecretValueRequest::new(name))?.version_id)
}

fn show_labels(secrets: &SecretsManager, name: &str, out: &mut impl Write) -> Outcome {
    let listed = secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new(name))?;
    let shown: Vec<String> = listed
        .versions
        .iter()
        .map(|version| {
            let id = version.version_id.chars().take(8).collect::<String>();
            format!("{id} [{}]", version.version_stages.as_deref().unwrap_or_default().join(", "))
        })
        .collect();
    writeln!(out, "  {}", shown.join("   "))?;
    Ok(())
}

fn tag_and_list(secrets: &SecretsManager, out: &mut impl Write) -> Outcome {
    writeln!(out, "\nTagging, and listing what is tagged")?;
    secrets.tag_resource(TagResourceRequest::new(DATABASE, [Tag::new(TAG.0, TAG.1)]))?;
    let tagged = ListSecretsRequest::new().filters([Filter::new(FilterKey::TagKey, [TAG.0])]);
    for secret in secrets.list_secrets(tagged)?.secret_list {
        let description = secret.description.unwrap_or_default();
        writeln!(out, "  {}: {description}, changed {}", secret.name, secret.last_changed_date.to_rfc3339())?;
    }
    Ok(())
}

/// Gives a token that only this program checks a new value. For a password, `setSecret` would bring it into the system that
/// it opens, and `testSecret` would log in with it.
#[derive(Debug)]
struct NewToken;

impl RotationFunction for NewToken {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let (secrets, id, version) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
        match call.step {
            // An earlier attempt may have come as far as this: then there is a value, and it is kept.
            RotationStep::CreateSecret => {
                match secrets.get_secret_value(GetSecretValueRequest::new(id).version_id(version)) {
                    Ok(_) => {}
                    Err(error) if error.code() == "ResourceNotFoundException" => {
                        let made = secrets.get_random_password(GetRandomPasswordRequest::new().password_length(40))?;
                        let put = PutSecretValueRequest::new(id, made.random_password).client_request_token(version);
                        secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            RotationStep::FinishSecret => {
                let current = current_version(secrets, id)?;
                if current != version {
                    let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(version);
                    secrets.update_secret_version_stage(finish.remove_from_version_id(current))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn rotate(store: &SecretStore, secrets: &SecretsManager, out: &mut impl Write) -> Outcome {
    writeln!(out, "\nRotating a secret, now and every 30 days")?;
    create_each([CreateSecretRequest::new(TOKEN).secret_string("the first token of all")], secrets, out)?;
    let monthly = RotationRules::new().automatically_after_days(30);
    match secrets.rotate_secret(RotateSecretRequest::new(TOKEN).rotation_lambda_arn(FUNCTION).rotation_rules(monthly)) {
        Ok(begun) => writeln!(out, "  begun: the new version is {}", begun.version_id)?,
        Err(error) if error.code() == "InvalidRequestException" => {
            writeln!(out, "  an earlier run has begun one, which is carried on: {error}")?;
        }
        Err(error) => return Err(error.into()),
    }
    // Calls the function for whatever is due. A program that runs for long has the store do so by itself.
    let report = store.maintain()?;
    show_labels(secrets, TOKEN, out)?;
    let next = secrets.describe_secret(DescribeSecretRequest::new(TOKEN))?.next_rotation_date;
    let next = next.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
    writeln!(
        out,
        "  rotated: {}, failed: {}; the next time: until {next}",
        report.rotated_secrets, report.failed_rotations
    )?;
    Ok(())
}

fn delete_and_restore(secrets: &SecretsManager, out: &mut impl Write) -> Outcome {
    writeln!(out, "\nScheduling a deletion")?;
    let deleted = secrets.delete_secret(DeleteSecretRequest::new(CERTIFICATE).recovery_window_in_days(7))?;
    writeln!(out, "  {CERTIFICATE} can be restored until {}", deleted.deletion_date.to_rfc3339())?;
    match secrets.get_secret_value(GetSecretValueRequest::new(CERTIFICATE)) {
        Ok(_) => return Err("a secret that is scheduled for deletion was read".into()),
        Err(refused) => writeln!(out, "  reading it is refused: {refused}")?,
    }
    secrets.restore_secret(RestoreSecretRequest::new(CERTIFICATE))?;
    let described = secrets.describe_secret(DescribeSecretRequest::new(CERTIFICATE))?;
    writeln!(out, "  restored; deletion date now: {:?}", described.deleted_date)?;
    Ok(())
}

/// Searches every file of the store for what went into it.
fn look_for_plaintext(directory: &Path, out: &mut impl Write) -> Outcome {
    writeln!(out, "\nSearching the files of the store for names, tags, descriptions and values")?;
    let needles = [
        DATABASE,
        CERTIFICATE,
        TOKEN,
        FUNCTION,
        "the first token",
        VALUE,
        "correct horse",
        DESCRIPTION,
        TAG.1,
        "AWSCURRENT",
        "arn:aws:secretsmanager",
    ];
    let mut files = vec![directory.to_owned()];
    let (mut searched, mut bytes) = (0, 0);
    while let Some(path) = files.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                files.push(entry?.path());
            }
            continue;
        }
        let content = fs::read(&path)?;
        // All of them are so long that they do not turn up in megabytes of ciphertext by chance.
        for needle in needles {
            if content.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                return Err(format!("`{needle}` is readable in {}", path.display()).into());
            }
        }
        searched += 1;
        bytes += content.len();
    }
    writeln!(out, "  none of them is in any of {searched} files ({bytes} bytes)")?;
    Ok(())
}

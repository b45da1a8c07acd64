//! Lines of JSON from anybody: what is not a secret that the API could have made is refused with its line, and nothing of
//! the file arrives.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use serde_json::{Value, json};
use strongroom::{ErrorKind, ImportOptions};

use crate::fixture::{Source, Target, current, file_is_refused, import_lines, see};

pub(crate) const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:s-Ab3dE6";
const HEADER: &str = r#"{"Format":"strongroom-plaintext-export","FormatVersion":1}"#;

pub(crate) fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A secret with two versions, as somebody might write it.
pub(crate) fn secret() -> Value {
    json!({
        "Name": "s",
        "ARN": ARN,
        "Description": "d",
        "KmsKeyId": "alias/app",
        "Type": "t",
        "Tags": [{"Key": "k", "Value": "v"}],
        "CreatedDate": 1_600_000_000,
        "LastChangedDate": 1_600_000_100.5,
        "LastAccessedDate": 1_599_955_200,
        "VersionsMade": 7,
        "Versions": [
            {"VersionId": id(1), "VersionNumber": 3, "VersionStages": ["AWSPREVIOUS", "x"],
             "CreatedDate": 1_600_000_000, "SecretBinary": "AAEC"},
            {"VersionId": id(2), "VersionNumber": 7, "VersionStages": ["AWSCURRENT"],
             "CreatedDate": 1_600_000_100.25, "LastAccessedDate": 1_599_955_200, "SecretString": "s3cr\u{e9}t"},
        ],
    })
}

pub(crate) fn file(lines: &[String], secrets: usize, versions: usize) -> String {
    let end = json!({"SecretCount": secrets, "VersionCount": versions});
    format!("{HEADER}\n{}{end}\n", lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut secret = secret();
    change(&mut secret);
    let versions = secret["Versions"].as_array().map_or(2, Vec::len);
    file(&[secret.to_string()], 1, versions)
}

#[test]
fn a_secret_that_somebody_wrote_arrives_with_all_of_its_members() {
    let target = Target::new();
    assert_eq!(import_lines(&target.store, with(|_| ()).as_bytes()).unwrap().created, 1);
    let seen = see(&target.home(), "s");
    let described = &seen.described;
    assert_eq!((described.arn.as_str(), described.description.as_deref()), (ARN, Some("d")));
    assert_eq!((described.kms_key_id.as_deref(), described.r#type.as_deref()), (Some("alias/app"), Some("t")));
    assert_eq!(described.tags, Some(vec![strongroom::Tag::new("k", "v")]));
    assert_eq!(described.created_date.timestamp_millis(), 1_600_000_000_000);
    assert_eq!(described.last_changed_date.timestamp_millis(), 1_600_000_100_500);
    assert_eq!(described.last_accessed_date.unwrap().timestamp(), 1_599_955_200);
    let ids: Vec<&str> = seen.versions.iter().map(|version| version.id.as_str()).collect();
    assert_eq!(ids, [id(1), id(2)]);
    assert_eq!(seen.versions[0].labels, ["AWSPREVIOUS", "x"]);
    assert_eq!(seen.versions[0].value, Some(crate::fixture::Value::Bytes(vec![0, 1, 2])));
    assert_eq!(seen.versions[1].created.timestamp_millis(), 1_600_000_100_250);
    assert_eq!(current(&target.store, "s").unwrap(), "s3cr\u{e9}t");
}

#[test]
fn what_may_be_left_out_or_written_in_another_way_arrives_too() {
    type Change = fn(&mut Value);
    let rows: [(&str, Change); 12] = [
        ("no description", |secret| secret["Description"] = Value::Null),
        ("empty description", |secret| secret["Description"] = json!("")),
        ("no key", |secret| secret["KmsKeyId"] = Value::Null),
        ("the default key", |secret| secret["KmsKeyId"] = json!("alias/aws/secretsmanager")),
        ("no tags", |secret| secret["Tags"] = Value::Null),
        ("an empty tag list", |secret| secret["Tags"] = json!([])),
        ("no version", |secret| secret["Versions"] = json!([])),
        ("no labels", |secret| secret["Versions"][0]["VersionStages"] = Value::Null),
        ("before 1970", |secret| secret["CreatedDate"] = json!(-1.001)),
        ("scheduled for deletion", |secret| secret["DeletedDate"] = json!(1_900_000_000)),
        ("owned by a service", |secret| secret["OwningService"] = json!("rds")),
        ("with a primary Region", |secret| secret["PrimaryRegion"] = json!("us-east-1")),
    ];
    for (what, change) in rows {
        let target = Target::new();
        let text = with(change);
        assert_eq!(import_lines(&target.store, text.as_bytes()).unwrap().created, 1, "{what}");
        assert_eq!(import_lines(&target.store, text.as_bytes()).unwrap().unchanged, 1, "{what}");
    }
    for text in [with(|_| ()).replace('\n', "\r\n"), with(|_| ()).trim_end().to_owned()] {
        assert_eq!(import_lines(&Target::new().store, text.as_bytes()).unwrap().created, 1);
    }
}

#[test]
fn a_placeholder_arrives_without_a_value() {
    let target = Target::new();
    let text = with(|secret| {
        let version = secret["Versions"][0].as_object_mut().unwrap();
        version.remove("SecretBinary");
        version["VersionStages"] = json!(["AWSPENDING"]);
    });
    import_lines(&target.store, text.as_bytes()).unwrap();
    let mut again = Vec::new();
    target.store.export_plaintext(&mut again, &Default::default(), &mut |_| ()).unwrap();
    let line: Value = serde_json::from_slice(again.split(|byte| *byte == b'\n').nth(1).unwrap()).unwrap();
    assert_eq!(line["Versions"][0]["SecretBinary"], Value::Null);
    assert_eq!(line["Versions"][0]["VersionStages"], json!(["AWSPENDING"]));
    let read = strongroom::GetSecretValueRequest::new("s").version_stage("AWSPENDING");
    assert_eq!(target.home().get_secret_value(read).unwrap_err().code(), "ResourceNotFoundException");
    assert_eq!(import_lines(&target.store, text.as_bytes()).unwrap().unchanged, 1);
    // It waits for its value, as one that a rotation made.
    let put = strongroom::PutSecretValueRequest::new("s", "rotated").client_request_token(id(1));
    target.home().put_secret_value(put.version_stages(["AWSPENDING"])).unwrap();
    let read = strongroom::GetSecretValueRequest::new("s").version_id(id(1));
    assert_eq!(target.home().get_secret_value(read).unwrap().secret_string.unwrap().expose(), "rotated");
}

#[test]
fn a_secret_that_cannot_be_is_refused_with_its_line() {
    type Change = fn(&mut Value);
    let rows: Vec<(&str, Change)> = vec![
        ("no name", |s| s["Name"] = Value::Null),
        ("empty name", |s| s["Name"] = json!("")),
        ("illegal name", |s| s["Name"] = json!("s s")),
        ("long name", |s| s["Name"] = json!("s".repeat(513))),
        ("another name than in the ARN", |s| s["Name"] = json!("t")),
        ("name of another type", |s| s["Name"] = json!(5)),
        ("no ARN", |s| s["ARN"] = Value::Null),
        ("no real ARN", |s| s["ARN"] = json!("s")),
        ("ARN without its end", |s| s["ARN"] = json!(ARN.trim_end_matches("-Ab3dE6"))),
        ("ARN of another service", |s| s["ARN"] = json!(ARN.replace("secretsmanager", "s3"))),
        ("ARN of another partition", |s| s["ARN"] = json!(ARN.replace("arn:aws:", "arn:aws-cn:"))),
        ("short account", |s| s["ARN"] = json!(ARN.replace("000000000000", "0"))),
        ("no Region", |s| s["ARN"] = json!(ARN.replace("us-east-1", "nowhere"))),
        ("long description", |s| s["Description"] = json!("d".repeat(2_049))),
        ("long key", |s| s["KmsKeyId"] = json!("k".repeat(2_049))),
        ("long type", |s| s["Type"] = json!("t".repeat(257))),
        ("tag twice", |s| s["Tags"] = json!([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}])),
        ("reserved tag", |s| s["Tags"] = json!([{"Key": "aws:k", "Value": "1"}])),
        ("tag without a key", |s| s["Tags"] = json!([{"Value": "1"}])),
        ("tag with an empty key", |s| s["Tags"] = json!([{"Key": "", "Value": "1"}])),
        ("long tag", |s| s["Tags"] = json!([{"Key": "k", "Value": "v".repeat(257)}])),
        ("51 tags", |s| {
            s["Tags"] = (0..51).map(|number| json!({"Key": number.to_string(), "Value": ""})).collect();
        }),
        ("tags as an object", |s| s["Tags"] = json!({"k": "v"})),
        ("a tag as a list", |s| s["Tags"] = json!([["k", "v"]])),
        ("no date of creation", |s| s["CreatedDate"] = Value::Null),
        ("date as text", |s| s["CreatedDate"] = json!("2020-01-01T00:00:00Z")),
        ("date beyond the calendar", |s| s["LastChangedDate"] = json!(1e300)),
        ("date beyond every calendar", |s| s["LastChangedDate"] = json!(i64::MAX)),
        ("date beyond all numbers", |s| s["LastChangedDate"] = json!(u64::MAX)),
        ("changed before it was created", |s| s["LastChangedDate"] = json!(1_500_000_000)),
        ("access within a day", |s| s["LastAccessedDate"] = json!(1_599_955_201)),
        ("access of a version within a day", |s| s["Versions"][1]["LastAccessedDate"] = json!(1.5)),
        ("no Region as the primary one", |s| s["PrimaryRegion"] = json!("nowhere")),
        ("empty owner", |s| s["OwningService"] = json!("")),
        ("no number of versions", |s| s["VersionsMade"] = Value::Null),
        ("negative number of versions", |s| s["VersionsMade"] = json!(-1)),
        ("fewer versions made than there are", |s| s["VersionsMade"] = json!(6)),
        ("absurdly many versions made", |s| s["VersionsMade"] = json!(u64::MAX)),
        ("no list of versions", |s| s["Versions"] = Value::Null),
        ("versions as an object", |s| s["Versions"] = json!({})),
        ("a version as a text", |s| s["Versions"][0] = json!("v")),
        ("a version as a list", |s| s["Versions"][0] = json!([id(1), 3])),
        ("short id", |s| s["Versions"][0]["VersionId"] = json!("1")),
        ("long id", |s| s["Versions"][0]["VersionId"] = json!("1".repeat(65))),
        ("an id twice", |s| s["Versions"][0]["VersionId"] = json!(id(2))),
        ("no id", |s| s["Versions"][0]["VersionId"] = Value::Null),
        ("number 0", |s| s["Versions"][0]["VersionNumber"] = json!(0)),
        ("a number twice", |s| s["Versions"][0]["VersionNumber"] = json!(7)),
        ("numbers that fall", |s| s["Versions"][1]["VersionNumber"] = json!(2)),
        ("a broken number", |s| s["Versions"][1]["VersionNumber"] = json!(6.5)),
        ("two versions that are current", |s| s["Versions"][0]["VersionStages"] = json!(["AWSCURRENT"])),
        ("a label twice on one version", |s| s["Versions"][0]["VersionStages"] = json!(["x", "x"])),
        ("a label on two versions", |s| s["Versions"][1]["VersionStages"] = json!(["AWSCURRENT", "x"])),
        ("nothing is current", |s| s["Versions"][1]["VersionStages"] = json!(["y"])),
        ("empty label", |s| s["Versions"][0]["VersionStages"] = json!([""])),
        ("long label", |s| s["Versions"][0]["VersionStages"] = json!(["l".repeat(257)])),
        ("21 labels on one version", |s| {
            s["Versions"][0]["VersionStages"] = (0..21).map(|label| json!(label.to_string())).collect();
        }),
        ("21 labels on two versions", |s| {
            s["Versions"][0]["VersionStages"] = (0..20).map(|label| json!(label.to_string())).collect();
        }),
        ("empty text", |s| s["Versions"][1]["SecretString"] = json!("")),
        ("long text", |s| s["Versions"][1]["SecretString"] = json!("v".repeat(65_537))),
        ("text of another type", |s| s["Versions"][1]["SecretString"] = json!({"a": 1})),
        ("both forms", |s| s["Versions"][1]["SecretBinary"] = json!("AA==")),
        ("empty bytes", |s| s["Versions"][0]["SecretBinary"] = json!("")),
        ("no base64", |s| s["Versions"][0]["SecretBinary"] = json!("A-_A")),
        ("base64 without its end", |s| s["Versions"][0]["SecretBinary"] = json!("AAECAA")),
        ("an unknown member", |s| s["RotationEnabled"] = json!(true)),
        ("an unknown member of a version", |s| s["Versions"][0]["Rotation"] = json!(1)),
        ("an unknown member of a tag", |s| s["Tags"][0]["More"] = json!(1)),
        ("counts and a secret in one", |s| s["SecretCount"] = json!(1)),
        ("both counts and a secret in one", |s| {
            s["SecretCount"] = json!(1);
            s["VersionCount"] = json!(2);
        }),
    ];
    let target = Target::new();
    let epoch = target.epoch();
    let good = {
        let mut good = secret();
        good["Name"] = json!("good");
        good["ARN"] = json!(ARN.replace("secret:s-", "secret:good-"));
        good.to_string()
    };
    for (what, change) in &rows {
        let mut bad = secret();
        change(&mut bad);
        let text = file(&[good.clone(), bad.to_string()], 2, 4);
        let error = file_is_refused(import_lines(&target.store, text.as_bytes()), what).to_string();
        assert!(error.starts_with("line 3: "), "{what}: {error}");
        assert!(!error.contains("s3cr") && !error.contains("AAEC"), "{what}: {error}");
        assert_eq!(target.epoch(), epoch, "{what}");
    }
    eprintln!("{} secrets that cannot be", rows.len());
}

#[test]
fn text_that_is_no_such_export_is_refused() {
    let (line, end) = (secret().to_string(), r#"{"SecretCount":1,"VersionCount":2}"#);
    let deep = |open: &str, close: &str| {
        let nested = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        format!("{HEADER}\n{}\n{end}\n", line.replace(r#""d""#, &nested))
    };
    let twice = line.replace(r#""Name":"s""#, r#""Name":"s","Name":"s""#);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("an empty line", b"\n".to_vec()),
        ("no header", format!("{line}\n{end}\n").into_bytes()),
        ("another format", b"{\"Format\":\"x\",\"FormatVersion\":1}\n".to_vec()),
        ("a header with more", HEADER.replace("1}", "1,\"More\":2}").into_bytes()),
        ("no end", format!("{HEADER}\n{line}\n").into_bytes()),
        ("only a header", format!("{HEADER}\n").into_bytes()),
        ("half a line", format!("{HEADER}\n{}", line.split_at(line.len() / 2).0).into_bytes()),
        ("an empty line between", format!("{HEADER}\n\n{line}\n{end}\n").into_bytes()),
        ("a line missing", file(&[], 1, 2).into_bytes()),
        ("a version missing", file(std::slice::from_ref(&line), 1, 3).into_bytes()),
        ("only one count", format!("{HEADER}\n{{\"SecretCount\":0}}\n").into_bytes()),
        ("a secret twice", file(&[line.clone(), line.clone()], 2, 4).into_bytes()),
        ("a member twice", file(&[twice], 1, 2).into_bytes()),
        ("something behind the end", format!("{}{line}\n", file(std::slice::from_ref(&line), 1, 2)).into_bytes()),
        ("an empty line behind the end", format!("{}\n", file(std::slice::from_ref(&line), 1, 2)).into_bytes()),
        ("two exports", file(std::slice::from_ref(&line), 1, 2).repeat(2).into_bytes()),
        ("two objects in a line", file(&[format!("{line}{line}")], 2, 4).into_bytes()),
        ("a list", file(&["[]".to_owned()], 1, 0).into_bytes()),
        ("a text", file(&["\"x\"".to_owned()], 1, 0).into_bytes()),
        ("a number", file(&["1".to_owned()], 1, 0).into_bytes()),
        ("null", file(&["null".to_owned()], 1, 0).into_bytes()),
        ("lists in lists", deep("[", "]").into_bytes()),
        ("objects in objects", deep("{\"a\":", "}").into_bytes()),
        ("a number of many digits", file(&[line.replace(":7", &format!(":{}", "9".repeat(100_000)))], 1, 2).into()),
        ("a huge exponent", file(&[line.replace("1600000000,", "1e999999999,")], 1, 2).into_bytes()),
        ("no number", file(&[line.replace("1600000000,", "NaN,")], 1, 2).into_bytes()),
        ("half a character", [file(&[], 0, 0).as_bytes(), b"\xe2\x82"].concat()),
        (
            "no Unicode",
            file(std::slice::from_ref(&line), 1, 2)
                .into_bytes()
                .iter()
                .map(|b| if *b == b'd' { 0xff } else { *b })
                .collect(),
        ),
        ("half a pair", file(&[line.replace("s3cr", "s3\\ud800cr")], 1, 2).into_bytes()),
        ("zeros", vec![0; 1_000]),
    ];
    let target = Target::new();
    let epoch = target.epoch();
    for (what, bytes) in &rows {
        file_is_refused(import_lines(&target.store, bytes), what);
        assert_eq!(target.epoch(), epoch, "{what}");
    }
    let newer = HEADER.replace("1}", "2}") + "\n";
    let error = import_lines(&target.store, newer.as_bytes()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::UnsupportedFormat { found: 2, newest: 1 });
    eprintln!("{} texts that are no export", rows.len());
}

#[test]
fn a_file_of_lines_that_is_cut_anywhere_is_refused() {
    let bytes = Source::several(2).lines();
    let target = Target::new();
    // Without the last line feed it is still whole.
    for length in 0..bytes.len() - 1 {
        file_is_refused(import_lines(&target.store, &bytes[..length]), &format!("{length} bytes"));
    }
    assert_eq!(import_lines(&target.store, &bytes[..bytes.len() - 1]).unwrap().created, 2);
}

/// Bytes without an end, of which only so many may be asked for.
struct Endless {
    given: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b' ');
        Ok(buffer.len())
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&[b' '; 65_536])
    }

    fn consume(&mut self, bytes: usize) {
        self.given += bytes as u64;
    }
}

impl Seek for Endless {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_line_without_an_end_is_given_up() {
    let mut endless = Endless { given: 0 };
    let result = Target::new().store.import_plaintext(&mut endless, &ImportOptions::new(), &mut |_| ());
    file_is_refused(result, "an endless line");
    assert!(endless.given <= 64 * 1024 * 1024 + 65_536, "{}", endless.given);
}

/// An input that is another one when it is read again.
struct Changing {
    now: Cursor<Vec<u8>>,
    then: Option<Vec<u8>>,
    rewinds: usize,
}

impl Read for Changing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.now.read(buffer)
    }
}

impl BufRead for Changing {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.now.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.now.consume(bytes);
    }
}

impl Seek for Changing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to == SeekFrom::Start(0) {
            self.rewinds += 1;
            if self.rewinds == 2 {
                self.now = Cursor::new(self.then.take().unwrap());
            }
        }
        self.now.seek(to)
    }
}

#[test]
fn an_input_that_is_another_one_when_it_is_read_again_is_refused_where_it_differs() {
    let text = String::from_utf8(Source::several(3).lines()).unwrap();
    let changed = text.replace("value 1", "value 7");
    let shorter = text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    for then in [changed, shorter] {
        let same_lines = text.lines().zip(then.lines()).take_while(|(one, other)| one == other).count();
        let mut input = Changing { now: Cursor::new(text.clone().into()), then: Some(then.into()), rewinds: 0 };
        let target = Target::new();
        let result = target.store.import_plaintext(&mut input, &ImportOptions::new(), &mut |_| ());
        let error = file_is_refused(result, "changing input").to_string();
        assert!(error.starts_with(&format!("line {}: ", same_lines + 1)), "{error}");
        // The lines before it were as they had been checked.
        assert_eq!(crate::fixture::names(&target.home()).len(), same_lines - 1);
    }
}

#[test]
fn an_output_that_fails_is_reported() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("full"))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            if self.0 == 0 { Err(io::Error::other("full")) } else { Ok(()) }
        }
    }
    let source = Source::several(2);
    let whole = source.lines().len();
    for room in [0, 10, 100, whole - 1, whole] {
        let result = source.store.export_plaintext(&mut Full(room), &Default::default(), &mut |_| ());
        file_is_refused(result, &format!("room for {room}"));
    }
}

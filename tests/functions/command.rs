//! Programs as rotation functions, well-behaved and not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{CommandFunction, RotationCall, RotationFunction, RotationStep};

use crate::fixture::{ARN, TOKEN, call, in_time, invoke, reason, secrets};

const POLL: Duration = Duration::from_millis(10);

/// A program that is a script of the shell.
fn script(text: &str) -> CommandFunction {
    CommandFunction::new("/bin/sh").argument("-c").argument(text)
}

/// Whether a process whose number a script has written is still there, and not only its exit status.
fn is_running(file: &Path) -> bool {
    let number = fs::read_to_string(file).unwrap();
    let about = fs::read_to_string(format!("/proc/{}/stat", number.trim())).unwrap_or_default();
    about.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

#[test]
fn the_program_gets_the_event_and_the_region_of_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    for step in RotationStep::ALL {
        let (event, about) = (folder.path().join("event"), folder.path().join("about"));
        let function =
            script("cat > \"$EVENT\"; echo \"$AWS_REGION $AWS_DEFAULT_REGION $MINE $1\" > \"$ABOUT\"; echo ignored")
                .argument("sh")
                .argument("first argument; $(exit 1)")
                .env("EVENT", &event)
                .env("ABOUT", &about)
                .env("MINE", "former")
                .env("MINE", "later");
        in_time("a script", move || function.invoke(&call(step))).unwrap();
        let found: Value = serde_json::from_slice(&fs::read(&event).unwrap()).unwrap();
        let token = "the rotation's \"token\"";
        let expected =
            json!({"Step": step.as_str(), "SecretId": ARN, "ClientRequestToken": TOKEN, "RotationToken": token});
        assert_eq!(found, expected);
        let about = fs::read_to_string(&about).unwrap();
        assert_eq!(about, "eu-central-1 eu-central-1 later first argument; $(exit 1)\n");
    }
    let function = script("[ \"$AWS_REGION\" = local ]").env("AWS_REGION", "local");
    invoke("a Region that is set", function).unwrap();
}

#[test]
fn a_failure_says_what_the_program_said() {
    let rows = [
        ("exit 3", "sh: exit status 3"),
        ("echo 'no such user' >&2; exit 1", "sh: exit status 1: no such user"),
        (
            "printf 'one\\n\\ttwo\\r\\n\\033[31mred\\000\\377' >&2; exit 255",
            "sh: exit status 255: one two [31mred \u{fffd}",
        ),
        ("echo out; exit 1", "sh: exit status 1"),
        ("kill -9 $$", "sh: killed by signal 9"),
        ("echo last words >&2; kill -15 $$", "sh: killed by signal 15: last words"),
    ];
    for (text, expected) in rows {
        assert_eq!(reason(text, script(text)), expected);
    }
    // Of much the beginning is kept, and the end, which is where many programs say what was wrong.
    let much = "echo beginning >&2; i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo the end >&2; exit 1";
    let reason = reason("much", script(much));
    assert!(
        reason.starts_with("sh: exit status 1: beginning line 0 ") && reason.ends_with(" line 1999 the end"),
        "{reason}"
    );
    // Success is success, whatever was said.
    invoke("warnings", script("echo a warning >&2; exit 0")).unwrap();
}

#[test]
fn a_program_that_cannot_be_started_is_a_failed_step_and_no_function() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o600)).unwrap();
    let nonsense = folder.path().join("nonsense");
    fs::write(&nonsense, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&nonsense, fs::Permissions::from_mode(0o700)).unwrap();
    let rows = [
        (folder.path().join("missing"), false, false),
        (folder.path().to_owned(), false, false),
        (plain, false, false),
        ("".into(), false, false),
        ("a-program-that-nobody-has".into(), false, false),
        // Only running it shows this.
        (nonsense, true, false),
        ("/bin/true".into(), true, true),
        ("true".into(), true, true),
        ("./true".into(), false, false),
    ];
    for (program, is_invocable, works) in rows {
        let function = CommandFunction::new(&program);
        assert_eq!(function.is_invocable("arn:aws:lambda:any"), is_invocable, "{}", program.display());
        let done = invoke("start", function);
        assert_eq!(done.is_ok(), works, "{}", program.display());
        if let Err(error) = done {
            assert!(error.to_string().contains("cannot be started"), "{error}");
        }
    }
    let named = CommandFunction::new("true").env("PATH", folder.path());
    assert!(!named.is_invocable(""), "the program's own PATH counts");
    let odd = CommandFunction::new("/bin/true").env("A=B", "x\0y");
    assert!(reason("an impossible environment", odd).contains("cannot be started"));
}

#[test]
fn a_program_need_not_read_its_event() {
    // More than any pipe holds.
    let large = || {
        let id = "x".repeat(2 << 20);
        RotationCall::new(RotationStep::CreateSecret, id, TOKEN, secrets())
    };
    let rows =
        [("exit 0", true), ("exec 0<&-; exit 0", true), ("head -c 10 >/dev/null; exit 0", true), ("exit 1", false)];
    for (text, works) in rows {
        let done = in_time(text, move || script(text).invoke(&large()));
        assert_eq!(done.is_ok(), works, "{text}: {done:?}");
    }
    let counted = script("[ \"$(wc -c)\" -gt 2097152 ]");
    in_time("whoever reads gets all of it", move || counted.invoke(&large())).unwrap();
}

#[test]
fn floods_of_output_are_thrown_away() {
    let rows = [
        "head -c 1000000000 /dev/zero; exit 1",
        "head -c 100000000 /dev/zero >&2; exit 1",
        "head -c 100000000 /dev/urandom >&2; head -c 100000000 /dev/urandom; exit 1",
    ];
    for text in rows {
        assert!(reason(text, script(text)).starts_with("sh: exit status 1"), "{text}");
    }
    let endless = script("while :; do echo more >&2; done").timeout(Duration::from_millis(300));
    assert!(reason("an endless flood", endless).contains("did not end within 300ms and was killed: more more"));
}

#[test]
fn a_program_that_does_not_end_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        "sleep 600",
        "trap '' TERM INT HUP QUIT; while :; do sleep 1; done",
        "exec 0<&- 1>&- 2>&-; while :; do sleep 600; done",
        "sleep 600 & sleep 600 & wait",
        "kill -STOP $$",
    ];
    for (index, text) in rows.into_iter().enumerate() {
        let file = folder.path().join(index.to_string());
        let function = script(&format!("echo $$ > \"$FILE\"; {text}")).env("FILE", &file);
        let reason = reason(text, function.timeout(Duration::from_millis(300)));
        assert_eq!(reason, "sh: did not end within 300ms and was killed");
        assert!(!is_running(&file), "{text}");
    }
    let file = folder.path().join("child");
    let function = script("sleep 600 & echo $! > \"$FILE\"; wait").env("FILE", &file);
    reason("a child", function.timeout(Duration::from_millis(300)));
    in_time("the child ends", move || {
        while is_running(&file) {
            thread::sleep(POLL);
        }
    });
    reason("no time at all", script("sleep 600").timeout(Duration::ZERO));
    invoke("time without end", script("exit 0").timeout(Duration::MAX)).unwrap();
}

#[test]
fn what_a_program_leaves_running_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let function = script("sleep 600 & echo $! > \"$FILE\"; exit 0").env("FILE", &file);
    invoke("a child that holds the pipes", function).unwrap();
    in_time("the child ends", move || {
        while is_running(&file) {
            thread::sleep(POLL);
        }
    });
    if !cfg!(target_os = "linux") {
        return;
    }
    // Whoever leaves the group is out of reach, and holds the pipes for a while.
    let function = script("setsid sleep 40 & echo gone >&2; exit 4");
    assert_eq!(reason("a child of its own group", function), "sh: exit status 4: gone");
    let function = script("setsid sh -c 'i=0; while [ $i -lt 200000 ]; do echo noise >&2; i=$((i+1)); done' & exit 0");
    invoke("a child that goes on writing", function).unwrap();
}

#[test]
fn what_a_program_logs_in_with_is_not_shown() {
    let shown = format!("{:?}", script("exit 0").env("API_KEY", "hunter2"));
    assert!(shown.contains("/bin/sh") && shown.contains("API_KEY") && !shown.contains("hunter2"), "{shown}");
}

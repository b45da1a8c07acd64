//! The source tree as text: who may name whom, and what no file may contain.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

const LINES_MAX: usize = 700;

/// A file of `src`.
struct Source {
    /// Relative to `src`, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Numbered lines of code, without comments and without what follows one.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let numbered = self.text.lines().enumerate().filter(move |(_, line)| is_code(line));
        numbered.map(|(index, line)| (index + 1, line.split(" // ").next().unwrap_or_default()))
    }

    /// What the code says, statements in one piece each, with the lines on which they end.
    fn statements(&self) -> Vec<(usize, String)> {
        let mut statements = Vec::new();
        let mut statement = String::new();
        for (number, line) in self.code() {
            statement.push_str(line.trim());
            statement.push(' ');
            if line.trim_end().ends_with([';', '{', '}']) && !is_open_import(&statement) {
                statements.push((number, std::mem::take(&mut statement)));
            }
        }
        statements.push((self.text.lines().count(), statement));
        statements
    }

    fn is_in(&self, module: &str) -> bool {
        self.path == format!("{module}.rs") || self.path.starts_with(&format!("{module}/"))
    }
}

fn is_open_import(statement: &str) -> bool {
    let is_import = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "];
    is_import.iter().any(|start| statement.starts_with(start)) && !statement.trim_end().ends_with(';')
}

fn sources() -> Vec<Source> {
    let sources = sources_in("src");
    assert!(sources.len() > 40, "the sources were not found");
    sources
}

fn sources_in(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut sources = Vec::new();
    let mut rest = vec![root.clone()];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { path: relative(&path, &root), text });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn relative(path: &Path, root: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap().components().map(|part| part.as_os_str().to_str().unwrap());
    parts.collect::<Vec<_>>().join("/")
}

/// Everything of this crate that a file names, as paths from its root: `use crate::a::{b, c::d}` names `a::b` and
/// `a::c::d`.
fn named(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (number, statement) in source.statements() {
        for (start, _) in statement.match_indices("crate::") {
            let is_path_start = statement
                .get(..start)
                .and_then(|before| before.chars().next_back())
                .is_none_or(|last| !is_word(last) && last != ':');
            if is_path_start {
                let path = statement.get(start + "crate::".len()..).unwrap_or_default();
                expand("", path, &mut |path| named.push((number, path)));
            }
        }
    }
    named
}

/// Expands a path with braces. Gives the rest behind it.
fn expand<'a>(prefix: &str, path: &'a str, add: &mut dyn FnMut(String)) -> &'a str {
    let end = path.find(|c: char| !is_word(c) && c != ':').unwrap_or(path.len());
    let (head, rest) = path.split_at(end);
    let whole = format!("{prefix}{head}");
    let Some(mut rest) = rest.strip_prefix('{').filter(|_| head.is_empty() || head.ends_with("::")) else {
        add(whole);
        return rest;
    };
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(behind) = rest.strip_prefix('}') {
            return behind;
        }
        if rest.is_empty() {
            return rest;
        }
        let before = rest.len();
        rest = expand(&whole, rest, add);
        // A renamed item: `a as b`.
        rest = rest.trim_start();
        if let Some(name) = rest.strip_prefix("as ") {
            rest = name.trim_start_matches(is_word);
        }
        if rest.len() == before {
            return rest;
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_under(path: &str, module: &str) -> bool {
    path == module || path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

fn report(violations: &[String]) {
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// Files, except some, whose code contains a text, as a whole word where it begins or ends with a letter.
fn containing(text: &str, is_allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !is_allowed(&source.path)) {
        for (number, line) in source.code() {
            let is_whole = |start: usize| {
                let before = line.get(..start).and_then(|before| before.chars().next_back());
                let after = line.get(start + text.len()..).and_then(|after| after.chars().next());
                let begins = !text.starts_with(is_word) || before.is_none_or(|c| !is_word(c));
                let ends = !text.ends_with(is_word) || after.is_none_or(|c| !is_word(c));
                begins && ends
            };
            if line.match_indices(text).any(|(start, _)| is_whole(start)) {
                found.push(format!("src/{}:{number} names `{text}`", source.path));
            }
        }
    }
    found
}

#[test]
fn the_reader_of_imports_understands_every_form() {
    let text = "use crate::a::{b, c::{d, e as f}, g};\nuse crate::h;\nfn i(j: &crate::k::L) {}\nuse other_crate::m;\n\
                use crate::n::{\n    o,\n    p::Q,\n};\n// use crate::r;\nuse crate::s::*;\n";
    let source = Source { path: String::new(), text: text.to_owned() };
    let paths: Vec<String> = named(&source).into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["a::b", "a::c::d", "a::c::e", "a::g", "h", "k::L", "n::o", "n::p::Q", "s::"]);
}

#[test]
fn modules_import_only_in_their_direction() {
    // A module, and what it must not name.
    let forbidden: [(&str, &[&str]); 10] = [
        ("json", &["records", "storage", "store", "api", "run", "rotator", "envelope", "wire", "functions"]),
        ("functions", &["records", "storage", "wire"]),
        ("wire", &["records", "storage", "run", "rotator", "envelope", "functions"]),
        ("api", &["wire", "storage", "functions"]),
        ("rotator", &["wire", "storage", "functions", "api"]),
        ("model", &["records", "storage", "store", "api", "run", "rotator", "envelope::provider", "functions"]),
        ("envelope", &["records", "storage", "store", "api", "run", "rotator", "functions"]),
        ("observe", &["records", "storage", "store", "api", "run", "rotator", "envelope", "wire", "functions"]),
        ("records", &["store", "api", "run", "rotator", "functions", "observe"]),
        ("error", &["records", "storage", "store", "api", "run", "rotator", "functions"]),
    ];
    // A module that may name only these, and itself.
    let allowed: [(&str, &[&str]); 7] = [
        ("storage", &["error", "files"]),
        ("files", &[]),
        ("clock", &["time"]),
        ("entropy", &["error"]),
        ("rotation", &["time", "error"]),
        ("policy", &["time"]),
        ("access", &["model", "policy", "time"]),
    ];
    let mut violations = Vec::new();
    for source in sources() {
        for (number, path) in named(&source) {
            let mut refuse = |module| violations.push(format!("src/{}:{number}: {module} names {path}", source.path));
            for (module, others) in forbidden {
                if source.is_in(module) && others.iter().any(|other| is_under(&path, other)) {
                    refuse(module);
                }
            }
            for (module, others) in allowed {
                let is_fine = |path: &str| is_under(path, module) || others.iter().any(|other| is_under(path, other));
                // Links of the documentation are no imports and are not in the code.
                if source.is_in(module) && !is_fine(&path) {
                    refuse(module);
                }
            }
        }
    }
    report(&violations);
}

#[test]
fn each_foreign_thing_is_named_in_one_file() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.path != "storage/sled.rs") {
        for (number, line) in source.code() {
            // Our own module of that name is not meant.
            let line = line.replace("storage::sled", "");
            if line.contains("sled::") || line.contains("use sled") || line.contains("extern crate sled") {
                violations.push(format!("src/{}:{number} names sled", source.path));
            }
        }
    }
    violations.extend(containing("bincode::", |path| path == "records/codec.rs"));
    violations.extend(containing("use bincode", |path| path == "records/codec.rs"));
    violations.extend(containing("SystemTime", |path| path == "clock.rs"));
    // How long a request took is for the log alone, and a deadline is for the caller of a key provider alone.
    let tells_durations = ["bin/strongroom/serve/http.rs", "envelope/timeout.rs"];
    violations.extend(containing("Instant::now", |path| tells_durations.contains(&path)));
    violations.extend(containing("Utc::now", |_| false));
    violations.extend(containing("SystemRandom", |path| path == "entropy.rs"));
    violations.extend(containing("argon2::", |path| path == "envelope/passphrase/argon2id.rs"));
    violations.extend(containing("ureq::", |path| path == "functions/endpoint.rs"));
    violations.extend(containing("rustix::", |path| path == "functions/command.rs"));
    violations.extend(containing("keyring_core", |path| path == "envelope/os_keyring.rs"));
    violations
        .extend(containing("serde_json::", |path| path == "json.rs" || path == "wire.rs" || path.starts_with("bin/")));
    for crate_name in ["axum::", "clap::", "tokio::", "hyper::", "indicatif::"] {
        violations.extend(containing(crate_name, |path| path.starts_with("bin/")));
    }
    // Our own module of that name is not meant.
    let may_emit = |path: &str| path.starts_with("bin/") || path == "observe/tracing.rs";
    let names_tracing = containing("tracing::", |path| may_emit(path) || path == "lib.rs");
    violations.extend(names_tracing);
    violations.extend(containing("unsafe", |path| path == "envelope/wiped.rs"));
    violations.extend(containing("unsafe_code", |path| path == "envelope/wiped.rs"));
    report(&violations);
}

#[test]
fn operations_name_no_backend_and_no_key_provider() {
    let outside_the_operations = |path: &str| !path.starts_with("api/");
    let mut violations = containing("Backend", outside_the_operations);
    violations.extend(containing("KeyProvider", outside_the_operations));
    violations.extend(containing("BackendError", outside_the_operations));
    report(&violations);
}

/// What does not go through `call` is hidden from the observers.
#[test]
fn every_operation_goes_through_the_one_way_in() {
    let (mut violations, mut operations) = (Vec::new(), 0);
    for source in sources().iter().filter(|source| source.is_in("api") && source.path != "api/request.rs") {
        let code: String = source.code().map(|(_, line)| format!("{} ", line.trim())).collect();
        for (at, _) in code.match_indices("pub fn ") {
            let method = code.get(at..).unwrap_or_default();
            let (head, body) = method.split_once('{').unwrap_or_default();
            if head.contains("&self") && head.contains("request: ") {
                operations += 1;
                if !body.trim_start().starts_with("self.call(request, |request| ") {
                    violations.push(format!("src/{}: {head}", source.path));
                }
            }
        }
    }
    report(&violations);
    assert!(operations >= 14, "the operations were not found");
}

#[test]
fn no_file_is_too_long_and_every_file_says_what_it_is() {
    let mut violations = Vec::new();
    for Source { path, text } in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            violations.push(format!("src/{path} has {lines} lines"));
        }
        if !text.starts_with("//! ") {
            violations.push(format!("src/{path} does not begin with what it is"));
        }
    }
    report(&violations);
}

#[test]
fn nothing_is_left_undone_and_nothing_is_a_drawer() {
    let mut violations = Vec::new();
    for word in ["todo!", "unimplemented!", "dbg!", "println!", "FIXME", "TODO"] {
        violations.extend(containing(word, |_| false));
    }
    for source in sources() {
        let is_drawer = |part: &str| ["utils", "util", "helpers", "common", "misc"].contains(&part);
        if source.path.trim_end_matches(".rs").split('/').any(is_drawer) {
            violations.push(format!("src/{} is a drawer", source.path));
        }
        for (index, line) in source.text.lines().enumerate() {
            if line.contains("// TODO") || line.contains("// FIXME") || line.contains("// XXX") {
                violations.push(format!("src/{}:{} is unfinished", source.path, index + 1));
            }
        }
    }
    report(&violations);
}

#[test]
fn every_exception_from_a_lint_has_a_reason() {
    let mut violations = Vec::new();
    for source in sources() {
        let text: String = source.code().map(|(_, line)| format!("{line}\n")).collect();
        for start in ["#[expect(", "#![expect("] {
            for (at, _) in text.match_indices(start) {
                let attribute = text.get(at..).and_then(|rest| rest.split(")]").next()).unwrap_or_default();
                let reason = attribute.split("reason = \"").nth(1).and_then(|rest| rest.split('"').next());
                if reason.is_none_or(|reason| reason.trim().is_empty()) {
                    violations.push(format!("src/{}: {attribute}", source.path));
                }
            }
        }
    }
    for start in ["#[allow(", "#![allow("] {
        violations.extend(containing(start, |_| false));
    }
    report(&violations);
}

/// Every promise of the security document names tests that exist.
#[test]
fn the_tests_that_show_a_promise_exist() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md")).unwrap();
    let promises = document.split("\n## Promises\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let promises: Vec<&str> = promises.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(promises.len() >= 17, "the table of promises was not found");
    let mut everything = String::new();
    for source in sources().into_iter().chain(sources_in("tests")) {
        everything.push_str(&source.text);
    }
    for promise in promises {
        let shown_by = promise.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
        let quoted: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!quoted.is_empty(), "{promise}: no test is named");
        for name in quoted.iter().filter(|name| name.contains('_')) {
            assert!(everything.contains(&format!("fn {name}(")), "{name} does not exist");
        }
    }
}

//! The house rules that a compiler does not check: imports go down only, files stay readable, every endpoint is found
//! by its NSID. ARCHITECTURE.md explains the layers.
#![expect(clippy::unwrap_used, reason = "a broken checkout may stop this test with a backtrace")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Modules of `src/` from the bottom to the top. A module may import only from lines above its own.
const LAYERS: &[&[&str]] = &[
    &["clock", "entropy", "limits"],
    &["syntax"],
    &["ipld", "crypto"],
    &["event", "permission", "plc"],
    &["repo", "lexicon", "identity", "oauth", "delegation"],
    &["meters", "tasks"],
    &["store", "outbound", "throttle"],
    &["service"],
    &["sync"],
    &["xrpc"],
    &["methods", "web"],
    &["http", "config"],
    &["client"],
    &["app", "telemetry"],
    &["adopt"],
    &["cli"],
];

/// Words that may not appear in the code of a layer: what it must never know.
const FORBIDDEN: &[(&[&str], &[&str])] = &[
    (&["clock", "entropy", "limits", "syntax"], &["tokio::", "rusqlite::", "hyper::"]),
    (
        &["ipld", "crypto", "event", "permission", "plc", "repo", "lexicon", "identity", "oauth", "delegation"],
        &["tokio::", "rusqlite::", "hyper::", "reqwest::", "SystemClock", "OsEntropy"],
    ),
    (&["store"], &["hyper::", "reqwest::", "SystemClock", "dyn Clock"]),
    (&["outbound"], &["rusqlite::"]),
    (&["service"], &["http::", "hyper::", "rusqlite::", "StatusCode"]),
    (&["sync"], &["hyper::", "rusqlite::", "tungstenite", "TcpStream"]),
    (&["xrpc"], &["hyper::", "rusqlite::"]),
    (&["methods"], &["hyper::", "rusqlite::", "crate::config", "SELECT ", "INSERT INTO"]),
    (&["adopt"], &["hyper::", "println!", "SystemClock", "OsEntropy"]),
    (&["client"], &["hyper::", "rusqlite::", "println!", "SystemClock", "OsEntropy"]),
    (&["web"], &["hyper::", "rusqlite::", "crate::methods"]),
];

/// Lines of code (tests, comments and blank lines left out) that a file may have before it must be split.
const FILE_CODE_LINES: usize = 600;

struct Source {
    /// Path below `src/`, with `/`.
    path: String,
    /// The text without test modules.
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_root(&self) -> bool {
        matches!(self.path.as_str(), "lib.rs" | "main.rs")
    }
}

#[test]
fn imports_go_down_only() {
    let mut problems = BTreeSet::new();
    for source in sources().iter().filter(|source| !source.is_root()) {
        let module = source.module();
        let Some(own) = layer(module) else {
            problems.insert(format!("{}: module {module} is missing from the table of layers", source.path));
            continue;
        };
        for used in imports(&source.code).into_iter().filter(|used| used != module) {
            if layer(&used).is_none_or(|theirs| theirs >= own) {
                problems.insert(format!("{} imports {used}, which is not below {module}", source.path));
            }
        }
        if source.code.contains("super::super::") {
            problems.insert(format!("{} climbs with super::super::, where this test cannot see it", source.path));
        }
    }
    report(&problems);
}

#[test]
fn no_layer_names_what_it_must_not_know() {
    let mut problems = BTreeSet::new();
    for source in sources() {
        for (modules, words) in FORBIDDEN {
            if modules.contains(&source.module()) {
                for word in words.iter().filter(|word| names(&source.code, word)) {
                    problems.insert(format!("{} names {word}", source.path));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn every_endpoint_is_found_by_its_nsid() {
    let mut problems = BTreeSet::new();
    for source in sources() {
        let Some(below) = source.path.strip_prefix("methods/") else { continue };
        if below.ends_with("mod.rs") {
            continue;
        }
        let stem = below.strip_suffix(".rs").unwrap();
        let mut parts: Vec<String> = stem.split('/').map(camel_case).collect();
        let nsid = {
            let name = parts.pop().unwrap();
            format!("{}.{name}", parts.join("."))
        };
        if source.code.contains("const NSID") && !source.code.contains(&format!("\"{nsid}\"")) {
            problems.insert(format!("methods/{below} does not serve {nsid}"));
        }
        if source.code.matches("const NSID").count() > 1 {
            problems.insert(format!("methods/{below} serves more than one method"));
        }
    }
    report(&problems);
}

#[test]
fn files_stay_short_enough_to_read() {
    let long: BTreeSet<String> = sources()
        .iter()
        .filter_map(|source| {
            let lines = source.code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
            let count = lines.count();
            (count > FILE_CODE_LINES).then(|| format!("{} has {count} lines of code", source.path))
        })
        .collect();
    report(&long);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: BTreeSet<String> = sources()
        .iter()
        .filter(|source| !source.code.trim_start().starts_with("//!"))
        .map(|source| format!("{} has no //! header", source.path))
        .collect();
    report(&silent);
}

#[test]
fn nothing_is_left_open_in_the_code() {
    let mut problems = BTreeSet::new();
    for source in sources() {
        for word in ["todo!(", "unimplemented!(", "FIXME", "TODO", "XXX", "#[ignore"] {
            if source.code.contains(word) {
                problems.insert(format!("{} still says {word}", source.path));
            }
        }
    }
    report(&problems);
}

#[test]
fn the_rules_catch_what_they_are_for() {
    assert_eq!(imports("use crate::{store::Store, ipld::Cid};"), ["ipld".to_owned(), "store".to_owned()].into());
    assert_eq!(imports("fn f() { crate::http::serve() }"), ["http".to_owned()].into());
    assert_eq!(
        imports("use crate::{\n    clock::{Clock, Timestamp},\n    syntax::Did,\n};"),
        ["clock".to_owned(), "syntax".to_owned()].into()
    );
    assert_eq!(layer("nonesuch"), None);
    assert!(names("use tokio::sync::watch;", "tokio::"));
    assert!(!names("mytokio::x", "tokio::"));
    assert_eq!(camel_case("create_record"), "createRecord");
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The first path segment of everything that `code` takes from `crate::`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = code.get(at + "crate::".len()..).unwrap();
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(top_level_names(group));
        } else {
            found.extend(identifier(rest));
        }
    }
    found
}

/// The names at depth one of a `{…}` group whose opening brace was cut off.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (1_usize, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && depth == 1 && !c.is_whitespace() => {
                fresh = false;
                names.extend(identifier(group.get(at..).unwrap()));
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = text.get(..end)?;
    (!name.is_empty() && name.starts_with(char::is_lowercase)).then(|| name.to_owned())
}

/// Whether `word` stands in `code` where no identifier runs into it, comments left out.
fn names(code: &str, word: &str) -> bool {
    code.lines().map(|line| line.split("//").next().unwrap_or("")).any(|line| {
        line.match_indices(word).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    })
}

fn camel_case(snake: &str) -> String {
    let mut upper = false;
    snake
        .chars()
        .filter_map(|c| {
            if c == '_' {
                upper = true;
                return None;
            }
            let c = if upper { c.to_ascii_uppercase() } else { c };
            upper = false;
            Some(c)
        })
        .collect()
}

#[test]
fn every_test_that_the_security_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    collect(&root.join("tests"), &mut files);
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    // Between backticks, a name of several words in lower case is a test's.
    let named = document.split('`').skip(1).step_by(2).filter(|name| {
        name.matches('_').count() > 2 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    });
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 40, "docs/security.md names {} tests", named.len());
    report(&named.into_iter().filter(|name| !code.contains(&format!("fn {name}()"))).map(str::to_owned).collect());
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty(), "there is nothing in {}", root.display());
    files
        .into_iter()
        .filter(|file| !is_test_file(file))
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            Source { path, code: without_tests(&fs::read_to_string(&file).unwrap()) }
        })
        .collect()
}

/// Files that exist only under `#[cfg(test)]` are free of the rules.
fn is_test_file(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    let in_tests = file.parent().unwrap().file_name().is_some_and(|dir| dir == "tests" || dir == "testing");
    in_tests || name == "tests.rs" || name.ends_with("_tests.rs") || matches!(name, "testing.rs" | "interop.rs")
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Cuts out `#[cfg(test)] mod … { … }` by matching braces.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        rest = after_item(from);
    }
    kept.push_str(rest);
    kept
}

/// What follows the item at the start of `text`: up to its closing brace, or its semicolon if that comes first.
fn after_item(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text.get(at + 1..).unwrap();
                }
            }
            ';' if depth == 0 => return text.get(at + 1..).unwrap(),
            _ => {}
        }
    }
    ""
}

fn report(problems: &BTreeSet<String>) {
    assert!(problems.is_empty(), "\n{}", problems.iter().cloned().collect::<Vec<_>>().join("\n"));
}

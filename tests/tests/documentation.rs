//! What the documentation names is there: files, modules and items.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files below a directory, relative to the root; not those that are built or hidden.
fn files(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = directory.join(&name);
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            found.push(path.to_str().unwrap().to_owned());
            files(&path, found);
        } else {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
}

/// What is between backticks, outside of indented text.
fn spans(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("    "));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// All identifiers that a line of Rust declares, or may: items, fields, variants.
fn declared(line: &str) -> impl Iterator<Item = &str> {
    const KEYWORDS: [&str; 9] =
        ["fn", "mod", "struct", "enum", "trait", "type", "const", "static", "macro_rules"];
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let mut words = words.peekable();
    let first = words.peek().copied();
    let pairs = words.clone().zip(words.skip(1));
    pairs
        .filter(|(keyword, _)| *keyword == "pub" || KEYWORDS.contains(keyword))
        .map(|(_, name)| name)
        .chain(first)
}

#[test]
fn what_the_documentation_names_is_there() {
    let mut paths = Vec::new();
    files(Path::new(""), &mut paths);
    let mut names = BTreeSet::new();
    for path in paths.iter().filter(|path| path.ends_with(".rs")) {
        let text = fs::read_to_string(root().join(path)).unwrap();
        names.extend(text.lines().flat_map(declared).map(str::to_owned));
        let stem = Path::new(path).file_stem().unwrap();
        names.insert(stem.to_str().unwrap().to_owned());
    }
    // Folders are modules or crates, whose names have another spelling in code.
    names.extend(paths.iter().filter_map(|path| path.rsplit('/').next()).map(|name| name.replace('-', "_")));
    names.extend(["a64", "pe", "engine", "core", "mmu", "devices", "smmu"].map(|name| format!("emu_{name}")));
    let mut missing = Vec::new();
    for document in ["ARCHITECTURE.md", "README.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for span in spans(&text) {
            // What begins with a dot is git's, or made by a chore; what begins with a slash is not the project's.
            let span = span.trim_start_matches(".../").trim_end_matches('/');
            let is_path =
                span.contains('/') && !span.contains(char::is_whitespace) && !span.starts_with(['/', '.']);
            let is_file = is_path || [".rs", ".md", ".txt"].iter().any(|end| span.ends_with(end));
            // CRATE/tests and the like stand for several.
            let is_pattern = span
                .split(['/', '.'])
                .any(|part| part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase()));
            let is_there = if is_file && !is_pattern {
                paths.iter().any(|path| path == span || path.ends_with(&format!("/{span}")))
            } else if span.contains("::") {
                span.split("::").all(|part| !is_identifier(part) || names.contains(part))
            } else {
                true
            };
            if !is_there {
                missing.push(format!("{document}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

//! The rooms of this crate use each other one way only.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and those it may use. All may use the crate `erlang_python_core`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("beam", &[]),
    ("python", &[]),
    ("request", &["beam"]),
    ("convert", &["beam", "python"]),
    ("runtime", &["beam", "python", "request", "convert"]),
    ("bridge", &["beam", "python", "request", "convert", "runtime"]),
    ("nif", &["beam", "python", "request", "convert", "runtime", "bridge"]),
];

/// Crates that a room must do without.
const WITHOUT: &[(&str, &str)] = &[("python", "rustler"), ("beam", "pyo3"), ("request", "pyo3")];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The words that follow `crate::` in a text: `a` of `crate::a::b`, `a` and `b` of `crate::{a, b::c}`.
fn used(text: &str) -> Vec<&str> {
    text.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => {
                let group = &group[..group.find("};").unwrap_or(group.len())];
                group.split(',').map(first_word).collect::<Vec<_>>()
            }
            None => vec![first_word(rest)],
        })
        .collect()
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

#[test]
fn every_folder_is_a_room() {
    let entries = fs::read_dir(source()).expect("src").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<_> =
        entries.filter(|path| path.is_dir()).map(|path| path.file_name().unwrap().to_owned()).collect();
    let mut rooms: Vec<_> = MAY_USE.iter().map(|(room, _)| std::ffi::OsString::from(room)).collect();
    folders.sort();
    rooms.sort();
    assert_eq!(folders, rooms);
}

#[test]
fn rooms_use_only_what_they_may() {
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (room, allowed) in MAY_USE {
        for file in files(&source().join(room)) {
            let text = fs::read_to_string(&file).expect("a source file");
            let code: String =
                text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            for other in used(&code) {
                let known = MAY_USE.iter().any(|(name, _)| *name == other);
                arrows += usize::from(known && other != *room);
                if known && other != *room && !allowed.contains(&other) {
                    wrong.push(format!("{} uses {other}", file.display()));
                }
            }
            for (without, library) in WITHOUT {
                if without == room && code.contains(&format!("{library}::")) {
                    wrong.push(format!("{} uses {library}", file.display()));
                }
            }
        }
    }
    assert!(arrows > 50, "only {arrows} arrows found: the test looks at the wrong thing");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn all_ways_to_use_a_room_are_seen() {
    assert_eq!(used("use crate::beam::env; crate::{beam, nif::a}; x"), ["beam", "beam", "nif"]);
    assert_eq!(used("fn f(a: crate::runtime::thread::Runtime)"), ["runtime"]);
}

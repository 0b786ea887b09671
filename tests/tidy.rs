//! The laws of the house, as tests over the source text: what a reviewer would otherwise have to look for.
//!
//! Every check reads the files as text. Comments and literals are blanked first where only code counts, so that a
//! sentence about `libc` breaks no law. A failure names file, line and law.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[path = "tidy/source.rs"]
mod source;

use source::{
    Findings, Source, blank, block, docs_above, exports, heads, identifier, rooms, root, rust,
    sources, words,
};

/// The floors of the library: a room names rooms of lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("error", 0),
    ("sys", 1),
    ("segment", 2),
    ("sync", 3),
    ("ring", 3),
    ("heap", 3),
    ("tenancy", 4),
    ("message", 5),
    ("waiting", 5),
    ("queue", 6),
    ("pipe", 6),
    ("lock", 6),
    ("value", 6),
    ("event", 6),
    ("latch", 6),
    ("semaphore", 6),
    ("condition", 6),
    ("context", 6),
    ("reentrant", 6),
    ("rwlock", 6),
    ("once", 6),
    ("barrier", 6),
    ("shared", 6),
    ("manager", 7),
    ("process", 7),
    ("split", 7),
    ("compat", 7),
    ("asynchronous", 8),
    ("pool", 8),
    ("service", 8),
];

/// Arrows between siblings or upwards that are allowed, each with its reason.
const ARROWS: &[(&str, &str)] = &[
    // A condition is a lock and a queue of waiters, and gives its lock's guard.
    ("condition", "lock"),
    // Its errors are a lock's.
    ("reentrant", "lock"),
    // Its errors are a lock's.
    ("rwlock", "lock"),
    // A user's struct has primitives for fields, which lie in it as they lie alone.
    ("shared", "lock"),
    ("shared", "event"),
    ("shared", "latch"),
    ("shared", "semaphore"),
    ("shared", "value"),
];

/// The packages that the library may depend on; everything heavier stays out of it.
const PACKAGES: &[&str] = &[
    "crossbeam-utils",
    "libc",
    "memmap2",
    "rkyv",
    "thiserror",
    "zerocopy",
];

/// The longest file and the longest function.
const FILE_LINES: usize = 700;
const FUNCTION_LINES: usize = 70;

#[test]
fn imports_only_go_down() {
    let files = rust();
    let lib = files
        .iter()
        .find(|s| s.path == "src/lib.rs")
        .expect("src/lib.rs");
    let homes = exports(&lib.code);
    let floor: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let mut findings = Findings::default();
    for source in files.iter().filter(|s| s.room().is_some()) {
        let here = source.room().expect("a room");
        let Some(own) = floor.get(here) else {
            findings.add(
                source,
                0,
                format!("the room `{here}` has no floor in this test"),
            );
            continue;
        };
        let prefixes = ["crate::", "super::super::"];
        let hits = prefixes.iter().flat_map(|p| source.code.match_indices(p));
        for (at, prefix) in hits {
            for (offset, name) in heads(&source.code[at + prefix.len()..]) {
                let room = homes.get(name).map_or(name, String::as_str);
                let Some(its) = floor.get(room) else { continue };
                if room != here && its >= own && !ARROWS.contains(&(here, room)) {
                    let offset = at + prefix.len() + offset;
                    findings.add(
                        source,
                        offset,
                        format!("`{here}` (floor {own}) names `{room}` (floor {its})"),
                    );
                }
            }
        }
    }
    findings.settle();
}

#[test]
fn foreign_packages_stay_in_their_rooms() {
    let laws: &[(&str, &[&str])] = &[
        ("libc", &["sys"]),
        ("memmap2", &["sys"]),
        ("shared_memory", &["compat"]),
        ("raw_sync", &["compat"]),
        ("tokio", &["asynchronous"]),
        ("rkyv", &["message", "queue", "lock", "value", "process"]),
    ];
    let mut findings = Findings::default();
    for source in rooms() {
        for (package, allowed) in laws {
            if !allowed.contains(&source.room().expect("a room")) {
                for at in words(&source.code, package) {
                    findings.add(
                        &source,
                        at,
                        format!("`{package}` belongs to {allowed:?} only"),
                    );
                }
            }
        }
        if source.path != "src/sys/atomic.rs" {
            for (at, _) in source.code.match_indices("sync::atomic") {
                findings.add(&source, at, "atomics come from crate::sys::atomic only");
            }
        }
    }
    findings.settle();
}

/// Above `segment`, protocols receive references; what makes a reference of bytes stays in the rooms named here.
#[test]
fn only_segment_turns_bytes_into_references() {
    let makers = [
        "from_raw_parts",
        "from_raw_parts_mut",
        "transmute",
        "from_ptr",
        "slice_from_raw_parts",
    ];
    let casts = [" as *const ", " as *mut ", ".cast::<"];
    let mut findings = Findings::default();
    for source in rooms() {
        let room = source.room().expect("a room");
        if ["sys", "segment", "message"].contains(&room) {
            continue;
        }
        for at in makers.iter().flat_map(|m| words(source.product(), m)) {
            findings.add(&source, at, "only `segment` turns bytes into references");
        }
        if ["sync", "ring", "heap", "tenancy"].contains(&room) {
            for (at, _) in casts.iter().flat_map(|c| source.product().match_indices(c)) {
                findings.add(&source, at, "no pointer casts above `segment`");
            }
        }
    }
    findings.settle();
}

#[test]
fn layouts_are_contracts() {
    let banned = [
        "usize",
        "isize",
        "bool",
        "char",
        "Option",
        "Box",
        "NonNull",
        "CachePadded",
    ];
    let atomics = ["AtomicBool", "AtomicUsize", "AtomicIsize", "AtomicPtr"];
    let mut findings = Findings::default();
    for source in rooms() {
        for at in words(source.product(), "Layout for").collect::<Vec<_>>() {
            let name = identifier(&source.code[at + "Layout for ".len()..]);
            let head = format!("struct {name}");
            let Some(begin) = words(&source.code, &head).next() else {
                continue;
            };
            let Some((open, end)) = block(&source.code, begin) else {
                continue;
            };
            let above = &source.code[source.code[..begin].rfind([';', '}']).unwrap_or(0)..begin];
            if !above.contains("repr(C") && !above.contains("repr(transparent") {
                findings.add(&source, begin, format!("layout `{name}` is not repr(C)"));
            }
            for word in banned.iter().chain(&atomics) {
                for hit in words(&source.code[open..end], word) {
                    findings.add(
                        &source,
                        open + hit,
                        format!("`{word}` in the layout `{name}`"),
                    );
                }
            }
            if !source.code.contains(&format!("size_of::<{name}>()")) {
                findings.add(
                    &source,
                    begin,
                    format!("no const assertion on size_of::<{name}>()"),
                );
            }
        }
    }
    findings.settle();
}

#[test]
fn files_and_functions_are_short() {
    let mut findings = Findings::default();
    for source in rust() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            findings.add(
                &source,
                0,
                format!("{lines} lines; the limit is {FILE_LINES}"),
            );
        }
        for at in words(&source.code, "fn").collect::<Vec<_>>() {
            let name = identifier(source.code[at + 2..].trim_start());
            let signature_end = source.code[at..].find(['{', ';']).map(|n| at + n);
            let Some(open) = signature_end.filter(|&n| source.code.as_bytes()[n] == b'{') else {
                continue;
            };
            if name.is_empty() {
                continue; // a function pointer type
            }
            let Some((_, end)) = block(&source.code, open) else {
                continue;
            };
            let lines = source.code[at..end].matches('\n').count() + 1;
            if lines > FUNCTION_LINES {
                findings.add(
                    &source,
                    at,
                    format!("fn {name}: {lines} lines; the limit is {FUNCTION_LINES}"),
                );
            }
        }
    }
    findings.settle();
}

#[test]
fn nothing_is_left_for_later() {
    let code = ["todo!", "unimplemented!", "dbg!", "#[ignore", "static mut "];
    let text = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
    ];
    let mut findings = Findings::default();
    for source in rust() {
        for (at, hit) in code.iter().flat_map(|c| source.code.match_indices(c)) {
            findings.add(&source, at, format!("`{hit}` is left behind"));
        }
        for (at, word) in text
            .iter()
            .flat_map(|w| words(&source.text, w).map(move |at| (at, w)))
        {
            findings.add(&source, at, format!("`{word}` is left behind"));
        }
    }
    findings.settle();
}

/// Paths of one machine and words of one workplace mean nothing to a reader elsewhere.
#[test]
fn the_text_knows_no_machine() {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/tm", "p/bash"),
        concat!("/tm", "p/plan"),
        concat!("/tm", "p/w/"),
        concat!("/tm", "p/t/"),
        concat!("/ro", "ot/"),
        concat!("../sha", "red"),
    ];
    let words_banned = [
        concat!("sess", "ion"),
        concat!("Sess", "ion"),
        concat!("work", "tree"),
    ];
    let mut findings = Findings::default();
    for source in sources() {
        for (at, hit) in paths.iter().flat_map(|p| source.text.match_indices(p)) {
            findings.add(&source, at, format!("`{hit}` is a path of one machine"));
        }
        for (at, word) in words_banned
            .iter()
            .flat_map(|w| words(&source.text, w).map(move |at| (at, w)))
        {
            findings.add(&source, at, format!("`{word}` is a word of one workplace"));
        }
    }
    findings.settle();
}

/// The argument stands in the lines just above; a comment may serve one statement that spans several lines.
#[test]
fn every_unsafe_argues() {
    let mut findings = Findings::default();
    for source in rust() {
        let lines: Vec<&str> = source.text.lines().collect();
        for at in words(&source.code, "unsafe").collect::<Vec<_>>() {
            let next = source.code[at + "unsafe".len()..].trim_start();
            if !next.starts_with('{') && !next.starts_with("impl") {
                continue;
            }
            let line = source.text[..at].matches('\n').count();
            let near = &lines[line.saturating_sub(10)..=line];
            if !near.iter().any(|l| l.contains("SAFETY")) {
                findings.add(&source, at, "unsafe without a SAFETY comment above it");
            }
        }
    }
    findings.settle();
}

/// Every Rust file is declared by its parent; every page of `docs/` is linked from another page.
#[test]
fn no_file_is_dead() {
    let all = sources();
    let paths: BTreeSet<&str> = all.iter().map(|s| s.path.as_str()).collect();
    let mut findings = Findings::default();
    for source in all.iter().filter(|s| s.is_rust()) {
        let path = Path::new(&source.path);
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a stem");
        let folder = path.parent().and_then(Path::to_str).expect("a folder");
        let last = folder.rsplit('/').next().unwrap_or_default();
        if ["lib", "main", "build"].contains(&stem)
            || ["tests", "benches", "examples", "bin"].contains(&last)
        {
            continue; // the root of a crate
        }
        let (folder, name) = if stem == "mod" {
            (folder.rsplit_once('/').map_or("", |p| p.0), last)
        } else {
            (folder, stem)
        };
        let parents = ["lib.rs", "main.rs", "mod.rs"].map(|n| format!("{folder}/{n}"));
        let beside = format!("{folder}.rs");
        let parents = parents
            .iter()
            .chain([&beside])
            .filter(|p| paths.contains(p.as_str()));
        let of = |p: &str| all.iter().find(|s| s.path == p).map(|s| s.code.as_str());
        let declared = parents
            .filter_map(|p| of(p))
            .any(|code| words(code, &format!("mod {name}")).next().is_some());
        let roots = all
            .iter()
            .filter(|s| s.path.starts_with("tests/") || s.path.starts_with("benches/"));
        let shared = stem == "mod"
            && roots
                .into_iter()
                .any(|s| words(&s.code, &format!("mod {name}")).next().is_some());
        let by_path = [format!("\"{stem}.rs\"]"), format!("/{stem}.rs\"]")];
        let placed = |s: &Source| {
            by_path
                .iter()
                .any(|p| s.text.contains("#[path = ") && s.text.contains(p))
        };
        if !declared && !shared && !all.iter().any(placed) {
            findings.add(source, 0, "no `mod` declares this file");
        }
    }
    for page in all
        .iter()
        .filter(|s| s.path.starts_with("docs/") && s.path.ends_with(".md"))
    {
        let name = page.path.trim_start_matches("docs/");
        let linked =
            |s: &&Source| s.path != page.path && s.path.ends_with(".md") && s.text.contains(name);
        if !all.iter().any(|s| linked(&s)) {
            findings.add(page, 0, "no other page links to this one");
        }
    }
    findings.settle();
}

#[test]
fn fallible_public_functions_say_how_they_fail() {
    let mut findings = Findings::default();
    for source in rooms() {
        let floor = FLOORS
            .iter()
            .find(|(room, _)| Some(*room) == source.room())
            .map_or(0, |f| f.1);
        if floor < 6 {
            continue;
        }
        for (at, _) in source.product().match_indices("pub fn ") {
            let signature = source.code[at..]
                .split(['{', ';'])
                .next()
                .unwrap_or_default();
            let result = signature
                .rsplit("->")
                .next()
                .is_some_and(|r| signature.contains("->") && r.contains("Result<"));
            let docs = docs_above(&source.text, at);
            if result && !docs.contains("# Errors") && !docs.contains("doc(hidden)") {
                let name = identifier(&signature["pub fn ".len()..]);
                findings.add(
                    &source,
                    at,
                    format!("`{name}` returns a Result but its docs have no `# Errors`"),
                );
            }
        }
    }
    findings.settle();
}

/// A crash driver sees only what passes a step: each shared store, exchange and futex call of the protocol rooms.
#[test]
fn every_shared_store_is_a_crash_point() {
    let stores = [
        ".store(",
        ".swap(",
        ".compare_exchange",
        ".fetch_",
        "futex::wait(",
        "futex::wake(",
    ];
    let mut findings = Findings::default();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for source in rooms()
        .iter()
        .filter(|s| ["segment", "sync", "ring", "tenancy"].contains(&s.room().unwrap_or_default()))
    {
        let code = source.product();
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, _) in stores.iter().flat_map(|s| code.match_indices(s)) {
            let line = source.text[..at].matches('\n').count();
            let near = &lines[line.saturating_sub(8)..=line];
            let passes = near
                .iter()
                .any(|l| l.contains("step(") || l.contains("// no step:"));
            if !passes {
                findings.add(
                    source,
                    at,
                    "a shared store without a step(..) or `// no step: why` just above it",
                );
            }
        }
        for (at, _) in code.match_indices("step(") {
            let Some(name) = source.text[at + 5..]
                .strip_prefix('"')
                .and_then(|t| t.split('"').next())
            else {
                continue;
            };
            if let Some(other) = names.insert(name.to_owned(), source.path.clone()) {
                findings.add(
                    source,
                    at,
                    format!("the step name `{name}` is taken in {other}"),
                );
            }
        }
    }
    findings.settle();
}

#[test]
fn the_library_depends_on_little() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let section = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .expect("[dependencies]");
    let section = section.split("\n[").next().unwrap_or_default();
    let required = section
        .lines()
        .filter(|l| !l.trim_start().starts_with('#') && !l.contains("optional = true"));
    let names = required.filter_map(|l| l.split_once('=').map(|(name, _)| name.trim()));
    let foreign: Vec<_> = names.filter(|n| !PACKAGES.contains(n)).collect();
    assert!(
        foreign.is_empty(),
        "the library must not depend on {foreign:?}"
    );
}

/// The blanking that everything above stands on.
#[test]
fn blanking_keeps_code_and_only_code() {
    let text = "let a = \"x // y\"; // libc\nlet b = 'c'; let r = r#\"unsafe \"q\" \"#; fn f<'a>() {} /* no */ end";
    let code = blank(text);
    assert_eq!(code.len(), text.len());
    assert!(
        ["libc", "unsafe", "no", "y"]
            .iter()
            .all(|w| words(&code, w).next().is_none()),
        "{code}"
    );
    assert!(
        ["let b", "fn f<'a>() {}", "end"]
            .iter()
            .all(|w| code.contains(w)),
        "{code}"
    );
    assert_eq!(heads("{a::{b, c}, d}; x"), [(1, "a"), (12, "d")]);
}

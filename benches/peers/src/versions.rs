//! What is measured, and in which version: read from the lock file when this crate is compiled.

const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));

/// The packages beside each other in the tables.
const PACKAGES: &[&str] = &[
    "multiproc",
    "crossbeam-channel",
    "crossbeam-queue",
    "heed",
    "iceoryx2",
    "ipc-channel",
    "parking_lot",
    "procspawn",
    "raw_sync",
    "rayon",
    "rtrb",
    "shaq",
];

/// One line with all of them.
pub fn line() -> String {
    let known = |name: &&str| format!("{name} {}", version(name).unwrap_or("?"));
    let packages: Vec<String> = PACKAGES.iter().map(known).collect();
    format!("versions: {}", packages.join(", "))
}

fn version(name: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::{PACKAGES, version};

    #[test]
    fn every_version_is_found() {
        for name in PACKAGES {
            let version = version(name).expect(name);
            assert_eq!(version.split('.').count(), 3, "{name} {version}");
        }
    }
}

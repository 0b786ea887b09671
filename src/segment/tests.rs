//! Segments are created, opened, bounded and refused as they should be.

use super::header::{ABI, MAGIC};
use super::*;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sys::fd::reopen;
use std::fs::File;
use std::os::unix::fs::FileExt;

fn spec() -> Spec {
    Spec {
        fingerprint: 7,
        type_name: "Job".into(),
        body_len: 10_000,
        reserve_len: 100_000,
        params: [1, 2, 3, 4, 5, 6, 7, 8],
        ..Spec::new(Kind::Test)
    }
}

fn anonymous() -> Segment {
    Draft::anonymous(&spec()).unwrap().publish(None).unwrap()
}

/// A segment of which one place was overwritten, as another process would find it.
fn damaged(offset: u64, bytes: &[u8]) -> Error {
    let segment = anonymous();
    let file = File::from(reopen(segment.fd()).unwrap());
    file.write_all_at(bytes, offset).unwrap();
    Segment::open(file.into(), Some(&Expect::from(&spec()))).unwrap_err()
}

#[test]
fn what_one_wrote_the_other_reads() {
    let mine = anonymous();
    let other = Segment::open(reopen(mine.fd()).unwrap(), Some(&Expect::from(&spec()))).unwrap();
    assert_eq!(mine.id(), other.id());
    assert_eq!(other.params(), &spec().params);
    assert_eq!(other.geometry().type_name, "Job");
    assert_eq!(other.geometry().creator, Process::current());
    let place = Offset::<AtomicU32>::new(other.body().0);
    // no step: a test
    mine.at(place).store(42, Relaxed);
    assert_eq!(other.at(place).load(Relaxed), 42);
}

#[test]
fn a_named_segment_appears_when_it_is_published() {
    let parent = tempfile::tempdir().unwrap();
    let dir = Directory::at(parent.path().join("objects")).unwrap();
    let name = Name::parse("jobs").unwrap();
    let draft = Draft::named(&dir, &spec()).unwrap();
    assert_eq!(dir.open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let mine = draft.publish(Some(&name)).unwrap();
    let other = Segment::open(dir.open(&name).unwrap(), None).unwrap();
    assert_eq!(mine.id(), other.id());
    let late = Draft::named(&dir, &spec()).unwrap().publish(Some(&name));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn references_are_bounded_and_aligned() {
    let segment = anonymous();
    let (reserve, len) = segment.reserve();
    let end = reserve + len;
    assert!(segment.get(Offset::<AtomicU64>::new(end - 8)).is_some());
    assert!(segment.get(Offset::<AtomicU64>::new(end - 4)).is_none());
    assert!(segment.get(Offset::<AtomicU64>::new(4100)).is_none());
    assert!(segment.get(Offset::<AtomicU64>::new(u64::MAX)).is_none());
    assert!(
        segment
            .slice(Offset::<AtomicU64>::new(4096), u64::MAX)
            .is_none()
    );
    assert!(segment.bytes(4096, u64::MAX).is_none());
    assert_eq!(segment.bytes(4096, 10_000).unwrap().len(), 10_000);
}

#[test]
#[should_panic(expected = "outside its segment")]
fn a_reference_outside_is_a_bug() {
    anonymous().at(Offset::<AtomicU64>::new(1 << 40));
}

#[test]
fn the_roster_grows_and_the_growth_is_remembered() {
    let segment = anonymous();
    let (roster, len) = segment.roster();
    assert_eq!(segment.header().committed(), roster + PAGE);
    segment.ensure_allocated(roster, PAGE).unwrap();
    segment.ensure_allocated(roster + PAGE, PAGE).unwrap();
    assert_eq!(segment.header().committed(), roster + 2 * PAGE);
    let last = segment.at(Offset::<AtomicU64>::new(roster + 2 * PAGE - 8));
    assert_eq!(last.load(Relaxed), 0);
    segment.ensure_allocated(roster + len, PAGE).unwrap();
    assert_eq!(segment.header().committed(), roster + 2 * PAGE);
}

#[test]
fn a_body_larger_than_the_machine_is_no_space() {
    let spec = Spec {
        body_len: 1 << 44,
        ..spec()
    };
    let error = Draft::anonymous(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    let parent = tempfile::tempdir().unwrap();
    let dir = Directory::at(parent.path().join("objects")).unwrap();
    let error = Draft::named(&dir, &spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(dir.list().unwrap().is_empty());
}

#[test]
fn damage_and_strangers_are_told_apart() {
    assert_eq!(damaged(0, b"ELF").kind(), ErrorKind::Corrupt);
    let newer = (ABI.0 + 1).to_ne_bytes();
    assert_eq!(damaged(8, &newer).kind(), ErrorKind::WrongVersion);
    assert_eq!(damaged(12, &[99, 9]).kind(), ErrorKind::WrongType);
    assert_eq!(damaged(16, &[0; 8]).kind(), ErrorKind::WrongVersion);
    assert_eq!(damaged(48, &[1; 8]).kind(), ErrorKind::Corrupt);
    assert_eq!(damaged(56, &[0xff; 8]).kind(), ErrorKind::Corrupt);
    assert_eq!(damaged(120, &[1; 16]).kind(), ErrorKind::Gone);
    let text = damaged(32, &[9]).to_string();
    assert!(
        text.contains("a test of Job (layout 0000000000000009)"),
        "{text}"
    );
    assert!(
        text.contains("not a test of Job (layout 0000000000000007)"),
        "{text}"
    );
}

#[test]
fn files_that_are_too_short_are_corrupt() {
    let short = |len: u64| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        file.write_all_at(&MAGIC.to_ne_bytes(), 0).unwrap();
        Segment::open(file.into(), None).unwrap_err().kind()
    };
    assert_eq!(short(8), ErrorKind::Corrupt);
    assert_eq!(short(4096), ErrorKind::WrongVersion);
    let segment = anonymous();
    let mut page = vec![0; 4096];
    let original = File::from(reopen(segment.fd()).unwrap());
    original.read_exact_at(&mut page, 0).unwrap();
    let cut = tempfile::tempfile().unwrap();
    cut.write_all_at(&page, 0).unwrap();
    let error = Segment::open(cut.into(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_buried_segment_takes_no_members() {
    let segment = anonymous();
    assert!(segment.header().is_live());
    segment.header().bury();
    assert!(!segment.header().is_live());
}

//! Blocks are distinct, owned, kept warm or given back, and swept by owner.

use super::super::{Draft, Kind, Spec};
use super::*;
use crate::sys::fd::{metadata, reopen};
use crate::sys::shm::seal_against_growing;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;

const ME: Participant = Participant::FIRST;
const MIB: u64 = 1 << 20;

fn segment() -> Arc<Segment> {
    let draft = Draft::anonymous(&Spec::new(Kind::Test)).unwrap();
    Arc::new(draft.publish(None).unwrap())
}

fn blocks() -> Blocks {
    Blocks::new(segment())
}

fn memory_of(blocks: &Blocks) -> u64 {
    metadata(blocks.segment.fd()).unwrap().blocks() * 512
}

fn dead() -> Participant {
    Participant::new(77).unwrap()
}

#[test]
fn the_classes_follow_each_other_without_overlap() {
    for class in 0..CLASSES {
        assert!((16..=65_536).contains(&count(class)));
        let (data, len) = DATA[class];
        assert!(data >= TABLE_LEN && data.is_multiple_of(DATA_ALIGN));
        if class + 1 < CLASSES {
            assert_eq!(DATA[class + 1].0, data + len);
            assert_eq!(TABLES[class + 1].0, TABLES[class].0 + TABLES[class].1);
        }
    }
    assert_eq!(size(CLASSES - 1), 1 << 30);
}

#[test]
fn references_survive_a_word_of_shared_memory() {
    let blocks = blocks();
    let block = blocks.alloc(ME, MIB).unwrap();
    assert_eq!(BlockRef::from_bits(block.to_bits()), Some(block));
    for bits in [0, 1, u64::MAX, 20 << 32, 19 << 32 | 16] {
        assert_eq!(BlockRef::from_bits(bits), None, "{bits:#x}");
    }
}

#[test]
fn what_one_process_wrote_another_reads() {
    let mine = blocks();
    let theirs = Segment::open(reopen(mine.segment.fd()).unwrap(), None).unwrap();
    let theirs = Blocks::new(Arc::new(theirs));
    let block = mine.alloc(ME, 100_000).unwrap();
    let bytes = mine.bytes(block, 100_000).unwrap();
    // SAFETY: the block is ours, and 100,000 of its bytes have memory.
    unsafe { bytes.cast::<u8>().add(99_999).write(7) };
    let bytes = theirs.bytes(block, 100_000).unwrap();
    // SAFETY: as above; nobody writes any more.
    assert_eq!(unsafe { bytes.cast::<u8>().add(99_999).read() }, 7);
}

#[test]
fn only_the_pages_needed_get_memory() {
    let blocks = blocks();
    let before = memory_of(&blocks);
    let block = blocks.alloc(ME, MIB + 1).unwrap();
    assert_eq!(block.size(), 2 * MIB);
    // One page of descriptors, and 257 of content.
    assert_eq!(memory_of(&blocks) - before, 258 * PAGE);
    assert!(blocks.bytes(block, MIB + 1).is_ok());
    assert!(blocks.bytes(block, 2 * MIB).is_err());
}

#[test]
fn small_blocks_stay_warm_and_large_ones_give_their_memory_back() {
    let blocks = blocks();
    let small = blocks.alloc(ME, MIB).unwrap();
    let large = blocks.alloc(ME, 16 * MIB).unwrap();
    let full = memory_of(&blocks);
    assert!(blocks.free(ME, small));
    assert_eq!(memory_of(&blocks), full);
    assert!(blocks.free(ME, large));
    assert_eq!(memory_of(&blocks), full - 16 * MIB);
    let again = blocks.alloc(ME, 16 * MIB).unwrap();
    assert_eq!(again, large);
    assert_eq!(memory_of(&blocks), full);
}

#[test]
fn blocks_take_turns_within_4_mib_at_last_and_large_ones_do_not() {
    let blocks = blocks();
    let in_a_row = |len, times| {
        let take = || {
            let block = blocks.alloc(ME, len).unwrap();
            assert!(blocks.free(ME, block));
            block
        };
        (0..times).map(|_| take()).collect::<HashSet<_>>().len()
    };
    assert_eq!(in_a_row(64 << 10, 8), 1, "they begin with less");
    assert_eq!(in_a_row(64 << 10, 1024), 64);
    assert_eq!(in_a_row(MIB, 64), 4);
    assert_eq!(in_a_row(4 * MIB, 64), 1);
}

#[test]
fn neighbours_get_memory_together_and_never_much_more_than_is_used() {
    let blocks = blocks();
    let before = memory_of(&blocks);
    let mut pages = Vec::new();
    for _ in 0..33 {
        let block = blocks.alloc(ME, 1).unwrap();
        assert!(blocks.bytes(block, 1).is_ok());
        pages.push((memory_of(&blocks) - before) / PAGE - 1); // without that of the descriptors
    }
    let behind = [1, 2, 3, 5, 9, 17, 32].map(|count| pages[count - 1]);
    assert_eq!(behind, [1, 2, 4, 8, 16, 32, 32]);
    assert_eq!(pages[32], 48, "no more than 64 KiB at a time");
    let counted = blocks.usage().unwrap();
    assert_eq!(
        counted,
        (33, 33),
        "neighbours are not, as they may not be used"
    );
}

#[test]
fn a_block_is_freed_once_and_by_its_owner() {
    let blocks = blocks();
    let block = blocks.alloc(ME, 1).unwrap();
    assert!(!blocks.free(dead(), block));
    assert!(blocks.free(ME, block));
    assert!(!blocks.free(ME, block));
    assert!(!blocks.own(ME, block).unwrap());
}

#[test]
fn sweeping_frees_what_nothing_refers_to() {
    let blocks = blocks();
    let lost = blocks.alloc(dead(), MIB).unwrap();
    let large = blocks.alloc(dead(), 8 * MIB).unwrap();
    let sent = blocks.alloc(dead(), MIB).unwrap();
    let living = blocks.alloc(ME, MIB).unwrap();
    let sweep = || blocks.sweep(dead(), &mut |block| block == sent).unwrap();
    assert_eq!(sweep(), 2);
    assert_eq!(sweep(), 0);
    assert_eq!(blocks.usage().unwrap().0, 2);
    assert!(!blocks.free(ME, lost) && !blocks.free(ME, large));
    assert!(blocks.own(ME, sent).unwrap() && blocks.free(ME, sent));
    assert!(blocks.free(ME, living));
}

#[test]
fn a_message_taken_during_the_sweep_keeps_its_block() {
    let blocks = blocks();
    let sent = blocks.alloc(dead(), MIB).unwrap();
    let take_then_say_no = &mut |block| !blocks.own(ME, block).unwrap();
    assert_eq!(blocks.sweep(dead(), take_then_say_no).unwrap(), 0);
    assert!(blocks.free(ME, sent));
}

#[test]
fn too_large_a_message_is_no_space() {
    let error = blocks().alloc(ME, LARGEST + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
}

#[test]
fn a_block_that_gets_no_memory_is_given_back() {
    let blocks = blocks();
    blocks.describe_more(8).unwrap();
    seal_against_growing(blocks.segment.fd());
    assert!(blocks.alloc(ME, MIB).is_err());
    assert_eq!(blocks.usage().unwrap(), (0, 0));
}

#[test]
fn more_blocks_than_one_page_of_descriptors() {
    let blocks = blocks();
    let taken: HashSet<_> = (0..600).map(|_| blocks.alloc(ME, 1).unwrap()).collect();
    assert_eq!(taken.len(), 600);
    assert_eq!(blocks.described(0), 768);
}

#[test]
fn references_to_nowhere_are_refused() {
    let blocks = blocks();
    let nowhere = BlockRef { class: 3, index: 0 };
    assert_eq!(
        blocks.bytes(nowhere, 1).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert!(blocks.own(ME, nowhere).is_err());
    assert!(!blocks.free(ME, nowhere));
}

#[cfg(debug_assertions)]
#[test]
fn a_death_at_any_step_leaves_every_block_usable() {
    use crate::sys::crash::at_every_step;
    for len in [PAGE, 16 * MIB] {
        let steps = at_every_step(
            || {
                let blocks = blocks();
                let warm = blocks.alloc(ME, len).unwrap();
                blocks.alloc(ME, len).unwrap();
                assert!(blocks.free(ME, warm));
                blocks
            },
            |blocks| {
                let (first, second) = (blocks.alloc(dead(), len), blocks.alloc(dead(), len));
                assert!(blocks.free(dead(), first.unwrap()));
                assert!(blocks.own(dead(), second.unwrap()).unwrap());
            },
            |blocks| {
                blocks.sweep(dead(), &mut |_| false).unwrap();
                assert_eq!(blocks.usage().unwrap().0, 1);
                for _ in 0..3 {
                    touch(blocks, len);
                }
            },
        );
        assert!(steps > 5, "{steps}");
    }
}

/// Writes to every page of a fresh block: memory that is missing would end the test by SIGBUS.
#[cfg(debug_assertions)]
fn touch(blocks: &Blocks, len: u64) {
    let block = blocks.alloc(ME, len).unwrap();
    let bytes = blocks.bytes(block, len).unwrap();
    for page in (0..bytes.len()).step_by(PAGE as usize) {
        // SAFETY: the block is ours, and the byte lies in it.
        unsafe { bytes.cast::<u8>().add(page).write(1) };
    }
}

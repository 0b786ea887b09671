//! The same of a cell under a lock, which its holder changes by stores, and of blocks that a participant keeps.

use super::*;
use crate::heap::alone::{self, is_kept, keep};
use crate::heap::protocol::unread;

/// What a holder of the lock knows.
#[derive(Default)]
struct Stock {
    retired: Vec<Handle>,
    kept: Vec<Handle>,
}

impl Model {
    /// Leads the cell to a block that says `value`, one that was kept if there is any; `None` if none is free.
    fn put_alone(&self, me: Participant, value: u64, stock: &mut Stock) -> Option<()> {
        let kept = stock.kept.pop();
        let block = match kept {
            Some(kept) => kept,
            None => self.units().find_map(|unit| take(self, me, unit))?.block,
        };
        assert!(is_kept(self.word(block.unit())?, me, block));
        let content = &self.contents[block.unit() as usize - 1];
        // SAFETY: the block is this writer's; the model checker reports any concurrent access.
        content.with_mut(|content| unsafe { *content = value });
        let draft = Draft {
            block,
            len: 1,
            home: HOME,
        };
        let old = self.cell.load(Acquire);
        let retired = &mut stock.retired;
        let done = alone::replace(self, me, old, draft, &mut |block| retired.push(block));
        assert_eq!(done, Ok(()), "the lock is held");
        Some(())
    }

    fn keep_unread(&self, me: Participant, stock: &mut Stock) {
        let kept = &mut stock.kept;
        unread(self, &mut stock.retired, |block| {
            let word = self.word(block.unit()).expect("a block");
            kept.push(keep(word, me, block).expect("only its list had it"));
        });
    }
}

#[test]
fn loom_heap_alone_nobody_writes_what_somebody_reads() {
    check(|| {
        let model = Model::new(2);
        let theirs = Arc::clone(&model);
        let reading = thread::spawn(move || theirs.read(LAST, 0));
        let mut stock = Stock::default();
        for value in 1..4 {
            if model.put_alone(FIRST, value, &mut stock).is_none() {
                break; // the reader has the other block
            }
            model.keep_unread(FIRST, &mut stock);
        }
        assert!(reading.join().unwrap() <= 3);
        model.keep_unread(FIRST, &mut stock);
        assert_eq!((stock.retired.len(), stock.kept.len()), (0, 1));
        assert_eq!(model.used(), 2);
    });
}

/// The holder dies before its step `n`, with what it has retired and kept. The next goes on by stores while two sweep.
#[test]
fn loom_heap_alone_whoever_dies_leaves_nothing() {
    for n in 1..15 {
        check(move || {
            let model = Model::new(4);
            let put = || {
                let mut stock = Stock::default();
                for value in 1..3 {
                    model.put_alone(LAST, value, &mut stock)?;
                    model.keep_unread(LAST, &mut stock);
                }
                Some(())
            };
            until_step(n, put);
            let theirs = Arc::clone(&model);
            let sweeping = thread::spawn(move || theirs.bury(LAST));
            let mut stock = Stock::default();
            for value in 3..5 {
                // Where there is no block yet, the sweep frees some.
                while model.put_alone(FIRST, value, &mut stock).is_none() {
                    model.bury(LAST);
                }
                model.keep_unread(FIRST, &mut stock);
            }
            model.bury(LAST);
            sweeping.join().unwrap();
            model.keep_unread(FIRST, &mut stock);
            model.bury(LAST);
            assert_eq!(model.value(model.current().unwrap()), 4);
            assert_eq!(stock.retired.len(), 0);
            assert_eq!(model.used(), 1 + stock.kept.len());
        });
    }
}

/// A sweep that was begun for the dead goes on while the next holder has led the cell on.
#[test]
fn loom_heap_alone_a_late_sweep_changes_nothing() {
    for n in 3..7 {
        check(move || {
            let model = Model::new(3);
            until_step(n, || model.put_alone(LAST, 1, &mut Stock::default()));
            let theirs = Arc::clone(&model);
            let sweeping = thread::spawn(move || theirs.bury(LAST));
            let mut stock = Stock::default();
            let done = model.put_alone(FIRST, 2, &mut stock);
            sweeping.join().unwrap();
            model.bury(LAST);
            model.keep_unread(FIRST, &mut stock);
            assert_eq!(stock.retired.len(), 0);
            assert_eq!(model.used(), 1 + stock.kept.len());
            if done.is_some() {
                assert_eq!(model.value(model.current().unwrap()), 2);
            }
        });
    }
}

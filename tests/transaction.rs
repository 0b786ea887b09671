//! Transactions over the objects of a manager: all of it or nothing, for those who read without a lock too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use multiproc::{Cell, Dict, Error, ErrorKind, Manager, Process, Result, StoreError};

fn accounts(manager: &Manager) -> Dict<String, i64> {
    manager.dict("accounts").expect("the dictionary")
}

#[test]
fn what_a_transaction_does_is_seen_by_itself_and_then_by_all() {
    let manager = Manager::new().unwrap();
    let accounts = accounts(&manager);
    let title = manager.cell("title", "old").unwrap();
    accounts.insert("gone", 1).unwrap();
    let title: Cell<String> = title;
    let done = manager.transaction(|t| -> Result<usize> {
        assert_eq!(t.cell(&title).get()?, "old");
        t.cell(&title).set("new")?;
        assert_eq!(t.cell(&title).get()?, "new");
        assert!(t.dict(&accounts).insert("alice", 5)?);
        assert!(!t.dict(&accounts).insert("alice", 7)?);
        assert_eq!(t.dict(&accounts).get("alice")?, Some(7));
        assert!(t.dict(&accounts).remove("gone")?);
        assert!(!t.dict(&accounts).remove("gone")?);
        assert!(!t.dict(&accounts).contains_key("gone")?);
        assert!(t.dict(&accounts).insert("came and went", 1)?);
        assert!(t.dict(&accounts).remove("came and went")?);
        assert_eq!(*title.get()?, *"old", "not seen before it has happened");
        assert_eq!(accounts.get_owned("alice")?, None);
        Ok(accounts.len()?)
    });
    assert_eq!(done.unwrap(), 1);
    assert_eq!(title.get_owned().unwrap(), "new");
    assert_eq!(
        accounts.snapshot().unwrap(),
        [("alice".to_string(), 7)],
        "all of it"
    );
    assert_eq!(accounts.len().unwrap(), 1);
}

#[test]
fn an_error_or_a_panic_changes_nothing() {
    let manager = Manager::new().unwrap();
    let accounts = accounts(&manager);
    let count = manager.cell("count", 1_u64).unwrap();
    let mut size = 0;
    for turn in 0..2000 {
        if turn == 100 {
            size = manager.size();
        }
        let failed =
            manager.transaction(|t| -> std::result::Result<(), Box<dyn std::error::Error>> {
                t.cell(&count).set(2)?;
                t.dict(&accounts).insert("alice", 5)?;
                Err("no".into())
            });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            manager.transaction(|t| -> Result<()> {
                t.cell(&count).set(3)?;
                std::panic::resume_unwind(Box::new("no"));
            })
        }));
        assert!(panicked.is_err());
    }
    assert_eq!(count.get_owned().unwrap(), 1);
    assert!(accounts.is_empty().unwrap());
    assert_eq!(manager.size(), size, "what was written is used again");
}

#[test]
fn a_transaction_is_of_one_manager() {
    let (manager, other) = (Manager::new().unwrap(), Manager::new().unwrap());
    let foreign = other.cell("count", 1_u64).unwrap();
    let foreign_dict = accounts(&other);
    let refused = manager.transaction(|t| t.cell(&foreign).set(2));
    assert!(matches!(refused, Err(StoreError::Foreign)));
    let refused = manager.transaction(|t| t.dict(&foreign_dict).get("x").map(drop));
    assert_eq!(
        Error::from(refused.unwrap_err()).kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn it_begins_again_when_what_it_saw_has_changed() {
    let manager = Manager::new().unwrap();
    let count = manager.cell("count", 0_u64).unwrap();
    let other = manager.cell("other", 0_u64).unwrap();
    let accounts = accounts(&manager);
    let mut runs = 0;
    let changes: [&dyn Fn(); 4] = [
        &|| count.set(10).unwrap(),
        &|| assert!(accounts.insert("alice", 1).unwrap()),
        &|| assert!(accounts.remove("alice").unwrap()),
        &|| other.set(1).unwrap(),
    ];
    manager
        .transaction(|t| -> Result<()> {
            let now = t.cell(&count).get()?;
            let alice = t.dict(&accounts).get("alice")?;
            runs += 1;
            if let Some(change) = changes.get(runs - 1) {
                change();
            }
            t.cell(&count).set(now + 1)?; // the last change is of what it has not seen
            t.dict(&accounts).insert("bob", alice.unwrap_or(0))?;
            Ok(())
        })
        .unwrap();
    assert_eq!((runs, count.get_owned().unwrap()), (4, 11));
    assert_eq!(accounts.get_owned("bob").unwrap(), Some(0));
}

#[test]
fn what_it_reads_is_of_one_instant() {
    let manager = Manager::new().unwrap();
    let first = manager.cell("first", 0_u64).unwrap();
    let second = manager.cell("second", 0_u64).unwrap();
    let mut runs = 0;
    manager
        .transaction(|t| -> Result<()> {
            let one = t.cell(&first).get()?;
            runs += 1;
            if runs == 1 {
                first.set(1)?;
                second.set(1)?;
                let outdated = t.cell(&second).get();
                assert!(matches!(outdated, Err(StoreError::Outdated)));
                return Ok(()); // whatever it returns
            }
            assert_eq!(t.cell(&second).get()?, one);
            Ok(())
        })
        .unwrap();
    assert_eq!(runs, 2);
}

#[test]
fn the_end_of_a_list_and_its_elements_change_with_the_rest() {
    let manager = Manager::new().unwrap();
    let jobs = manager.list_from("jobs", [1_u64, 2]).unwrap();
    let done = manager.list::<u64>("done").unwrap();
    let count = manager.cell("count", 0_u64).unwrap();
    for round in 0..40 {
        manager
            .transaction(|t| -> Result<()> {
                let job = t.list(&jobs).pop()?.unwrap_or(100 + round);
                t.list(&done).push(job)?;
                t.list(&done).push(0)?;
                assert_eq!(t.list(&done).pop()?, Some(0));
                let now = t.cell(&count).get()?;
                t.cell(&count).set(now + 1)?;
                assert_eq!(t.list(&done).len()?, round as usize + 1);
                Ok(())
            })
            .unwrap();
    }
    assert!(jobs.is_empty().unwrap());
    let all = done.snapshot().unwrap();
    assert_eq!((all.len(), done.len().unwrap()), (40, 40));
    assert_eq!((all[..3].to_vec(), all[39]), (vec![2, 1, 102], 139));
    manager
        .transaction(|t| -> Result<()> {
            t.list(&done).set(0, 7_u64)?;
            assert_eq!(t.list(&done).get(0)?, Some(7));
            assert_eq!(t.list(&done).get(40)?, None);
            let beyond = t.list(&done).set(40, 1_u64);
            assert!(matches!(beyond, Err(StoreError::OutOfRange { .. })));
            Ok(())
        })
        .unwrap();
    let mut runs = 0;
    manager
        .transaction(|t| -> Result<()> {
            let len = t.list(&done).len()? as u64;
            runs += 1;
            if runs == 1 {
                done.push(1)?; // the length was seen: it begins again
            }
            t.list(&done).push(len).map_err(multiproc::Error::from)
        })
        .unwrap();
    assert_eq!(
        (runs, done.snapshot().unwrap()[40..].to_vec()),
        (2, vec![1, 41])
    );
}

#[test]
fn within_an_update_there_is_no_transaction() {
    let manager = Manager::new().unwrap();
    let accounts = accounts(&manager);
    accounts.insert("alice", 1).unwrap();
    let updated = accounts.update("alice", |_| {
        let refused = manager.transaction(|_| Ok::<(), StoreError>(()));
        assert!(matches!(refused, Err(StoreError::Deadlock)));
        2
    });
    assert!(updated.unwrap());
}

#[test]
fn new_keys_of_one_shard_do_not_get_in_each_others_way() {
    let manager = Manager::new().unwrap();
    let dict = manager.dict::<u64, u64>("numbers").unwrap();
    for round in 0..5 {
        manager
            .transaction(|t| -> Result<()> {
                for key in 0..300 {
                    t.dict(&dict).insert(&(round * 300 + key), key)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(dict.len().unwrap() as u64, (round + 1) * 300);
    }
    for key in 0..1500 {
        assert_eq!(dict.get_owned(&key).unwrap(), Some(key % 300));
    }
}

#[test]
fn no_space_leaves_everything_as_it_was() {
    let manager = Manager::builder().limit(1 << 20).anonymous().unwrap();
    let text = manager.cell("text", String::new()).unwrap();
    let count = manager.cell("count", 1_u64).unwrap();
    let full = manager.transaction(|t| {
        t.cell(&count).set(2)?;
        t.cell(&text).set("x".repeat(2 << 20))
    });
    assert!(matches!(full, Err(StoreError::NoSpace(_))));
    assert_eq!(count.get_owned().unwrap(), 1);
    count.set(3).unwrap();
}

/// Moves money to and fro between accounts and two cells.
fn transfer(manager: Manager, seed: u64) -> Result<()> {
    let accounts = accounts(&manager);
    let [first, second] = ["first", "second"].map(|name| manager.open_cell::<i64>(name));
    let (first, second) = (first?, second?);
    let mut random = seed;
    for _ in 0..2000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (from, to) = ((random >> 40) % 10, (random >> 50) % 10);
        let [from, to] = [from, to].map(|n| format!("account {n}"));
        manager.transaction(|t| -> Result<()> {
            let amount = (random >> 60) as i64;
            let left = t.dict(&accounts).get(&from)?.unwrap_or(0) - amount;
            match left {
                0 => drop(t.dict(&accounts).remove(&from)?),
                _ => drop(t.dict(&accounts).insert(&from, left)?),
            }
            let there = t.dict(&accounts).get(&to)?.unwrap_or(0);
            t.dict(&accounts).insert(&to, there + amount)?;
            let [a, b] = [&first, &second].map(|cell| t.cell(cell).get());
            t.cell(&first).set(a? + 1)?;
            t.cell(&second).set(b? - 1)?;
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn nobody_sees_half_of_it() {
    let manager = Manager::new().unwrap();
    let accounts = accounts(&manager);
    let first = manager.cell("first", 0_i64).unwrap();
    let second = manager.cell("second", 0_i64).unwrap();
    accounts.insert("account 0", 1000).unwrap();
    let working = [1, 2].map(|seed| Process::spawn(transfer, (manager.clone(), seed)).unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                // Without a lock: whoever sees the one sees the other, or a later one.
                let one = first.get_owned().unwrap();
                let two = second.get_owned().unwrap();
                let again = first.get_owned().unwrap();
                assert!((one..=again).contains(&-two), "{one}, {two}, {again}");
                let both = manager.transaction(|t| -> Result<_> {
                    Ok((t.cell(&first).get()?, t.cell(&second).get()?))
                });
                let (one, two) = both.unwrap();
                assert_eq!(one, -two);
            }
        });
        for process in working {
            process.join().unwrap();
        }
        done.store(true, SeqCst);
    });
    assert_eq!(first.get_owned().unwrap(), 4000);
    let all = accounts.snapshot().unwrap();
    assert_eq!(all.iter().map(|(_, amount)| amount).sum::<i64>(), 1000);
    assert_eq!(all.len(), accounts.len().unwrap());
}

/// Sets a cell that a transaction changes too, without one.
fn count(cell: Cell<u64>) -> Result<()> {
    for _ in 0..5000 {
        cell.update(|now| now.to_native() + 1)?;
    }
    Ok(())
}

#[test]
fn changes_without_a_transaction_are_not_lost() {
    let manager = Manager::new().unwrap();
    let cell = manager.cell("count", 0_u64).unwrap();
    let other = manager.cell("other", 0_u64).unwrap();
    let counting = Process::spawn(count, (cell.clone(),)).unwrap();
    for _ in 0..5000 {
        manager
            .transaction(|t| -> Result<()> {
                let now = t.cell(&cell).get()?;
                t.cell(&cell).set(now + 1)?;
                t.cell(&other).set(now)?;
                Ok(())
            })
            .unwrap();
    }
    counting.join().unwrap();
    assert_eq!(cell.get_owned().unwrap(), 10_000);
}

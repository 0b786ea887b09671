//! Transactions over cells and dictionaries, crashed at every step, the repair included.

use multiproc::{Cell, Dict, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";

/// What a transaction can change, and who may come behind it.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "transaction: cells, one set": keep cells set;
    "transaction: cells, another": keep cells one_cell;
    "transaction: entries": keep entries insert;
    "transaction: both, swept": keep both sweep;
    "transaction: given up": keep give_up sweep;
    "transaction: lists": keep_lists lists push;
};

/// A number, so long that memory is missed that is not used again.
fn value(number: u64) -> Vec<u64> {
    vec![number; 500]
}

struct Objects {
    manager: Manager,
    cells: [Cell<Vec<u64>>; 2],
    dict: Dict<u64, u64>,
}

/// The keys that a transaction replaces, takes away and brings; all of one turn.
const REPLACED: u64 = 1;
const REMOVED: u64 = 2;
const BROUGHT: u64 = 3;

fn objects(manager: Manager) -> Objects {
    let cell = |name| manager.cell(name, value(0)).expect("a cell");
    Objects {
        cells: [cell("first"), cell("second")],
        dict: manager.dict("dict").expect("the dictionary"),
        manager,
    }
}

fn open() -> Objects {
    objects(Manager::open(NAME).expect("open"))
}

fn change_cells(it: &Objects) {
    let done = it.manager.transaction(|t| -> multiproc::Result<()> {
        for cell in &it.cells {
            let now = t.cell(cell).get()?;
            t.cell(cell).set(value(now[0] + 1))?;
        }
        Ok(())
    });
    done.expect("a transaction");
}

fn change_entries(it: &Objects) {
    let done = it.manager.transaction(|t| -> multiproc::Result<()> {
        t.dict(&it.dict).insert(&REPLACED, 1)?;
        t.dict(&it.dict).remove(&REMOVED)?;
        t.dict(&it.dict).insert(&BROUGHT, 1)?;
        Ok(())
    });
    done.expect("a transaction");
}

/// Looks without a lock: all of it has happened, or nothing. Says whether.
fn entries_are_whole(it: &Objects) -> bool {
    let look = |key| it.dict.get_owned(&key).expect("get");
    let found = [REPLACED, REMOVED, BROUGHT].map(look);
    let whole = [[Some(0), Some(0), None], [Some(1), None, Some(1)]];
    assert!(whole.contains(&found), "half of it: {found:?}");
    found[2].is_some()
}

fn cells_are_whole(it: &Objects) -> u64 {
    let [first, second] = it
        .cells
        .each_ref()
        .map(|cell| cell.get_owned().expect("get"));
    assert_eq!(first, second, "half of it");
    assert_eq!(first, value(first[0]), "half a value");
    first[0]
}

fn keep(stage: &Stage) {
    let it = objects(Manager::create(NAME).expect("create"));
    for key in [REPLACED, REMOVED, 40, 41] {
        it.dict.insert(&key, 0).expect("insert");
    }
    stage.stand_by();
    let (sum, changed) = (cells_are_whole(&it), entries_are_whole(&it));
    assert!(sum <= 7 && (!stage.completed() || sum > 0 || changed));
    assert_eq!(cells_are_whole(&it), sum);
    let all = it.dict.snapshot().expect("snapshot");
    let others = all.iter().filter(|(key, _)| *key >= 4).count();
    assert_eq!(it.dict.len().expect("len"), all.len(), "the count is wrong");
    assert_eq!(all.len(), 2 + others, "one came, one went, or neither");
    assert_eq!(entries_are_whole(&it), changed);
    change_cells(&it);
    assert_eq!(cells_are_whole(&it), sum + 1);
    change_entries(&it);
    assert!(entries_are_whole(&it));
    use_again(&it);
}

fn use_again(it: &Objects) {
    let size = it.manager.size();
    for _ in 0..60 {
        change_cells(it);
    }
    assert!(
        it.manager.size() <= size + (192 << 10),
        "memory is not used again"
    );
}

fn cells(stage: &Stage) {
    let it = open();
    stage.armed();
    change_cells(&it);
}

/// Stores what is there, so that both stay equal.
fn set(stage: &Stage) {
    let it = open();
    stage.armed();
    it.cells[1]
        .update(|now| value(now[0].to_native()))
        .expect("update");
}

fn one_cell(stage: &Stage) {
    let it = open();
    stage.armed();
    let done = it.manager.transaction(|t| {
        let now = t.cell(&it.cells[0]).get()?;
        t.cell(&it.cells[0]).set(now)
    });
    done.expect("a transaction");
}

fn entries(stage: &Stage) {
    let it = open();
    stage.armed();
    change_entries(&it);
}

fn insert(stage: &Stage) {
    let it = open();
    stage.armed();
    it.dict.insert(&50, 0).expect("insert");
}

fn both(stage: &Stage) {
    let it = open();
    stage.armed();
    let done = it.manager.transaction(|t| -> multiproc::Result<()> {
        for cell in &it.cells {
            t.cell(cell).set(value(7))?;
        }
        t.dict(&it.dict).insert(&REPLACED, 1)?;
        t.dict(&it.dict).remove(&REMOVED)?;
        t.dict(&it.dict).insert(&BROUGHT, 1)?;
        Ok(())
    });
    done.expect("a transaction");
}

/// Behind one that was made, so that something has happened.
fn give_up(stage: &Stage) {
    let it = open();
    change_cells(&it);
    stage.armed();
    let done = it.manager.transaction(|t| {
        t.cell(&it.cells[0]).set(value(100))?;
        t.dict(&it.dict).insert(&BROUGHT, 100)?;
        let kind = multiproc::ErrorKind::Failed;
        Err::<(), _>(multiproc::Error::new(kind, "never mind"))
    });
    done.expect_err("given up");
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

type Lists = [multiproc::List<u64>; 2];

fn lists_of(manager: &Manager) -> Lists {
    ["from", "to"].map(|name| manager.list(name).expect("a list"))
}

/// Moves the last element of the one to the other, and says in the first how many are there.
fn move_one(manager: &Manager, [from, to]: &Lists) {
    let done = manager.transaction(|t| -> multiproc::Result<()> {
        if let Some(moved) = t.list(from).pop()? {
            t.list(to).push(moved)?;
        }
        let len = t.list(to).len()? as u64;
        t.list(to).set(0, len)?;
        Ok(())
    });
    done.expect("a transaction");
}

/// Nothing is lost or doubled, and the first element says how many there are, but for what others have pushed.
fn lists_are_whole([from, to]: &Lists) {
    let count = to.get_owned(0).expect("get").expect("the first");
    let mut all = to.snapshot().expect("snapshot");
    assert_eq!(to.len().expect("len"), all.len(), "the count is wrong");
    let pushed = all.iter().filter(|&&element| element == 77).count();
    assert_eq!(count as usize, all.len() - pushed, "half of it");
    all[0] = 0;
    all.retain(|&element| element != 77);
    all.extend(from.snapshot().expect("snapshot"));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4], "lost, or doubled");
}

fn keep_lists(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    let lists = lists_of(&manager);
    lists[0].extend([1, 2, 3, 4]).expect("extend");
    lists[1].push(1).expect("push");
    stage.stand_by();
    lists_are_whole(&lists);
    lists[1].for_each(|_, _| ()).expect("look");
    for _ in 0..5 {
        move_one(&manager, &lists);
    }
    assert!(lists[0].is_empty().expect("len"));
}

fn lists(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    let lists = lists_of(&manager);
    stage.armed();
    move_one(&manager, &lists);
}

fn push(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    let lists = lists_of(&manager);
    stage.armed();
    lists[1].push(77).expect("push");
}

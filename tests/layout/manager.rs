//! The manager: its tables, its blocks, a cell, a dictionary.

use std::hash::Hasher;

use multiproc::{Dict, Manager};

use super::{Object, number_on_the_page};

const CHUNK: u64 = 65_536;
const VACATED: u64 = 1 << 63;

/// A manager's file.
struct Reader {
    object: Object,
    /// Where its reserve begins.
    reserve: u64,
}

/// A block, and what is in it.
struct Block {
    place: u64,
    len: u64,
    /// The place of the cell that leads to it.
    home: u64,
}

/// A slot of a dictionary's table.
struct Slot {
    shard: u64,
    /// Its number in a table of so many.
    at: u64,
    of: u64,
    place: u64,
    cell: u64,
    hash: u64,
}

impl Slot {
    fn is_taken(&self) -> bool {
        self.cell != 0 && self.cell != VACATED
    }

    /// How many slots were tried in vain before this one.
    fn distance(&self) -> u64 {
        self.at.wrapping_sub(self.hash) % self.of
    }
}

impl Reader {
    fn open(name: &str) -> Self {
        let object = Object::open(name);
        let reserve = object.u64(80);
        Reader { object, reserve }
    }

    fn row(&self, index: u64) -> u64 {
        self.reserve + 4096 * 128 + 128 * index
    }

    fn chunks(&self) -> u64 {
        self.reserve + 2 * 4096 * 128
    }

    fn block(&self, handle: u64) -> Block {
        let place = self.chunks() + 16 * (handle & ((1 << 34) - 1));
        let note = self.object.u64(place + 8);
        Block {
            place,
            len: note >> 34,
            home: 16 * (note & ((1 << 34) - 1)),
        }
    }

    /// The word of a block of 32 bytes, as (generation, owner, state).
    fn word(&self, handle: u64) -> (u64, u64, u64) {
        let at = self.block(handle).place - self.chunks();
        let chunk = self.chunks() + at / CHUNK * CHUNK;
        assert_eq!(self.object.u32(chunk), 1, "class 0");
        let count = 65_520 / (32 + 8);
        let first = CHUNK - 32 * count;
        let word = self
            .object
            .u64(chunk + 16 + 8 * ((at % CHUNK - first) / 32));
        (word >> 16, word >> 4 & 4095, word & 15)
    }

    /// The head of the dictionary in that row.
    fn dict(&self, row: u64) -> u64 {
        let head = self.block(self.object.u64(self.row(row)));
        assert_eq!(head.len, 16 + 32 * 64);
        head.place + 16
    }

    /// Its slots, of all shards.
    fn slots(&self, row: u64) -> Vec<Slot> {
        let head = self.dict(row);
        let mut slots = Vec::new();
        for shard in 0..32 {
            let table = self.object.u64(head + 16 + 64 * shard);
            if table == 0 {
                continue;
            }
            let table = self.block(table);
            let of = table.len / 16;
            assert!(of.is_power_of_two() && of >= 8, "{of} slots");
            let slot = |at| {
                let place = table.place + 16 + 16 * at;
                Slot {
                    shard,
                    at,
                    of,
                    place,
                    cell: self.object.u64(place),
                    hash: self.object.u64(place + 8),
                }
            };
            slots.extend((0..of).map(slot));
        }
        slots
    }
}

/// SipHash-1-3.
fn siphash(secret: [u64; 2], bytes: &[u8]) -> u64 {
    fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        [a, b, c, d]
    }
    let [one, two] = secret;
    let mut state = [
        one ^ 0x736f_6d65_7073_6575,
        two ^ 0x646f_7261_6e64_6f6d,
        one ^ 0x6c79_6765_6e65_7261,
        two ^ 0x7465_6462_7974_6573,
    ];
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len() / 8 * 8 + 7, 0);
    padded.push(bytes.len() as u8);
    for word in padded.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        state[3] ^= word;
        state = round(state);
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    let state = round(round(round(state)));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn named(what: &str) -> (Manager, Reader) {
    let name = format!("layout-{what}-{}", std::process::id());
    let manager = Manager::builder().name(&name).limit(32 << 20);
    (manager.create().unwrap(), Reader::open(&name))
}

#[test]
fn managers_and_cells_lie_where_the_page_says() {
    let (manager, reader) = named("manager");
    let object = &reader.object;
    let (type_name, fingerprint) = ("manager", object.u64(32));
    let params = [manager.limit(), 0, 0, 0, 0, 0, 0, 0];
    object.check_header(5, type_name, fingerprint, params);
    object.check_roster();
    assert_eq!(
        object.u64(64),
        4096 + (128_u64 + 64 * 128).next_multiple_of(4096)
    );
    assert_eq!(object.u32(4096), 0, "no chunk has memory yet");

    let cell = manager.cell("answer", 41_u64).unwrap();
    let row = reader.row(0);
    assert_eq!((object.u32(row + 48), object.u32(row + 52)), (1, 6));
    assert_eq!(object.u64(row + 56), number_on_the_page("| 8, 8 | `"));
    assert_eq!(&object.bytes::<64>(row + 64)[..7], b"answer\0");
    assert!(object.u32(4096) >= 1, "a chunk has memory");
    assert!(object.u32(4096 + 8) >= 1, "so has the row");

    let first = object.u64(row);
    cell.set(42).unwrap();
    let handle = object.u64(row);
    let block = reader.block(handle);
    assert_eq!((block.len, block.home), (8, row));
    assert_eq!(object.u64(block.place), first, "what it replaces");
    assert_eq!(object.u64(block.place + 16), 42);
    assert_eq!(object.u64(reader.block(first).place + 16), 41);
    let (generation, _, state) = reader.word(handle);
    assert_eq!((generation & ((1 << 29) - 1), state), (handle >> 34, 2));
    assert_eq!(
        reader.word(first),
        (first >> 34, 1, 3),
        "retired by the first member"
    );

    let guard = cell.get().unwrap();
    assert!(object.u32(4096 + 4) >= 1, "rows of hazards have memory");
    let rows = (0..object.u32(4096 + 4)).map(|n| reader.reserve + 128 * u64::from(n));
    let reads = |row: u64| (1..16).any(|n| object.u64(row + 8 * n) == handle);
    let rows: Vec<_> = rows.filter(|&row| reads(row)).collect();
    assert_eq!(rows.len(), 1, "one thread reads it");
    assert_eq!(object.u64(rows[0]) >> 52, 1, "of the first member");
    drop(guard);
    assert!(!reads(rows[0]));
}

#[test]
fn dictionaries_lie_where_the_page_says() {
    let (manager, reader) = named("dict");
    let object = &reader.object;
    let dict = manager.dict::<u64, u64>("squares").unwrap();
    assert_eq!(object.u32(reader.row(0) + 48), 2);
    let head = reader.dict(0);
    let secret = [object.u64(head), object.u64(head + 8)];
    assert!(secret.iter().all(|&word| word != 0), "at random");
    for key in 0..500 {
        dict.insert(&key, key * key).unwrap();
    }
    dict.remove(&7).unwrap();
    let slots = reader.slots(0);
    let mut found = Vec::new();
    for slot in slots.iter().filter(|slot| slot.is_taken()) {
        let entry = reader.block(slot.cell);
        assert_eq!(entry.len, 8 + 8 + 4, "value, key, and its length");
        let (value, key) = (object.u64(entry.place + 16), object.u64(entry.place + 24));
        assert_eq!((value, object.u32(entry.place + 32)), (key * key, 8));
        assert_eq!(slot.hash, siphash(secret, &key.to_le_bytes()));
        assert_eq!(slot.shard, slot.hash >> 59);
        found.push(key);
    }
    found.sort_unstable();
    assert!(found.iter().copied().eq((0..500).filter(|&key| key != 7)));
    let seven = siphash(secret, &7_u64.to_le_bytes());
    let mut was = slots.iter().filter(|slot| slot.cell != 0); // of others the hash says nothing
    let was = was.find(|slot| slot.hash == seven).unwrap();
    assert_eq!(was.cell, VACATED);
    let count = |at| {
        (0..32)
            .map(|shard| object.u64(head + 16 + 64 * shard + at))
            .sum::<u64>()
    };
    assert_eq!(count(8), 499, "entries");
    let used = slots.iter().filter(|slot| slot.cell != 0).count();
    assert_eq!(count(16), used as u64, "slots that do not say 0");
    assert_eq!(count(24), 0, "nothing is being taken away");
    assert_eq!(16 * count(32), was.place, "where something was last");
}

/// The slots that are tried in vain in looking up all entries of a dictionary with these keys.
fn tried(manager: &Manager, reader: &Reader, row: u64, keys: &[String]) -> u64 {
    let dict: Dict<String, u8> = manager.dict(&row.to_string()).unwrap();
    for key in keys {
        dict.insert(key, 0).unwrap();
    }
    let slots = reader.slots(row);
    let taken = slots.iter().filter(|slot| slot.is_taken());
    assert_eq!(taken.clone().count(), keys.len());
    taken.map(Slot::distance).sum()
}

/// So many keys whose hashes have the same 10 lowest bits.
fn colliding(hash: impl Fn(&str) -> u64) -> Vec<String> {
    let keys = (0..).map(|n: u64| format!("key {n}"));
    keys.filter(|key| hash(key) & 1023 == 0)
        .take(KEYS)
        .collect()
}

const KEYS: usize = 2000;

/// Keys that whoever knows the hash has chosen to lie in one heap lie like any others: he does not know the secret.
#[test]
fn keys_that_collide_without_the_secret_lie_apart() {
    let (manager, reader) = named("flood");
    let random: Vec<_> = (0..KEYS).map(|n| format!("any {n}")).collect();
    let usual = tried(&manager, &reader, 0, &random);
    assert!(usual < 2 * KEYS as u64, "{usual} tried in vain");
    let fnv = colliding(super::fnv);
    // What the standard library's hasher is without its keys: SipHash-1-3 under zeros.
    let siphash = colliding(|key| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(key.as_bytes());
        hasher.finish()
    });
    let zero = colliding(|key| self::siphash([0, 0], key.as_bytes()));
    assert_eq!(siphash, zero, "so it is");
    for (row, keys) in (1..).zip([fnv, siphash]) {
        let slots = tried(&manager, &reader, row, &keys);
        // All of them in a heap would be some 30 tried for each; a few for all of them is chance.
        assert!(slots <= 3 * usual + 200, "{slots} instead of {usual}");
    }
}

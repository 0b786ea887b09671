//! Counts the words of files, a file a task, and shows the most frequent. A file that cannot be read fails alone.
//!
//! `cargo run --release --example wordcount -- src/*.rs`

use std::collections::HashMap;

use multiproc::Pool;

fn count_words(path: String) -> std::io::Result<HashMap<String, u64>> {
    let mut counts = HashMap::new();
    for word in std::fs::read_to_string(path)?.split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        eprintln!("usage: wordcount FILE...");
        std::process::exit(2);
    }
    let pool = Pool::builder().name("words").build()?;
    let mut total: HashMap<String, u64> = HashMap::new();
    for (path, counts) in paths.iter().zip(pool.imap(count_words, &paths)) {
        match counts {
            Ok(counts) => counts
                .into_iter()
                .for_each(|(word, count)| *total.entry(word).or_insert(0) += count),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    let mut words: Vec<_> = total.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for (word, count) in words.iter().take(10) {
        println!("{count:>8} {word}");
    }
    Ok(())
}

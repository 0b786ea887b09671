//! What the command line may ask of a bench.

use std::time::Duration;

/// Length and selection of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often every contender of a row is run.
    pub rounds: usize,
    /// How long one run of one contender aims to last.
    pub span: Duration,
    /// Only rows whose section or name contains this text.
    pub only: Option<String>,
    /// Whether the output is to be Markdown tables, with everything else beside it.
    pub markdown: bool,
}

impl Options {
    /// Reads the command line of a bench: `[--quick] [--rounds N] [--markdown] [TEXT]`; `rounds` where it says nothing.
    ///
    /// # Panics
    ///
    /// On an option that is not known, with the known ones.
    pub fn parse(rounds: usize) -> Self {
        let mut options = Self {
            rounds,
            span: Duration::from_millis(15),
            only: None,
            markdown: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => {
                    options.rounds = 3;
                    options.span = Duration::from_millis(15);
                }
                "--rounds" => {
                    options.rounds = words
                        .next()
                        .and_then(|n| n.parse().ok())
                        .expect("--rounds N")
                }
                "--markdown" => options.markdown = true,
                "--bench" | "--test" => {}
                text if !text.starts_with('-') => options.only = Some(text.to_owned()),
                other => panic!("{other} is not one of --quick, --rounds N, --markdown, TEXT"),
            }
        }
        options
    }

    /// Whether a row is asked for.
    pub fn wants(&self, section: &str, row: &str) -> bool {
        let wanted = |text: &String| section.contains(text) || row.contains(text);
        self.only.as_ref().is_none_or(wanted)
    }
}

//! The order of work: every file of the walk, then all of them again as often as asked.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use multiproc::Bytes;

use crate::record::Task;
use crate::walk::{Input, LeftOut, walk};

/// What there was to read.
#[derive(Clone, Debug, Default)]
pub struct Fed {
    /// The files, in the order of the walk.
    pub inputs: Vec<Input>,
    /// What the walk left out.
    pub left_out: LeftOut,
}

/// Hands out a task for every file, `repeat` times over, until `each` breaks. The first round starts while the walk is
/// still going on.
pub fn feed(
    named: &[Input],
    all: bool,
    repeat: u64,
    mut each: impl FnMut(Task) -> ControlFlow<()>,
) -> Fed {
    let mut inputs = Vec::new();
    let mut stopped = ControlFlow::Continue(());
    let left_out = walk(named, all, |input| {
        stopped = each(task(inputs.len(), &input, true));
        inputs.push(input);
        stopped
    });
    for _ in 1..repeat {
        let again = inputs.iter().enumerate();
        let tasks = again.map(|(file, input)| task(file, input, false));
        if stopped.is_continue() {
            stopped = tasks.into_iter().try_for_each(&mut each);
        }
    }
    Fed { inputs, left_out }
}

fn task(file: usize, input: &Input, first: bool) -> Task {
    Task {
        file: file as u32,
        first,
        any: input.any,
        path: Bytes::from(input.path.as_os_str().as_bytes()),
    }
}

//! Virtio devices that work on threads of their own, while two CPUs do with their registers and rings what they like.

use std::cell::OnceCell;

use super::rings::{Rig, Work, steps};
use super::source::Source;

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// The first half of an input is what one CPU does, the second half what the other one does at the same time.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(|| Rig::new(Work::OnThreads));
        rig.reset();
        let (one, other) = data.split_at(data.len() / 2);
        std::thread::scope(|scope| {
            scope.spawn(|| steps(rig, &mut Source::new(one)));
            steps(rig, &mut Source::new(other));
        });
        rig.save_and_restore();
    });
}

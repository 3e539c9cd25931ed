//! What nobody listens to costs nothing. A file of its own, for who listens is known to all of a process.

use tracing::{Level, enabled, subscriber};
use understage::config::Tracing;
use understage::log;

/// The categories of which somebody wants messages, if these are traced and warnings are logged.
fn heard(categories: &str) -> Vec<&'static str> {
    let mut tracing = Tracing::default();
    tracing.add(categories).unwrap();
    subscriber::with_default(log::subscriber("warn", &tracing).unwrap(), || {
        assert!(enabled!(target: "emu_devices", Level::WARN));
        let asked = [
            ("a device's details", enabled!(target: "emu_devices", Level::DEBUG)),
            ("int", enabled!(target: "int", Level::TRACE)),
            ("mmu", enabled!(target: "mmu", Level::TRACE)),
            ("cpu_reset", enabled!(target: "cpu_reset", Level::TRACE)),
            ("unimp", enabled!(target: "unimp", Level::TRACE)),
        ];
        asked.into_iter().filter(|(_, yes)| *yes).map(|(name, _)| name).collect()
    })
}

/// Exceptions and walks of a CPU ask before they make a message, millions of times in a boot.
#[test]
fn places_that_nobody_listens_to_know_it() {
    assert!(heard("").is_empty());
    assert_eq!(heard("mmu"), ["mmu"]);
    assert_eq!(heard("int,unimp"), ["int", "unimp"]);
    assert!(heard("").is_empty());
}

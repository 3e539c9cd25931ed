//! What a guest has flushed is there after its machine was killed (see `understage_tests::crash`).

use std::path::Path;

use understage_tests::crash::{self, Device, Format};

/// Unless `UNDERSTAGE_KILLS` says otherwise.
const KILLS: u64 = 6;
const SEED: u64 = 1;

#[test]
fn what_was_flushed_outlives_a_machine_that_is_killed() {
    let kills = std::env::var("UNDERSTAGE_KILLS").ok();
    let kills = kills.map_or(KILLS, |k| k.parse().expect("UNDERSTAGE_KILLS is a number"));
    for device in Device::ALL {
        for format in Format::ALL {
            let program = Path::new(env!("CARGO_BIN_EXE_crash"));
            let seen = crash::run(program, device, format, SEED, kills)
                .unwrap_or_else(|why| panic!("{device:?}, {format:?}: {why}"));
            println!("{device:?}, {format:?}: {seen}");
            assert_eq!(seen.kills, kills);
        }
    }
}

//! Signals that end the process: the machine is asked to end, and if it does not, the process does.

use std::io;
use std::time::Duration;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{OnQuit, Quit, raw};

/// How long the machine has to end by itself (to flush disks) before the process is ended.
const GRACE: Duration = Duration::from_secs(3);

/// Watches for signals from now on. The first one asks the machine to end; a second one does not wait for it.
pub fn watch(on_quit: OnQuit) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCONT])?;
    let body = move || {
        let mut asked = false;
        for signal in &mut signals {
            if signal == SIGCONT {
                raw::reenter();
            } else if asked {
                end_now(signal);
            } else {
                asked = true;
                on_quit(Quit::Signal(signal));
                let _ = std::thread::Builder::new().name("grace".into()).spawn(move || {
                    std::thread::sleep(GRACE);
                    end_now(signal);
                });
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(body).map(drop)
}

fn end_now(signal: i32) -> ! {
    raw::restore();
    std::process::exit(Quit::Signal(signal).status().into())
}

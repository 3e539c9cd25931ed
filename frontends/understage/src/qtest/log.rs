//! What was said, by whom, and when (`-qtest-log`).

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use parking_lot::Mutex;

use crate::config::QtestLog;
use crate::error::{UserError, reason, user_error};

/// See the module's head.
pub(super) struct Log {
    file: Option<Mutex<File>>,
    to_stderr: bool,
    begun: Instant,
}

impl Log {
    pub(super) fn open(log: &QtestLog) -> Result<Self, UserError> {
        let file = match log {
            QtestLog::File(file) => {
                let made = File::create(&file.value);
                let named = |e| {
                    user_error!("cannot create '{}' given with {}: {}", file.shown(), file.option, reason(&e))
                };
                Some(Mutex::new(made.map_err(named)?))
            }
            QtestLog::Nowhere | QtestLog::StandardError => None,
        };
        Ok(Self { file, to_stderr: *log == QtestLog::StandardError, begun: Instant::now() })
    }

    fn line(&self, kind: char, text: &str) {
        if self.file.is_none() && !self.to_stderr {
            return;
        }
        let line = format!("[{kind} +{:.6}] {text}\n", self.begun.elapsed().as_secs_f64());
        match &self.file {
            // A log on a disk that is full has gaps.
            Some(file) => drop(file.lock().write_all(line.as_bytes())),
            None => crate::out::say(&line),
        }
    }

    pub(super) fn connection(&self, open: bool) {
        self.line('I', if open { "OPENED" } else { "CLOSED" });
    }

    pub(super) fn received(&self, line: &str) {
        self.line('R', line);
    }

    pub(super) fn sent(&self, line: &str) {
        self.line('S', line);
    }
}

//! One run of a machine: its lines as they come, its processor time, and its end, whoever wants it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::cpu_time::{self, CpuTime};
use crate::process::Failure;

/// A machine that says nothing for this long hangs. An interpreter on a busy host boots in a tenth of it.
const SILENCE: Duration = Duration::from_secs(300);
/// How often a waiting session looks whether the user wants it to end.
const LOOK: Duration = Duration::from_millis(100);
/// How much of what was said is shown when something fails.
const TAIL: usize = 12;

/// Why there is no further line.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// The program has ended, or hangs: a sentence, with the last lines.
    Failed(Failure),
    /// The user wants to end.
    Interrupted,
}

/// A running machine. It is in a process group of its own, so that Ctrl-C reaches it only through us, and so that
/// all its processes end with the session.
pub(crate) struct Session<'a> {
    child: Child,
    group: Pid,
    lines: Receiver<String>,
    tail: VecDeque<String>,
    interrupted: &'a AtomicBool,
    begun: Instant,
}

impl<'a> Session<'a> {
    /// Starts a program without standard input.
    pub(crate) fn start(mut command: Command, interrupted: &'a AtomicBool) -> Result<Self, Stop> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |what: &str| Stop::Failed(format!("cannot run '{name}': {what}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let begun = Instant::now();
        let mut child = command.spawn().map_err(|e| failed(&e.to_string()))?;
        let group =
            Pid::from_raw(i32::try_from(child.id()).map_err(|_| failed("its number is out of range"))?);
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            forward(out, sender.clone());
        }
        if let Some(err) = child.stderr.take() {
            forward(err, sender);
        }
        Ok(Self { child, group, lines, tail: VecDeque::new(), interrupted, begun })
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> Result<String, Stop> {
        let silent_since = Instant::now();
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Stop::Interrupted);
            }
            match self.lines.recv_timeout(LOOK) {
                Ok(line) => {
                    self.tail.push_back(line.clone());
                    if self.tail.len() > TAIL {
                        self.tail.pop_front();
                    }
                    return Ok(line);
                }
                Err(RecvTimeoutError::Timeout) if silent_since.elapsed() > SILENCE => {
                    return Err(self.failed(&format!("it said nothing for {} s", SILENCE.as_secs())));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let how = self.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
                    return Err(self.failed(&format!("it ended early ({how})")));
                }
            }
        }
    }

    /// A failure with the last lines that were said.
    pub(crate) fn failed(&self, what: &str) -> Stop {
        let tail: String = self.tail.iter().map(|line| format!("\n    {line}")).collect();
        Stop::Failed(format!("{what}{tail}"))
    }

    /// The processor time that it has used so far.
    pub(crate) fn cpu_time(&self) -> CpuTime {
        cpu_time::of_group(self.group.as_raw())
    }

    /// The host's time since its start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Until it is waited for, its number stays its own. Errors mean that it has ended.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = killpg(self.group, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Sends the lines of a stream, as text, until it ends.
fn forward(stream: impl Read + Send + 'static, to: Sender<String>) {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if to.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_and_the_end() {
        let never = AtomicBool::new(false);
        let mut session = Session::start(shell("echo one; echo two; exit 3"), &never).unwrap();
        assert_eq!(session.line().as_deref(), Ok("one"));
        assert_eq!(session.line().as_deref(), Ok("two"));
        let Err(Stop::Failed(why)) = session.line() else { panic!("a line too many") };
        assert!(why.starts_with("it ended early (exit status: 3)\n    one\n    two"), "{why}");
    }

    #[test]
    fn an_interruption_ends_all_processes() {
        let interrupted = AtomicBool::new(false);
        let mut session = Session::start(shell("sleep 1000 & echo there; wait"), &interrupted).unwrap();
        assert_eq!(session.line().as_deref(), Ok("there"));
        interrupted.store(true, Ordering::Relaxed);
        assert_eq!(session.line(), Err(Stop::Interrupted));
        let lines = std::mem::replace(&mut session.lines, channel().1);
        drop(session);
        // The stream ends when nobody has it any more: the sleeper is gone, too.
        assert!(lines.recv().is_err());
    }

    #[test]
    fn a_program_that_is_not_there() {
        let never = AtomicBool::new(false);
        let Err(Stop::Failed(why)) = Session::start(Command::new("no-such-program"), &never) else {
            panic!("it runs")
        };
        assert!(why.starts_with("cannot run 'no-such-program': "), "{why}");
    }
}

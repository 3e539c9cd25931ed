//! The program as a machine without CPUs that run, and a connection to one of its doors.

use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take, on a host with much else to do.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The program; it ends with this.
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `understage qemu` with these options, separated by spaces, and `door` with the path of a socket; it connects to that.
pub(crate) fn start(options: &str, door: &str) -> (Program, BufReader<UnixStream>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("door");
    let listener = UnixListener::bind(&path).unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_understage"))
        .args("qemu -display none -nodefaults -accel qtest".split(' '))
        .args(options.split_ascii_whitespace())
        .arg(door)
        .arg(format!("unix:{}", path.display()))
        .stdin(Stdio::null())
        .spawn();
    let program = Program(program.unwrap());
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    (program, BufReader::new(stream))
}

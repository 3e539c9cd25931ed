//! The machine that is killed.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::sync::Arc;

use understage::board::build::Board;
use understage::load::plan::Plan;
use understage::qemu::{self, Request};

use super::workload::Workload;
use super::{Device, FLUSHED, READY};

/// The first word of its command line.
pub const WORD: &str = "guest";

/// Runs it until it is killed, with what is behind [`WORD`]: the device, the image's format and path, the seed of the writes and
/// the number of the first one.
pub fn main(words: &[String]) -> Result<(), String> {
    let [device, format, path, seed, first] = words else { return Err("the guest needs five words".into()) };
    let number = |word: &str| word.parse::<u64>().map_err(|_| format!("'{word}' is no number"));
    let device = Device::find(device).ok_or_else(|| format!("there is no device '{device}'"))?;
    let mut workload = Workload::new(number(seed)?, number(first)?);
    let board =
        board(&format!("-drive if=none,id=disk,format={format},file={path} -device {}", device.option()))?;
    let mut driver = device.drive(&board);
    let say = |what: &str| {
        let mut out = io::stdout().lock();
        writeln!(out, "{what}").and_then(|()| out.flush()).map_err(|e| format!("nobody listens: {e}"))
    };
    say(READY)?;
    loop {
        driver.write_all(&workload.batch())?;
        driver.flush()?;
        say(FLUSHED)?;
    }
}

/// A board that nothing runs on.
fn board(options: &str) -> Result<Board, String> {
    let line = format!(
        "-M virt -cpu max -m 64M -serial null -display none -kernel none -global virtio-mmio.force-legacy=false {options}"
    );
    let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let Request::Run(config) = qemu::parse(&args).map_err(|e| e.to_string())? else {
        return Err(format!("'{line}' runs nothing"));
    };
    let plan = Plan {
        segments: Vec::new(),
        flash: [None, None],
        fw_cfg: Vec::new(),
        fw_cfg_files: Vec::new(),
        dtb: Vec::new(),
        boot: None,
    };
    let board = Board::new(&config, &plan, &|_| Arc::new(|_| {})).map_err(|e| e.to_string())?;
    for component in &board.components {
        component.start().map_err(|e| format!("a component does not start: {e}"))?;
    }
    Ok(board)
}

//! Commands: what their 64 bytes say, and their execution.

use std::future::poll_fn;
use std::task::Poll;

use emu_core::dma::{Direction, Dma, Segment};

/// Bytes of a command.
pub(super) const COMMAND: u64 = 64;
/// Bytes of a completion.
pub(super) const COMPLETION: u64 = 32;
/// Bytes that are moved at a time; no piece goes over a boundary of so many.
const PIECE: u64 = 4096;
/// Bytes of an entry of a list.
const ENTRY: u32 = 16;
/// Most entries of a list that are read for one command.
const MOST_ENTRIES: u32 = 4096;
/// An entry that says where the list goes on.
const CHAIN: u32 = 1;

/// How a command ended: the byte in its completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Done = 0,
    BadCommand = 1,
    ReadFault = 2,
    WriteFault = 3,
    BadList = 4,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    Nothing,
    Copy,
    Fill,
    Crc32,
    Compare,
}

const INTERRUPT: u8 = 1;
const SOURCE_LIST: u8 = 2;
const DESTINATION_LIST: u8 = 4;

/// What a command says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Command {
    operation: Operation,
    flags: u8,
    tag: u16,
    length: u32,
    source: u64,
    destination: u64,
    pattern: u64,
}

fn field(bytes: &[u8], at: usize, n: usize) -> u64 {
    bytes.iter().skip(at).take(n).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Command {
    /// `None` if the operation is none, or what is reserved is not zero.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let operation = match field(bytes, 0, 1) {
            0 => Operation::Nothing,
            1 => Operation::Copy,
            2 => Operation::Fill,
            3 => Operation::Crc32,
            4 => Operation::Compare,
            _ => return None,
        };
        let flags = field(bytes, 1, 1) as u8;
        let reserved = flags & !(INTERRUPT | SOURCE_LIST | DESTINATION_LIST) != 0
            || bytes.iter().skip(32).any(|byte| *byte != 0);
        (!reserved).then(|| Self {
            operation,
            flags,
            tag: field(bytes, 2, 2) as u16,
            length: field(bytes, 4, 4) as u32,
            source: field(bytes, 8, 8),
            destination: field(bytes, 16, 8),
            pattern: field(bytes, 24, 8),
        })
    }

    fn side(&self, list: u8, addr: u64) -> Side {
        match self.flags & list != 0 {
            true => Side { at: 0, left: 0, list: Some(addr), entries: 0 },
            false => Side { at: addr, left: self.length.into(), list: None, entries: 0 },
        }
    }
}

/// Where a command came to its end before it was done.
struct Stop(Status, u64);

/// One side of a transfer: bytes from `at` on, then those of a list.
struct Side {
    at: u64,
    left: u64,
    /// The next entry.
    list: Option<u64>,
    /// Entries that were read.
    entries: u32,
}

impl Side {
    /// The next piece, of no more than `most` bytes.
    async fn piece(&mut self, dma: &Dma, most: u64) -> Result<(u64, u64), Stop> {
        while self.left == 0 {
            let Some(entry) = self.list else { return Err(Stop(Status::BadList, self.at)) };
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(Stop(Status::BadList, entry));
            }
            let bytes = read(dma, entry, ENTRY).await?;
            let (addr, length, flags) =
                (field(&bytes, 0, 8), field(&bytes, 8, 4), field(&bytes, 12, 4) as u32);
            match flags {
                0 => {
                    (self.at, self.left) = (addr, length);
                    self.list = Some(entry.wrapping_add(ENTRY.into()));
                }
                CHAIN => self.list = Some(addr),
                _ => return Err(Stop(Status::BadList, entry)),
            }
        }
        Ok((self.at, most.min(self.left).min(PIECE - self.at % PIECE)))
    }

    fn advance(&mut self, n: u64) {
        self.at = self.at.wrapping_add(n);
        self.left -= n;
    }
}

async fn read(dma: &Dma, addr: u64, n: u32) -> Result<Vec<u8>, Stop> {
    let segment = Segment { addr, len: n };
    let bytes = dma.transfer(Direction::FromMemory, vec![segment], vec![0; n as usize]).await;
    bytes.map_err(|_| Stop(Status::ReadFault, addr))
}

async fn write(dma: &Dma, addr: u64, bytes: Vec<u8>) -> Result<(), Stop> {
    let segment = Segment { addr, len: bytes.len() as u32 };
    let done = dma.transfer(Direction::ToMemory, vec![segment], bytes).await;
    done.map(drop).map_err(|_| Stop(Status::WriteFault, addr))
}

/// Lets others have a turn.
async fn pause() {
    let mut paused = false;
    poll_fn(|_| match std::mem::replace(&mut paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// CRC-32 (IEEE 802.3, reflected), of more bytes after those of `crc`.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!crc, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// How far a command has come.
#[derive(Default)]
struct Progress {
    done: u64,
    result: u64,
}

impl Command {
    async fn run(&self, dma: &Dma, progress: &mut Progress) -> Result<(), Stop> {
        let length = u64::from(self.length);
        let mut source = self.side(SOURCE_LIST, self.source);
        let mut destination = self.side(DESTINATION_LIST, self.destination);
        let reads = matches!(self.operation, Operation::Copy | Operation::Crc32 | Operation::Compare);
        let two = matches!(self.operation, Operation::Copy | Operation::Fill | Operation::Compare);
        while self.operation != Operation::Nothing && progress.done < length {
            let mut n = PIECE.min(length - progress.done);
            let (mut from, mut to) = (0, 0);
            if reads {
                (from, n) = source.piece(dma, n).await?;
            }
            if two {
                (to, n) = destination.piece(dma, n).await?;
            }
            let bytes = match reads {
                true => read(dma, from, n as u32).await?,
                false => {
                    let pattern = self.pattern.to_le_bytes();
                    (0..n).map(|i| pattern[((progress.done + i) % 8) as usize]).collect()
                }
            };
            match self.operation {
                Operation::Crc32 => progress.result = crc32(progress.result as u32, &bytes).into(),
                Operation::Compare => {
                    let other = read(dma, to, n as u32).await?;
                    if let Some(at) = bytes.iter().zip(&other).position(|(a, b)| a != b) {
                        progress.done += at as u64;
                        progress.result = progress.done;
                        return Ok(());
                    }
                }
                _ => write(dma, to, bytes).await?,
            }
            progress.done += n;
            if reads {
                source.advance(n);
            }
            if two {
                destination.advance(n);
            }
            pause().await;
        }
        if self.operation == Operation::Compare {
            progress.result = progress.done;
        }
        Ok(())
    }
}

/// Executes the command at `from`, and writes its completion, of this phase, to `to`. Gives whether an interrupt is wanted; or the
/// ring's address that could not be reached.
pub(super) async fn execute(dma: Dma, from: u64, to: u64, phase: bool) -> Result<bool, u64> {
    let bytes = read(&dma, from, COMMAND as u32).await.map_err(|_| from)?;
    let mut progress = Progress::default();
    let command = Command::parse(&bytes);
    let outcome = match &command {
        Some(command) => command.run(&dma, &mut progress).await,
        None => Err(Stop(Status::BadCommand, from)),
    };
    let (status, address) = match outcome {
        Ok(()) => (Status::Done, 0),
        Err(Stop(status, address)) => (status, address),
    };
    let rest = [progress.done, progress.result, address].map(u64::to_le_bytes).concat();
    let first = field(&bytes, 2, 2) | (status as u64) << 16 | u64::from(phase) << 24;
    // Who sees the phase sees the rest.
    write(&dma, to.wrapping_add(8), rest).await.map_err(|_| to)?;
    write(&dma, to, first.to_le_bytes().to_vec()).await.map_err(|_| to)?;
    Ok(command.is_none_or(|command| command.flags & INTERRUPT != 0) || status != Status::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32.
    #[test]
    fn crc_of_digits() {
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xcbf4_3926);
    }
}

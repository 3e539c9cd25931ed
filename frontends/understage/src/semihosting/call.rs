//! A call: the operation, its parameter block, and the memory that it names.

use emu_pe::cpu::Cpu;
use nix::errno::Errno;

/// Bytes that are moved at once.
pub(super) const PIECE: usize = 64 << 10;
/// Bytes of the longest name of a file (the host's PATH_MAX).
const NAME: u64 = 4096;

/// What an operation gives: X0, or the number of an error.
pub(super) type Outcome = Result<u64, Errno>;

/// See the module's head.
pub(super) struct Call<'a> {
    pub(super) cpu: &'a mut Cpu,
    /// W0.
    pub(super) operation: u32,
    /// X1: the parameter, or the address of a block of them.
    pub(super) parameter: u64,
}

impl<'a> Call<'a> {
    pub(super) fn new(cpu: &'a mut Cpu) -> Self {
        let (operation, parameter) = (cpu.regs.x[0] as u32, cpu.regs.x[1]);
        Self { cpu, operation, parameter }
    }

    /// Field `n` of the parameter block.
    pub(super) fn field(&mut self, n: u64) -> Outcome {
        let mut bytes = [0; 8];
        self.read(self.parameter.wrapping_add(8 * n), &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The first fields of the parameter block.
    pub(super) fn fields<const N: usize>(&mut self) -> Result<[u64; N], Errno> {
        let mut out = [0; N];
        for (n, slot) in out.iter_mut().enumerate() {
            *slot = self.field(n as u64)?;
        }
        Ok(out)
    }

    /// Fills `out` from memory, or fails.
    pub(super) fn read(&mut self, at: u64, out: &mut [u8]) -> Result<(), Errno> {
        if self.cpu.mem.read_as_program(at, out) == out.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Writes all of `bytes` to memory, or fails; then some may have been written.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        if self.cpu.mem.write_as_program(at, bytes) == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// The name of `length` bytes at `at`. It has no zero byte.
    pub(super) fn name(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Errno> {
        if length >= NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut name = vec![0; length as usize];
        self.read(at, &mut name)?;
        if name.contains(&0) { Err(Errno::EINVAL) } else { Ok(name) }
    }

    /// Gives the bytes from `at` on to `put`, in pieces, until it takes no more or the memory ends: `length` of them, or those
    /// before a zero byte. Gives how many were put.
    pub(super) fn pieces(
        &mut self,
        at: u64,
        length: Option<u64>,
        mut put: impl FnMut(&mut Cpu, &[u8]) -> Result<usize, Errno>,
    ) -> Outcome {
        let mut buffer = vec![0; length.map_or(256, |n| n.min(PIECE as u64)) as usize];
        let mut done = 0;
        while length.is_none_or(|n| done < n) && !self.is_enough(done) {
            let want = length.map_or(buffer.len() as u64, |n| (n - done).min(buffer.len() as u64)) as usize;
            let got = self.cpu.mem.read_as_program(at.wrapping_add(done), &mut buffer[..want]);
            if got == 0 {
                return if done == 0 { Err(Errno::EFAULT) } else { Ok(done) };
            }
            let end = if length.is_none() { buffer[..got].iter().position(|b| *b == 0) } else { None };
            let n = put(self.cpu, &buffer[..end.unwrap_or(got)])?;
            done += n as u64;
            if end.is_some() || n < got {
                break;
            }
        }
        Ok(done)
    }

    /// True for a transfer that has got somewhere, when somebody wants the CPU: it is as good as one of a slow device.
    pub(super) fn is_enough(&self, done: u64) -> bool {
        done >= 16 * PIECE as u64 && self.cpu.wires.is_wanted()
    }
}

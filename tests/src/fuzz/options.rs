//! Both command lines: whatever is said, it is a machine, a text or a refusal of one line. Nothing is written or run.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use understage::config::MachineConfig;
use understage::error::UserError;
use understage::{cli, qemu};

/// The target: words that are separated by NUL.
pub(super) fn run(data: &[u8]) {
    let words = || data.split(|b| *b == 0).map(|w| OsString::from_vec(w.to_vec()));
    let own: Vec<OsString> = [OsString::from("understage")].into_iter().chain(words()).collect();
    match cli::parse(&own) {
        Ok(cli::Request::Run(config)) => check(&config),
        Ok(cli::Request::Qemu(options)) => theirs(&options),
        Ok(cli::Request::Tour(_) | cli::Request::IoReport(_) | cli::Request::Print(_)) => {}
        Err(e) => refused(&e),
    }
    theirs(&words().collect::<Vec<_>>());
}

fn theirs(options: &[OsString]) {
    match qemu::parse(options) {
        Ok(qemu::Request::Run(config)) => check(&config),
        Ok(qemu::Request::Print(_)) => {}
        Err(e) => refused(&e),
    }
}

/// What was taken keeps the rules that concern several options.
fn check(config: &MachineConfig) {
    assert_eq!(config.check(), Ok(()));
}

fn refused(e: &UserError) {
    let text = e.to_string();
    assert!(!text.trim().is_empty());
    assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
}

/// Lines of both kinds that are taken.
pub(super) fn samples() -> Vec<Vec<u8>> {
    const LINES: [&str; 9] = [
        "run --kernel Image --initrd i.cpio --append console=ttyAMA0 --smp 4 --memory 512M --cpu neoverse-n1",
        "run --load a.elf@0x48000000 --entry 0x48000000 --serial file:log --virtio-console null --rng --stats",
        "run --firmware fw --flash1 vars,snapshot --disk a,,b.img,format=raw,snapshot,bus=mmio,serial=S1 --no-reboot",
        "run --kernel k --gdb :1234 --gdb-wait --perf map --code-cache 64M --stop-on endless-exception --log info",
        "qemu -M virt,virtualization=on,gic-version=3 -cpu max -smp 2 -m 2G -nographic -kernel Image",
        "-machine virt,gic-version=3,its=off,highmem=on -cpu cortex-a72 -smp cpus=4,sockets=2,cores=2 -m size=1G -kernel k",
        "-M virt,gic-version=3 -cpu max -drive if=none,id=d0,file=d.img,format=raw,snapshot=on -device virtio-blk-pci,drive=d0 \
         -kernel k",
        "-M virt,gic-version=3 -cpu max -chardev stdio,id=c,mux=on -serial chardev:c -device loader,data=1,data-len=4,addr=0x48000000 \
         -kernel k",
        "-M virt,gic-version=3 -cpu max -bios fw -pflash vars -s -S -accel tcg,tb-size=64 -display none -no-reboot -snapshot",
    ];
    LINES.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join("\0").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken() {
        for sample in samples() {
            let words: Vec<OsString> =
                sample.split(|b| *b == 0).map(|w| OsString::from_vec(w.to_vec())).collect();
            let own: Vec<OsString> =
                [OsString::from("understage")].into_iter().chain(words.clone()).collect();
            let taken = match cli::parse(&own) {
                Ok(cli::Request::Qemu(options)) => qemu::parse(&options).map(drop),
                Err(_) => qemu::parse(&words).map(drop),
                Ok(_) => Ok(()),
            };
            assert_eq!(taken, Ok(()), "{words:?}");
        }
    }
}

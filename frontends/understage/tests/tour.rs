//! The tour as a user sees it: the program without arguments.

use std::process::Command;

/// The number at the beginning of the first line that ends with `what`.
fn number(text: &str, what: &str) -> u64 {
    let line = text.lines().find(|l| l.trim_end().ends_with(what)).unwrap_or_else(|| panic!("no '{what}'"));
    let digits: String =
        line.trim().chars().take_while(|c| !c.is_whitespace()).filter(|c| *c != ',').collect();
    digits.parse().unwrap()
}

/// The cells of a row of the second table.
fn cells<'a>(text: &'a str, row: &str) -> Vec<&'a str> {
    let (_, table) = text.split_once("What one operation cost").unwrap();
    let line =
        table.lines().find(|l| l.trim_start().starts_with(row)).unwrap_or_else(|| panic!("no '{row}'"));
    line.trim_start()[row.len()..].split_whitespace().collect()
}

#[test]
fn the_tour_comes_to_its_end_and_counts() {
    let out = Command::new(env!("CARGO_BIN_EXE_understage")).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    let milestones = [
        "CurrentEL says EL2",
        "VTCR_EL2 = 0x80023559",
        "one| Hello from EL1",
        "its VA 0x80001234 is IPA 0x40001234 by its stage 1, and PA 0x41201234 by ours",
        "one| Greetings from sector 0",
        "it counted 8 ticks",
        "two| We agreed on features",
        "two| Greetings from sector 0",
        "both guests have the same bytes of the disk: checksum 0x1144591dd4bd9bf3",
        "SMMU_IDR1.SIDSIZE = 16",
        "StreamID 0x7f1f: V; Config 0b110: stage 2 alone; S2VMID 2",
        "SMMU_STRTAB_BASE_CFG = 0x1018f",
        "SMMU_CR0 = 0xd",
        "IPA 0x50000000; where they are, only we know:\n      PA 0x4160f000, 0x41606000, 0x4161b000",
        "measured: guest two reads 32 sectors into scattered pages",
        "and the bytes are the same again: checksum 0x1144591dd4bd9bf3",
        "two| Disk, write sector 0 to 0x40200000",
        "event 0x10: F_TRANSLATION, StreamID 0x7f1f, a write to 0x40200000,\n",
        "S2: it is stage 2 that refuses, at IPA 0x40200000; Stall 0: it was aborted",
        "two| The disk says VIRTIO_BLK_S_IOERR",
        "no byte at PA 0x40200000 has changed",
        "two| Disk, write sectors 0 to 15 to 0x50008000",
        "event 0x10: F_TRANSLATION, StreamID 0x7f1f, a write to 0x50009000,\n",
        "S2: it is stage 2 that refuses, at IPA 0x50009000; Stall 1: it waits, and its name is STAG",
        "IPA 0x50009000 is PA 0x41618000 now",
        "two| It took the disk a while",
        "both pages, the old one and the new one, have the bytes of sectors 0 to 15",
        "slice 6: guest two ran",
        "guest one called PSCI SYSTEM_OFF by SMC",
        "guest two called PSCI SYSTEM_OFF by SMC",
        "The tour is over",
        "What the machine counted in the whole tour",
    ];
    let mut rest = text.as_str();
    for milestone in milestones {
        let at = rest.find(milestone).unwrap_or_else(|| panic!("no '{milestone}' in its place:\n{text}"));
        rest = &rest[at..];
    }

    // The hypervisor and the machine count independently, and agree.
    assert_eq!(number(&text, "stage-2 aborts (emulated accesses)"), number(&text, "stage 2 aborts"));
    assert_eq!(number(&text, " hypercalls"), number(&text, "HVC calls"));
    assert_eq!(number(&text, "SMC trapped") + 1, number(&text, "SMC calls"));
    // 8 ticks, 32 sectors twice, the request that was refused and the one that waited.
    assert_eq!(number(&text, "interrupts passed on to guests"), 8 + 32 + 32 + 2);
    assert_eq!(number(&text, "events of the SMMU"), number(&text, "translation faults in the SMMU"));
    assert_eq!(number(&text, "transactions that the SMMU aborted"), 1);
    assert_eq!(number(&text, "stalls of transactions in the SMMU"), 1);

    // Choosing a sector and reading its 128 words are 129 exits; one hypercall ends the measurement.
    assert_eq!(cells(&text, "stage-2 aborts"), ["129", "-", "-", "-", "-"]);
    assert_eq!(cells(&text, "exits to EL2")[..2], ["129.0", "1.0"]);
    assert_eq!(cells(&text, "virtual interrupts at EL1")[2..], ["1", "1", "1"]);
    assert_eq!(cells(&text, "bytes that the guest got"), ["512", "-", "-", "512", "512"]);
    // The SMMU lets pass, then translates; few pages are walked for, and the price is that of a disk without one.
    assert_eq!(cells(&text, "transactions at the SMMU")[..3], ["-", "-", "-"]);
    assert_ne!(cells(&text, "transactions at the SMMU")[3], "-");
    let walks = cells(&text, "pages walked for");
    assert_eq!(walks[..4], ["-", "-", "-", "-"]);
    assert!((0.1..1.0).contains(&walks[4].parse::<f64>().unwrap()), "{walks:?}");
    let instructions: Vec<f64> =
        cells(&text, "instructions").iter().map(|c| c.replace(',', "").parse().unwrap()).collect();
    assert!(instructions[3] * 10.0 < instructions[0], "{instructions:?}");
    assert!(instructions[4] * 10.0 < instructions[0], "{instructions:?}");
}

/// Host code against the interpreter, on a hypervisor with two guests.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn the_tour_runs_in_lockstep_without_a_difference() {
    let out = Command::new(env!("CARGO_BIN_EXE_understage"))
        .args(["tour", "--check", "lockstep"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{errors}");
    assert!(String::from_utf8_lossy(&out.stdout).contains("The tour is over"));
    let compared: u64 = number(&errors.replace("lockstep: ", "").replace(" in ", "\n"), "instructions");
    assert!(compared > 1_000_000, "{errors}");
}

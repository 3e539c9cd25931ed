//! Functions below root ports, driven as their drivers do; hot-plug by the other door.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::client::Machine;
use super::driven::LIMIT;

const ECAM: u64 = 0x40_1000_0000;
const WINDOW: u64 = 0x1000_0000;
const RAM: u64 = 0x4100_0000;
/// Root ports in slots 3 and 4, and the first function of the bus below the first of them.
const PORT: u64 = ECAM + (3 << 15);
const OTHER_PORT: u64 = ECAM + (4 << 15);
const DEVICE: u64 = ECAM + (5 << 20);
const PORTS: &str =
    "-device pcie-root-port,id=rp1,addr=3,slot=1 -device pcie-root-port,id=rp2,addr=4,slot=2,hotplug=off";

fn capability(m: &mut Machine, function: u64, id: u64) -> u64 {
    let mut at = m.read('b', function + 0x34);
    while at != 0 && m.read('b', function + at) != id {
        at = m.read('b', function + at + 1);
    }
    function + at
}

/// Gives the port's bus the number 5 and a window, and the edu device below it an address.
fn set_up(m: &mut Machine) {
    m.write('l', PORT + 0x18, 0x0005_0500);
    m.write('l', PORT + 0x20, 0x1010_1010);
    m.write('w', PORT + 4, 6);
    assert_eq!(m.read('l', DEVICE), 0x11e8_1234);
    m.write('l', DEVICE + 0x10, WINDOW + 0x10_0000);
    m.write('w', DEVICE + 4, 6);
}

const BAR: u64 = WINDOW + 0x10_0000;

#[test]
fn a_function_below_a_root_port_works_and_interrupts() {
    let mut m = Machine::start(&format!("-M virt -cpu max {PORTS} -device edu,bus=rp1"));
    m.ok("irq_intercept_in /machine/gic");
    assert_eq!(m.read('l', DEVICE), 0xffff_ffff, "its bus has no number");
    set_up(&mut m);
    m.write('l', BAR + 4, 0x0f0f_0f0f);
    assert_eq!(m.read('l', BAR + 4), 0xf0f0_f0f0);
    // INTA# below slot 3 is INTA# of the port, which is the fourth wire: SPI 6.
    m.write('l', BAR + 0x60, 1);
    assert_eq!(m.high, [6]);
    m.write('l', BAR + 0x64, 1);
    assert!(m.high.is_empty());
    // By MSI, to memory: lost while the port does not forward it.
    let msi = capability(&mut m, DEVICE, 5);
    m.write('l', msi + 4, RAM + 0x100);
    m.write('w', msi + 12, 0x77);
    m.write('w', msi + 2, 1);
    m.write('w', PORT + 4, 2);
    m.write('l', BAR + 0x60, 1);
    m.write('w', PORT + 4, 6);
    assert_eq!(m.read('l', RAM + 0x100), 0);
    m.write('l', BAR + 0x64, 1);
    m.write('l', BAR + 0x60, 1);
    assert_eq!(m.read('l', RAM + 0x100), 0x77);
    // A reset of the bus.
    m.write('w', PORT + 0x3e, 0x40);
    m.write('w', PORT + 0x3e, 0);
    assert_eq!((m.read('w', DEVICE + 4), m.read('l', DEVICE + 0x10)), (0, 0));
}

/// A monitor beside the client of qtest.
struct Qmp(BufReader<UnixStream>, Vec<Value>);

impl Qmp {
    fn connect(path: &Path) -> Self {
        let begun = std::time::Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(e) => assert!(begun.elapsed() < LIMIT, "{e}"),
            }
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut qmp = Self(BufReader::new(stream), Vec::new());
        assert!(qmp.next()["QMP"].is_object());
        assert_eq!(qmp.ask("qmp_capabilities", &json!({})), json!({ "return": {} }));
        qmp
    }
    fn next(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the machine is gone");
        serde_json::from_str(&line).unwrap()
    }
    fn ask(&mut self, command: &str, arguments: &Value) -> Value {
        let request = json!({ "execute": command, "arguments": arguments });
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        loop {
            let reply = self.next();
            if reply.get("event").is_none() {
                return reply;
            }
            self.1.push(reply);
        }
    }
    fn refusal(&mut self, command: &str, arguments: &Value) -> String {
        let reply = self.ask(command, arguments);
        reply["error"]["desc"].as_str().unwrap_or_else(|| panic!("{command} {arguments}: {reply}")).to_owned()
    }
    /// The device that the next event says is gone.
    fn deleted(&mut self) -> Value {
        let event = if self.1.is_empty() { self.next() } else { self.1.remove(0) };
        assert_eq!(event["event"], "DEVICE_DELETED");
        event["data"]["device"].clone()
    }
}

#[test]
fn a_device_is_plugged_in_and_let_go_of() {
    let dir = tempfile::tempdir().unwrap();
    let (door, disk) = (dir.path().join("qmp"), super::image(&dir));
    let mut m = Machine::start(&format!(
        "-M virt -cpu max {PORTS} -drive if=none,id=d0,format=raw,file={} -qmp unix:{},server,wait=off",
        disk.display(),
        door.display()
    ));
    let mut qmp = Qmp::connect(&door);
    m.ok("irq_intercept_in /machine/gic");
    m.write('l', PORT + 0x18, 0x0005_0500);
    m.write('l', PORT + 0x20, 0x1010_1010);
    m.write('w', PORT + 4, 6);
    let (control, status) = (capability(&mut m, PORT, 0x10) + 0x18, capability(&mut m, PORT, 0x10) + 0x1a);
    // Hot-plug interrupts, of presence and the button.
    m.write('w', control, 0x07e9);
    m.write('w', status, 0x11f);

    let edu = json!({ "driver": "edu", "id": "e0", "bus": "rp1" });
    assert_eq!(qmp.ask("device_add", &edu), json!({ "return": {} }));
    // Presence, its change and the button; the port's INTA# is SPI 6.
    assert_eq!((m.read('w', status), m.high.clone()), (0x49, vec![6]));
    m.write('w', status, 0x9);
    assert!(m.high.is_empty());
    m.write('w', control, 0x01e9);
    set_up(&mut m);
    m.write('l', BAR + 4, 0x0f0f_0f0f);
    assert_eq!(m.read('l', BAR + 4), 0xf0f0_f0f0);
    let pci = qmp.ask("query-pci", &json!({}));
    let port = &pci["return"][0]["devices"].as_array().unwrap()[1];
    assert_eq!(port["pci_bridge"]["bus"]["secondary"], 5);
    assert_eq!(
        (&port["pci_bridge"]["devices"][0]["qdev_id"], &port["qdev_id"]),
        (&json!("e0"), &json!("rp1"))
    );
    let tree = qmp.ask("human-monitor-command", &json!({ "command-line": "info qtree" }));
    assert!(
        tree["return"].as_str().unwrap().contains("    bus: rp1\r\n      dev: edu, addr = 00.0, id \"e0\"")
    );

    // What cannot be.
    let other = json!({ "driver": "edu", "bus": "rp1" });
    assert_eq!(qmp.refusal("device_add", &other), "two devices are to be in PCI slot 0x0 of bus 'rp1'");
    assert_eq!(qmp.refusal("device_add", &edu), "Duplicate device ID 'e0'");
    for (driver, bus, why) in [
        ("edu", "pcie.0", "Bus 'pcie.0' does not support hotplugging"),
        ("edu", "rp2", "Bus 'rp2' does not support hotplugging"),
        ("pcie-root-port", "pcie.0", "Bus 'pcie.0' does not support hotplugging"),
        ("virtio-rng-device", "virtio-mmio-bus.3", "Bus 'virtio-mmio-bus' does not support hotplugging"),
    ] {
        let device = json!({ "driver": driver, "bus": bus });
        let device = if driver == "pcie-root-port" { json!({ "driver": driver, "slot": 9 }) } else { device };
        assert_eq!(qmp.refusal("device_add", &device), why, "{driver}");
    }
    assert!(qmp.refusal("device_add", &json!({ "driver": "nonsense" })).contains("there is no such device"));
    assert_eq!(qmp.refusal("device_del", &json!({ "id": "x" })), "Device 'x' not found");
    assert_eq!(
        qmp.refusal("device_del", &json!({ "id": "rp2" })),
        "Bus 'pcie.0' does not support hotplugging"
    );

    // The guest is asked, and turns the power off when it is ready.
    assert_eq!(qmp.ask("device_del", &json!({ "id": "e0" })), json!({ "return": {} }));
    assert_eq!(
        qmp.refusal("device_del", &json!({ "id": "e0" })),
        "Device e0 is already in the process of unplug"
    );
    assert_eq!(m.read('l', DEVICE), 0x11e8_1234);
    m.write('w', control, 0x07e9);
    assert_eq!(qmp.deleted(), "e0");
    assert_eq!(m.read('w', status) & 0x48, 0x08);

    // A controller with a disk; what the guest does not use is gone at once.
    m.write('w', status, 0x11f);
    let line = "device_add nvme,id=n0,serial=1,drive=d0,bus=rp1";
    let said = qmp.ask("human-monitor-command", &json!({ "command-line": line }));
    assert_eq!(said, json!({ "return": "" }));
    m.write('w', control, 0x01e9);
    assert_eq!(m.read('l', DEVICE + 8) >> 8, 0x01_0802);
    m.write('w', control, 0x07e9);
    assert_eq!(
        qmp.ask("human-monitor-command", &json!({ "command-line": "device_del n0" })),
        json!({ "return": "" })
    );
    assert_eq!(qmp.deleted(), "n0");
    assert_eq!(m.read('l', OTHER_PORT), 0x000c_1b36);
}

//! QMP, as a program uses it.

mod driven;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use driven::{LIMIT, Program, start};
use serde_json::{Value, json};

/// A machine, and the connection to its monitor.
struct Client {
    program: Program,
    stream: BufReader<UnixStream>,
    /// Events that came in between.
    events: Vec<String>,
}

impl Client {
    /// A machine without CPUs that run, with these options, and the greeting.
    fn start(options: &str) -> (Self, Value) {
        Self::on(&format!("virt -cpu max {options}"))
    }

    /// The same, with this board and its options.
    fn on(board: &str) -> (Self, Value) {
        let (program, stream) = start(&format!("-M {board}"), "-qmp");
        let mut client = Self { program, stream, events: Vec::new() };
        let greeting = client.next();
        (client, greeting)
    }

    /// The same, negotiated.
    fn ready(options: &str) -> Self {
        let (mut client, _) = Self::start(options);
        assert_eq!(client.ask(&json!({ "execute": "qmp_capabilities" })), json!({ "return": {} }));
        client
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "the machine is gone");
        serde_json::from_str(&line).unwrap()
    }

    /// Sends a request; its reply.
    fn ask(&mut self, request: &Value) -> Value {
        self.send(&format!("{request}\n"))
    }

    fn send(&mut self, text: &str) -> Value {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        loop {
            let reply = self.next();
            match reply["event"].as_str() {
                Some(event) => self.events.push(event.to_owned()),
                None => return reply,
            }
        }
    }

    /// What a command without arguments returns.
    fn get(&mut self, command: &str) -> Value {
        let reply = self.ask(&json!({ "execute": command }));
        assert!(reply.get("return").is_some(), "{command}: {reply}");
        reply["return"].clone()
    }
}

#[test]
fn nothing_goes_before_the_negotiation() {
    let (mut client, greeting) = Client::start("");
    assert!(greeting["QMP"]["version"]["qemu"]["major"].is_number());
    assert_eq!(greeting["QMP"]["capabilities"], json!([]));
    let refused = client.ask(&json!({ "execute": "query-status" }));
    assert_eq!(refused["error"]["class"], "CommandNotFound");
    let oob = client.ask(&json!({ "execute": "qmp_capabilities", "arguments": { "enable": ["oob"] } }));
    assert_eq!(oob["error"]["class"], "GenericError");
    client.ask(&json!({ "execute": "qmp_capabilities" }));
    let again = client.ask(&json!({ "execute": "qmp_capabilities", "id": 7 }));
    assert_eq!((&again["error"]["class"], &again["id"]), (&json!("CommandNotFound"), &json!(7)));
}

#[test]
fn what_is_wrong_is_said_and_the_next_is_answered() {
    let mut client = Client::ready("");
    for (text, class, words) in [
        ("nonsense\n", "GenericError", "an object is expected"),
        ("{a}\n", "GenericError", "JSON parse error"),
        ("{}", "GenericError", "lacks member 'execute'"),
        ("{\"execute\": 1}", "GenericError", "must be a string"),
        ("{\"execute\": \"stop\", \"argument\": {}}", "GenericError", "'argument' is unexpected"),
        ("{\"execute\": \"stop\", \"arguments\": {\"a\": 1}}", "GenericError", "Parameter 'a' is unexpected"),
        ("{\"exec-oob\": \"stop\"}", "GenericError", "no out-of-band execution"),
        ("{\"execute\": \"migrate\"}", "CommandNotFound", "The command migrate has not been found"),
        ("{\"execute\": \"human-monitor-command\"}", "GenericError", "Parameter 'command-line' is missing"),
        (
            "{\"execute\": \"device-list-properties\", \"arguments\": {\"typename\": \"x\"}}",
            "DeviceNotFound",
            "Device 'x' not found",
        ),
        (
            "{\"execute\": \"qom-list-types\", \"arguments\": {\"abstract\": 1}}",
            "GenericError",
            "expected: boolean",
        ),
    ] {
        let reply = client.send(text);
        let description = reply["error"]["desc"].as_str().unwrap_or_default();
        assert!(reply["error"]["class"] == class && description.contains(words), "{text}: {reply}");
    }
    assert_eq!(client.get("query-status"), json!({ "running": true, "status": "running" }));
}

#[test]
fn a_machine_is_asked_what_it_is() {
    let mut client = Client::ready(
        "-name guest -uuid 00010203-0405-0607-0809-0a0b0c0d0e0f -m 256M -smp 2 -device edu,id=teacher",
    );
    assert_eq!(client.get("query-name"), json!({ "name": "guest" }));
    assert_eq!(client.get("query-uuid")["UUID"], "00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert_eq!(client.get("query-memory-size-summary")["base-memory"], 256 << 20);
    assert_eq!(client.get("query-target")["arch"], "aarch64");
    assert_eq!(client.get("query-cpus-fast").as_array().unwrap().len(), 2);
    let has = |list: &Value, key: &str, name: &str| list.as_array().unwrap().iter().any(|v| v[key] == name);
    let commands = client.get("query-commands");
    for name in ["qmp_capabilities", "query-commands", "stop", "quit", "query-pci"] {
        assert!(has(&commands, "name", name), "{name}");
    }
    assert!(has(&client.get("query-machines"), "name", "virt"));
    assert!(has(&client.get("query-cpu-definitions"), "name", "neoverse-n1"));
    let buses = client.get("query-pci");
    let devices = buses[0]["devices"].as_array().unwrap();
    assert!(devices.iter().any(|d| d["id"] == json!({ "vendor": 0x1234, "device": 0x11e8, "subsystem-vendor": 0x1af4, "subsystem": 0x1100 })), "{devices:?}");
    assert!(devices.iter().any(|d| d["qdev_id"] == "teacher" && d["id"]["device"] == 0x11e8), "{devices:?}");
    // No CPU runs, and who asks for its registers has an answer all the same.
    for line in ["info registers", "xp /2xw 0x40000000", "info cpus", "info ledger"] {
        let line = json!({ "execute": "human-monitor-command", "arguments": { "command-line": line } });
        let said = client.ask(&line)["return"].as_str().unwrap_or_default().to_owned();
        assert!(!said.is_empty() && !said.contains("unknown"), "{line}: {said}");
    }
    let types = |arguments: Value| json!({ "execute": "qom-list-types", "arguments": arguments });
    let devices = client.ask(&types(json!({ "implements": "device", "abstract": false })))["return"].clone();
    assert!(has(&devices, "name", "virtio-blk-pci") && has(&devices, "name", "max-arm-cpu"));
    assert!(!has(&devices, "name", "device") && !has(&devices, "name", "virt-machine"));
    let machines = client.ask(&types(json!({ "implements": "machine" })))["return"].clone();
    assert!(has(&machines, "name", "virt-machine") && has(&machines, "name", "machine"));
    let properties =
        json!({ "execute": "device-list-properties", "arguments": { "typename": "virtio-blk-pci" } });
    let properties = client.ask(&properties)["return"].clone();
    assert!(
        has(&properties, "name", "serial")
            && has(&properties, "name", "drive")
            && has(&properties, "name", "addr")
    );
}

/// The forms are those of QEMU's `info network`, which programs compare with.
#[test]
fn back_ends_say_where_they_lead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net").display().to_string();
    let line = json!({ "execute": "human-monitor-command", "arguments": { "command-line": "info network" } });
    let until = |client: &mut Client, expected: &str| {
        let begin = std::time::Instant::now();
        loop {
            let said = client.ask(&line)["return"].as_str().unwrap().to_owned();
            if said == expected {
                return;
            }
            assert!(begin.elapsed() < LIMIT, "{said}");
        }
    };
    let (mut server, _) =
        Client::on(&format!("none -netdev stream,id=st0,server=on,addr.type=unix,addr.path={path}"));
    server.get("qmp_capabilities");
    until(&mut server, "st0: index=0,type=stream,listening\r\n");
    let mut client = Client::ready(&format!(
        "-netdev stream,id=st0,addr.type=unix,addr.path={path} -device virtio-net-pci,netdev=st0,id=nic"
    ));
    until(
        &mut client,
        &format!("nic: index=0,type=nic,model=virtio-net\r\n \\ st0: index=0,type=stream,unix:{path}\r\n"),
    );
    until(&mut server, &format!("st0: index=0,type=stream,unix:{path}\r\n"));
    drop(client);
    until(&mut server, "st0: index=0,type=stream,listening\r\n");
    let told: Vec<_> = server.events.iter().filter(|event| event.starts_with("NETDEV")).collect();
    assert_eq!(told, ["NETDEV_STREAM_CONNECTED", "NETDEV_STREAM_DISCONNECTED"]);
}

#[test]
fn disks_are_listed_and_get_another_size() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk.img");
    std::fs::write(&image, vec![1; 4096]).unwrap();
    let mut client = Client::ready(&format!(
        "-drive if=none,id=d0,format=raw,file={} -device virtio-blk-pci,drive=d0 \
         -drive if=none,id=d1,file=null-co://,file.size=1M,readonly=on -device nvme,serial=1,drive=d1",
        image.display()
    ));
    let disks = client.get("query-block");
    let seen = |n: usize| {
        let inserted = &disks[n]["inserted"];
        (&disks[n]["device"], &inserted["drv"], &inserted["image"]["virtual-size"], &inserted["ro"])
    };
    assert_eq!(seen(0), (&json!("d0"), &json!("raw"), &json!(4096), &json!(false)));
    assert_eq!(seen(1), (&json!("d1"), &json!("null-co"), &json!(1 << 20), &json!(true)));
    let mut resize = |name: &str, size: u64| {
        client.ask(&json!({ "execute": "block_resize", "arguments": { "device": name, "size": size } }))
    };
    assert_eq!(resize("d0", 10_000)["return"], json!({}));
    assert_eq!(std::fs::metadata(&image).unwrap().len(), 10_240, "whole sectors");
    for (name, size, words) in [
        ("d0", u64::MAX, "no disk is that large"),
        ("d1", 1 << 21, "its device knows of one size only"),
        ("d2", 512, "Cannot find device='d2'"),
    ] {
        let said = resize(name, size)["error"]["desc"].to_string();
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(client.get("query-block")[0]["inserted"]["image"]["virtual-size"], 10_240);
    let line = json!({ "execute": "human-monitor-command", "arguments": { "command-line": "info block" } });
    let said = client.ask(&line)["return"].to_string();
    assert!(said.contains("d0: ") && said.contains("d1: null-co:// (null-co, read-only)"), "{said}");
}

/// Programs that want to know what there is ask a machine that has nothing.
#[test]
fn the_machine_none_says_what_the_program_has() {
    let (mut client, _) = Client::on("none -m 1M");
    client.get("qmp_capabilities");
    assert_eq!(client.get("query-pci"), json!([]));
    assert_eq!(client.get("query-cpus-fast"), json!([]));
    assert_eq!(client.get("query-memory-size-summary")["base-memory"], 1 << 20);
    let machines = client.get("query-machines");
    let named = |name: &str| machines.as_array().unwrap().iter().any(|m| m["name"] == name);
    assert!(named("virt") && named("none"), "{machines}");
    let line =
        |line: &str| json!({ "execute": "human-monitor-command", "arguments": { "command-line": line } });
    let tree = client.ask(&line("info mtree"))["return"].as_str().unwrap().to_owned();
    assert!(tree.contains("0000000000000000-00000000000fffff"), "{tree}");
    client.get("system_reset");
    // SIGTERM is how clients of driven machines end them.
    let pid = nix::unistd::Pid::from_raw(client.program.0.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
    assert_eq!(client.program.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_machine_is_stopped_reset_and_ended() {
    let mut client = Client::ready("");
    client.get("stop");
    assert_eq!(client.get("query-status")["status"], "paused");
    client.get("cont");
    client.get("system_powerdown");
    client.get("system_reset");
    // The reset is done by another thread.
    while !client.events.iter().any(|e| e == "RESET") {
        client.get("query-status");
    }
    assert_eq!(client.events, ["STOP", "RESUME", "POWERDOWN", "RESET"]);
    let line = json!({ "execute": "human-monitor-command", "arguments": { "command-line": "info status" } });
    assert_eq!(client.ask(&line)["return"], "VM status: running\r\n");
    client.get("quit");
    assert_eq!(client.program.0.wait().unwrap().code(), Some(0));
}

/// A client that leaves lets the next one in, who begins anew.
#[test]
fn one_client_comes_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qmp");
    let program = Command::new(env!("CARGO_BIN_EXE_understage"))
        .args("qemu -M virt -cpu max -display none -nodefaults -accel qtest -chardev".split(' '))
        .arg(format!("socket,id=c0,server=on,wait=off,path={}", path.display()))
        .args("-mon chardev=c0,mode=control".split(' '))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut program = Program(program);
    for _ in 0..2 {
        let stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"QMP\""), "{line}");
        // It leaves in the middle of a request.
        stream.get_mut().write_all(b"{\"execute\": ").unwrap();
    }
    assert!(program.0.try_wait().unwrap().is_none());
}

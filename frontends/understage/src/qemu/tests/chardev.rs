use super::*;
use crate::config::{Characters, Given, LogFile, Socket, SocketPlace};

/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    (
        "-chardev null,id=c -device virtconsole,chardev=c",
        "virtconsole needs a virtio-serial device before it",
    ),
    ("-chardev null,id=c", "the character device 'c' is not used by anything"),
    ("-chardev socket,id=c", "a socket in -chardev needs 'path=' or 'port='"),
    ("-chardev socket,id=c,path=p,port=1", "'port=1' is not supported for the backend socket in -chardev"),
    ("-chardev socket,id=c,host=h,port=70000", "in -chardev, 70000 is no port"),
    ("-chardev spicevmc,id=c", "'spicevmc' is not supported in -chardev"),
    ("-chardev ringbuf,id=c,size=3", "the size of a ring buffer is a power of two"),
    ("-chardev stdio,id=c,mux=on,signal=on", "either mux=on"),
    ("-chardev null,id=c -chardev null,id=c", "two character devices have the id 'c'"),
    ("-serial udp::1", "'-serial udp::1' is not supported"),
    ("-serial tcp::1", "in -serial, a socket that connects needs a host"),
    ("-serial null -serial null", "a third -serial is not supported: the board has two serial ports"),
    ("-serial chardev:c", "there is no free character device 'c' for -serial"),
    ("-chardev null,id=c -serial chardev:c -monitor chardev:c", "there is no free character device 'c'"),
    ("-monitor stdio", "only one of the serial ports, the consoles and the monitors can be on stdio"),
    ("-monitor vc", "'-monitor vc' is not supported"),
    ("-mon c", "there is no free character device 'c' for a monitor"),
    ("-mon c,mode=control", "there is no free character device 'c' for QMP"),
    ("-mon c,mode=x", "is neither readline nor control"),
    ("-mon mode=readline", "-mon needs 'chardev='"),
];

/// The serial port, and what there is beside it.
fn characters(line: &str) -> (CharBackend, Characters) {
    let c = machine(&format!("-M virt -cpu max -kernel k {line}")).unwrap_or_else(|e| panic!("{line}: {e}"));
    (c.serial, c.characters)
}

fn stdio(escapes: bool) -> CharBackend {
    CharBackend::Stdio { escapes }
}

fn socket(place: SocketPlace) -> Socket {
    Socket { place, server: false, wait: false, nodelay: false, telnet: false, reconnect: None }
}

fn given(socket: Socket) -> CharBackend {
    CharBackend::Socket(Given::new("", socket))
}

#[test]
fn who_shares_a_device() {
    let mux = CharBackend::Mux(0);
    let telnet =
        Socket { server: true, telnet: true, ..socket(SocketPlace::Tcp { host: String::new(), port: 4444 }) };
    for (line, muxes, monitors) in [
        (
            "-display none -chardev stdio,id=c,mux=on -serial chardev:c -mon chardev=c",
            vec![stdio(true)],
            vec![mux.clone()],
        ),
        (
            "-nographic -chardev stdio,id=c,mux=on,signal=off -serial chardev:c -mon c,mode=readline",
            vec![stdio(true)],
            vec![mux.clone()],
        ),
        ("-display none -serial mon:telnet::4444,server,nowait", vec![given(telnet)], vec![mux.clone()]),
    ] {
        let expected = Characters { muxes, monitors, ..Characters::default() };
        assert_eq!(characters(line), (mux.clone(), expected), "{line}");
    }
}

#[test]
fn monitors() {
    let unix = given(Socket { server: true, ..socket(SocketPlace::Unix("m".into())) });
    for (line, serial, monitors) in [
        ("-nographic", stdio(true), vec![]),
        ("-nographic -monitor none", stdio(false), vec![]),
        ("-nographic -monitor unix:m,server,nowait", stdio(false), vec![unix.clone()]),
        ("-nographic -serial null", CharBackend::Null, vec![stdio(false)]),
        ("-nographic -serial mon:stdio -monitor null", stdio(true), vec![CharBackend::Null]),
        ("-display none -serial null -monitor stdio", CharBackend::Null, vec![stdio(false)]),
        ("-display none -serial null", CharBackend::Null, vec![]),
        (
            "-display none -chardev socket,id=m,path=m,server=on,wait=off -mon m",
            CharBackend::Null,
            vec![unix],
        ),
    ] {
        let expected = Characters { monitors, ..Characters::default() };
        assert_eq!(characters(line), (serial, expected), "{line}");
    }
}

#[test]
fn backends() {
    let tcp = SocketPlace::Tcp { host: "h".into(), port: 1 };
    let file = |name: &str| HostFile::new("", name);
    let logged =
        |append| CharBackend::Logged(Box::new(CharBackend::Null), LogFile { file: file("l"), append });
    for (text, expected) in [
        ("socket,host=h,port=1,nodelay=on", given(Socket { nodelay: true, ..socket(tcp.clone()) })),
        ("socket,host=h,port=1,server=on", given(Socket { server: true, wait: true, ..socket(tcp) })),
        ("pty", CharBackend::Pty(Given::new("", ()))),
        ("pipe,path=p", CharBackend::Pipe(file("p"))),
        ("file,path=f,append=on", CharBackend::Append(file("f"))),
        ("file,path=f", CharBackend::File(file("f"))),
        ("testdev", CharBackend::TestDevice),
        ("ringbuf,size=4k", CharBackend::Ring { size: 4096 }),
        ("memory", CharBackend::Ring { size: 65536 }),
        ("null,logfile=l", logged(false)),
        ("null,logfile=l,logappend=on", logged(true)),
    ] {
        let (serial, _) = characters(&format!("-display none -chardev {text},id=c -serial chardev:c"));
        assert_eq!(serial, expected, "{text}");
    }
}

#[test]
fn a_second_serial_port_is_there_when_it_goes_somewhere() {
    let second = |line: &str| characters(line).1.second_serial;
    assert_eq!(second("-serial null -serial stdio"), Some(stdio(false)));
    assert_eq!(second("-serial null -serial none"), None);
    assert_eq!(second("-nographic"), None);
}

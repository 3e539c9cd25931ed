/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-nic user", "'-nic user' is not supported: there is no network"),
    ("-display gtk", "'-display gtk' is not supported: there is no display"),
    (
        "-nic user,hostfwd=tcp::2222-:22",
        "'-nic user,hostfwd=tcp::2222-:22' is not supported: there is no network",
    ),
    ("-net nic -net user", "'-net nic' is not supported: there is no network"),
    ("-netdev user,id=n", "'-netdev' is not supported: there is no network yet"),
    ("-virtfs local,path=/,mount_tag=t", "'-virtfs' is not supported"),
    ("-fsdev local,id=f,path=/", "'-fsdev' is not supported"),
    ("-uuid 1234", "'1234' given with -uuid is not a UUID"),
    ("-uuid 550e8400e29b41d4a716446655440000", "is not a UUID"),
    (
        "-rtc base=yesterday",
        "'yesterday' is none of utc, localtime, and no date as 2006-06-17T16:01:21 from 1970 on, given as 'base' in -rtc",
    ),
    ("-rtc base=1969-12-31", "'1969-12-31' is none of utc, localtime, and no date"),
    ("-rtc clock=sun", "'clock=sun' in -rtc is none of host, rt, vm"),
    (
        "-action panic=explode",
        "'explode' is none of pause, shutdown, exit-failure, none, given as 'panic' in -action",
    ),
    ("-overcommit cpu-pm=on", "'cpu-pm=on' in -overcommit is not supported"),
    ("-name a,debug-threads=off", "'debug-threads=off' in -name is not supported"),
    ("-daemonize", "-daemonize takes the terminal away, and a serial port or console is on it"),
    ("-icount shift=3", "'-icount' is not supported: guest time follows the host's clock"),
    ("-trace enable=virtio*", "'-trace' is not supported"),
    ("-readconfig x", "'-readconfig' is not supported: options are read from the command line only"),
    ("-qmp x", "'-qmp x' is not supported (there are none, "),
    ("-sandbox on", "'-sandbox on' is not supported: system calls are not filtered"),
];

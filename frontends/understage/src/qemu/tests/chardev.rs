/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    (
        "-chardev null,id=c -device virtconsole,chardev=c",
        "virtconsole needs a virtio-serial device before it",
    ),
    ("-chardev null,id=c", "the character device 'c' is not used by anything"),
    ("-chardev socket,id=c", "'socket' is not supported in -chardev"),
    ("-chardev stdio,id=c,mux=on,signal=on", "either mux=on"),
    ("-serial tcp::1", "'-serial tcp::1' is not supported"),
    ("-serial null", "a second -serial is not supported"),
    ("-monitor stdio", "'-monitor stdio' is not supported: there is no monitor"),
];

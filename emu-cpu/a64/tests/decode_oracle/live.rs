//! Asking a disassembler with the command line and the output of GNU objdump.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Gives, for the index of each word, its mnemonic, with `!` behind it if the tool calls it unpredictable.
pub(crate) fn disassemble(tool: &OsStr, words: &[u32], mut each: impl FnMut(usize, Option<&str>)) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    file.write_all(&bytes).unwrap();
    let mut child = Command::new(tool)
        .args(["-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases"])
        .arg(file.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("A64_OBJDUMP names a program");
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // "  address:\tword \tmnemonic\toperands"
        let mut fields = line.split('\t');
        let Some(address) = fields.next().and_then(|a| a.trim().strip_suffix(':')) else { continue };
        let Ok(address) = usize::from_str_radix(address, 16) else { continue };
        let mnemonic = fields.nth(1).unwrap_or("").trim();
        let marked = format!("{mnemonic}!");
        each(
            address / 4,
            match mnemonic {
                "" | ".inst" | "udf" => None,
                _ if line.contains("unpredictable") => Some(marked.as_str()),
                m => Some(m),
            },
        );
        seen += 1;
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(seen, words.len(), "the disassembler left words out");
}

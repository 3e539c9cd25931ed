//! `x` and `xp`: memory in a format.

use std::fmt::Write;

/// How memory is shown: `/COUNT FORMAT SIZE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Format {
    pub(super) count: u64,
    letter: char,
    pub(super) size: u64,
}

/// The most that one command shows.
const MOST: u64 = 4096;

impl Format {
    /// Reads what follows the slash. What is left out is as in `previous`.
    pub(super) fn read(text: &str, previous: Self) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count = if digits == 0 { Ok(1) } else { text[..digits].parse() };
        let count =
            count.ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(|| format!("a count is 1 to {MOST}"))?;
        let mut format = Self { count, ..previous };
        for letter in text[digits..].chars() {
            match letter {
                'x' | 'd' | 'u' | 'o' | 'c' => format.letter = letter,
                'b' => format.size = 1,
                'h' => format.size = 2,
                'w' => format.size = 4,
                'g' => format.size = 8,
                'i' => {
                    return Err("instructions are not shown in words here: a debugger does that".to_owned());
                }
                _ => {
                    return Err(format!(
                        "'{letter}' is no format (there are x, d, u, o, c and the sizes b, h, w, g)"
                    ));
                }
            }
        }
        if format.letter == 'c' {
            format.size = 1;
        }
        Ok(format)
    }

    /// `bytes`, which were read at `address`.
    pub(super) fn show(self, address: u64, bytes: &[u8]) -> String {
        let per_line = match (self.letter, self.size) {
            ('c', _) => 8,
            (_, 8) => 2,
            (_, 4) => 4,
            _ => 8,
        };
        let mut out = String::new();
        for (n, item) in bytes.chunks_exact(self.size as usize).enumerate() {
            if n % per_line == 0 {
                let at = address.wrapping_add(n as u64 * self.size);
                // Writing to a String does not fail.
                let _ = write!(out, "{}{at:016x}:", if n == 0 { "" } else { "\n" });
            }
            let _ = self.item(&mut out, item);
        }
        out.push('\n');
        out
    }

    fn item(self, out: &mut String, item: &[u8]) -> std::fmt::Result {
        let mut raw = [0; 8];
        raw[..item.len()].copy_from_slice(item);
        let value = u64::from_le_bytes(raw);
        let unused = 64 - 8 * self.size;
        match self.letter {
            'd' => write!(out, " {}", (value << unused) as i64 >> unused),
            'u' => write!(out, " {value}"),
            'o' => write!(out, " 0{value:o}"),
            'c' => write!(out, " '{}'", (value as u8).escape_ascii()),
            _ => write!(out, " 0x{value:0width$x}", width = 2 * self.size as usize),
        }
    }
}

impl Default for Format {
    fn default() -> Self {
        Self { count: 1, letter: 'x', size: 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let show = |text: &str, bytes: &[u8]| {
            Format::read(text, Format::default()).unwrap().show(0x4000_0000, bytes)
        };
        assert_eq!(
            show("2x", &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            "0000000040000000: 0x00000001 0xffffffff\n"
        );
        assert_eq!(show("dh", &[0xfe, 0xff]), "0000000040000000: -2\n");
        assert_eq!(show("ug", &[0xff; 8]), "0000000040000000: 18446744073709551615\n");
        assert_eq!(show("3c", b"a\n'"), "0000000040000000: 'a' '\\n' '\\''\n");
        assert_eq!(
            show("9xb", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            "0000000040000000: 0x01 0x02 0x03 0x04 0x05 0x06 0x07 0x08\n0000000040000008: 0x09\n"
        );
        for bad in ["0x", "99999x", "y", "i"] {
            assert!(Format::read(bad, Format::default()).is_err(), "{bad}");
        }
    }
}

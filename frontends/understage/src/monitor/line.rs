//! Editing a line: enough for a terminal, and harmless for a program that types.

/// Bytes of a line at most.
const LONGEST: usize = 4096;
/// Lines that are remembered.
const REMEMBERED: usize = 100;

/// What came of a byte.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Typed {
    /// What the terminal shows.
    pub(super) echo: String,
    /// A line that is complete.
    pub(super) line: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Keys {
    #[default]
    Plain,
    Escape,
    /// Behind `ESC [`.
    Bracket,
}

/// The line that is being typed, and those before it.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    keys: Keys,
    /// Bytes of a character that is not complete.
    partial: Vec<u8>,
    history: Vec<String>,
    /// Which line of the history is shown, counted from its end; 0 for none.
    back: usize,
    /// The last byte was a carriage return: a line feed belongs to it.
    returned: bool,
}

impl Line {
    /// One byte from the keyboard.
    pub(super) fn feed(&mut self, byte: u8) -> Typed {
        let returned = std::mem::replace(&mut self.returned, byte == b'\r');
        match (self.keys, byte) {
            (Keys::Escape, b'[' | b'O') => {
                self.keys = Keys::Bracket;
                Typed::default()
            }
            (Keys::Escape, _) => self.plain(),
            (Keys::Bracket, b'0'..=b'9' | b';') => Typed::default(),
            (Keys::Bracket, b'A') => self.recall(self.back + 1),
            (Keys::Bracket, b'B') => self.recall(self.back.saturating_sub(1)),
            (Keys::Bracket, _) => self.plain(),
            (Keys::Plain, 0x1b) => {
                self.keys = Keys::Escape;
                Typed::default()
            }
            (Keys::Plain, b'\n') if returned => Typed::default(),
            (Keys::Plain, b'\r' | b'\n') => self.finish(),
            // Backspace, delete.
            (Keys::Plain, 8 | 127) => match self.text.pop() {
                Some(_) => shown("\x08 \x08".to_owned()),
                None => Typed::default(),
            },
            // Ctrl-U and Ctrl-C take the whole line back.
            (Keys::Plain, 0x15 | 3) => self.replace(String::new()),
            (Keys::Plain, b'\t') => self.text(b' '),
            (Keys::Plain, 0..32) => Typed::default(),
            (Keys::Plain, _) => self.text(byte),
        }
    }

    fn plain(&mut self) -> Typed {
        self.keys = Keys::Plain;
        Typed::default()
    }

    fn text(&mut self, byte: u8) -> Typed {
        self.partial.push(byte);
        let text = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.to_owned(),
            Err(e) if e.error_len().is_none() => return Typed::default(),
            Err(_) => String::new(),
        };
        self.partial.clear();
        if self.text.len() + text.len() > LONGEST {
            return Typed::default();
        }
        self.text.push_str(&text);
        shown(text)
    }

    fn finish(&mut self) -> Typed {
        let line = std::mem::take(&mut self.text);
        self.back = 0;
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
            let over = self.history.len().saturating_sub(REMEMBERED);
            self.history.drain(..over);
        }
        Typed { echo: "\r\n".to_owned(), line: Some(line) }
    }

    fn recall(&mut self, back: usize) -> Typed {
        self.keys = Keys::Plain;
        let Some(at) = self.history.len().checked_sub(back) else { return Typed::default() };
        self.back = back;
        let line = self.history.get(at).cloned().unwrap_or_default();
        self.replace(line)
    }

    fn replace(&mut self, line: String) -> Typed {
        let gone = self.text.chars().count();
        let echo = format!("{}{line}", "\x08 \x08".repeat(gone));
        self.text = line;
        shown(echo)
    }
}

fn shown(echo: String) -> Typed {
    Typed { echo, line: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(line: &mut Line, bytes: &[u8]) -> Vec<String> {
        bytes.iter().filter_map(|b| line.feed(*b).line).collect()
    }

    #[test]
    fn lines_end_in_every_way() {
        assert_eq!(lines(&mut Line::default(), b"a\rb\nc\r\n\r\n"), ["a", "b", "c", ""]);
    }

    #[test]
    fn keys() {
        let mut line = Line::default();
        assert_eq!(lines(&mut line, b"infp\x7fo\tx\x15info status\r"), ["info status"]);
        assert_eq!(lines(&mut line, b"quit\x03help\r"), ["help"]);
        assert_eq!(
            lines(&mut line, b"\x1b[A\r\x1b[A\x1b[A\r\x1b[A\x1b[A\x1b[B\r"),
            ["help", "info status", "info status"]
        );
        assert_eq!(lines(&mut line, b"\x1b[1;5Dx\r"), ["x"]);
        assert_eq!(lines(&mut line, "grün\x7fn\r".as_bytes()), ["grün"]);
        assert_eq!(lines(&mut line, b"\xff\xfea\r"), ["a"]);
    }

    #[test]
    fn what_is_shown() {
        let mut line = Line::default();
        let mut shown = String::new();
        for byte in b"ab\x7fc\r" {
            shown.push_str(&line.feed(*byte).echo);
        }
        assert_eq!(shown, "ab\x08 \x08c\r\n");
    }

    #[test]
    fn a_line_has_an_end() {
        let mut line = Line::default();
        assert_eq!(lines(&mut line, &[b'x'; 100_000]), Vec::<String>::new());
        assert_eq!(lines(&mut line, b"\r")[0].len(), LONGEST);
    }
}

//! Objects out of a stream of bytes. Nothing is between them but white space.

/// Bytes of an object at most.
const LONGEST: usize = 1 << 20;
/// Objects and arrays in each other at most.
const DEEPEST: u32 = 100;

/// See the module's head.
#[derive(Default)]
pub(super) struct Objects {
    text: Vec<u8>,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// What is wrong with the object that is being read: it is dropped.
    wrong: Option<&'static str>,
}

impl Objects {
    /// One byte; the text of an object that it ends, or what is wrong with it.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Result<String, &'static str>> {
        if self.text.is_empty() && self.wrong.is_none() && self.depth == 0 {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => return None,
                b'{' => {}
                _ => self.wrong = Some("JSON parse error, an object is expected"),
            }
        }
        if self.text.len() == LONGEST {
            self.wrong.get_or_insert("JSON parse error, the object is too long");
        } else if self.wrong.is_none() {
            self.text.push(byte);
        }
        self.nest(byte);
        // What is wrong ends with the line, if not before.
        let ends = self.depth == 0 && !self.in_string && matches!(byte, b'}' | b']') && !self.text.is_empty();
        (ends || self.wrong.is_some() && byte == b'\n').then(|| self.end())
    }

    fn nest(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string ^= true,
            _ if self.in_string => {}
            b'{' | b'[' if self.depth == DEEPEST => {
                self.wrong.get_or_insert("JSON parse error, it is nested too deeply");
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    fn end(&mut self) -> Result<String, &'static str> {
        let Self { text, wrong, .. } = std::mem::take(self);
        match wrong {
            Some(why) => Err(why),
            None => String::from_utf8(text).map_err(|_| "JSON parse error, it is not UTF-8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(objects: &mut Objects, text: &[u8]) -> Vec<Result<String, &'static str>> {
        text.iter().filter_map(|byte| objects.feed(*byte)).collect()
    }

    #[test]
    fn objects_end_with_their_last_brace() {
        let mut objects = Objects::default();
        let whole = |text: &str| Ok(text.to_owned());
        assert_eq!(
            feed(&mut objects, b" {\"a\": [{}, 1]}{}\r\n{\"b\": "),
            [whole("{\"a\": [{}, 1]}"), whole("{}")]
        );
        assert_eq!(feed(&mut objects, b"\"}\\\"{\"}"), [whole("{\"b\": \"}\\\"{\"}")]);
    }

    #[test]
    fn what_is_wrong_is_over_with_its_line() {
        let mut objects = Objects::default();
        assert_eq!(feed(&mut objects, b"nonsense {\n"), [Err("JSON parse error, an object is expected")]);
        let deep = [vec![b'{'; 5000], b"\n".to_vec()].concat();
        assert_eq!(feed(&mut objects, &deep), [Err("JSON parse error, it is nested too deeply")]);
        let long = [b"{\"a\": \"".to_vec(), vec![b'x'; LONGEST], b"\"}".to_vec(), b"\n".to_vec()].concat();
        assert_eq!(feed(&mut objects, &long), [Err("JSON parse error, the object is too long")]);
        assert_eq!(feed(&mut objects, b"{\xff}"), [Err("JSON parse error, it is not UTF-8")]);
        assert_eq!(feed(&mut objects, b"{}"), [Ok("{}".to_owned())]);
    }
}

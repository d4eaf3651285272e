//! JSON-RPC 1.0 on a byte stream: where a message ends, what a request says, how an answer is written.
//!
//! Messages are JSON objects one after another, with or without white space between them. [`Framer`] finds the ends
//! by counting brackets outside strings, so that every byte is looked at once however the stream is cut, and gives
//! whole messages to serde. What it lets through is bounded in bytes and in nesting; a request is read into exactly
//! the strings it carries, so that a hostile message cannot cost much more memory than it has bytes.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most bytes of one message.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Deepest nesting of brackets in a message.
pub const MAX_DEPTH: usize = 32;
/// Most parameters of one request.
pub const MAX_PARAMS: usize = 1 << 16;

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than allowed.
    #[error("a message may have at most {0} bytes; send the flows in several messages")]
    TooLong(usize),
    /// Nested deeper than allowed.
    #[error("a message may nest at most {MAX_DEPTH} brackets")]
    TooDeep,
    /// Does not begin like an object.
    #[error("a message must be a JSON object and begin with '{{', not with byte 0x{0:02x}")]
    NotAnObject(u8),
    /// Not JSON, or not a request.
    #[error("not a JSON-RPC 1.0 request {{\"id\":…,\"method\":\"…\",\"params\":[…]}}: {0}")]
    NotARequest(String),
}

/// Cuts a stream of bytes into requests.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the message under way begins; what is before it has been handed out.
    start: usize,
    /// How far the buffer has been scanned.
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    max_message: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MAX_MESSAGE)
    }
}

impl Framer {
    /// A framer that refuses messages of more bytes than that.
    pub fn new(max_message: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            max_message,
        }
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun and not ended.
    pub fn is_partial(&self) -> bool {
        self.depth > 0
    }

    /// The next whole request, none if more bytes are needed. After an error the stream is of no further use.
    pub fn next_request(&mut self) -> Option<Result<Request, FrameError>> {
        while let Some(byte) = self.buffer.get(self.scanned).copied() {
            self.scanned += 1;
            match self.scan(byte) {
                Err(error) => return Some(Err(error)),
                Ok(false) => {}
                Ok(true) => {
                    let message = self.buffer.get(self.start..self.scanned).unwrap_or_default();
                    let request = serde_json::from_slice(message)
                        .map_err(|error| FrameError::NotARequest(error.to_string()));
                    self.start = self.scanned;
                    return Some(request);
                }
            }
        }
        None
    }

    /// Looks at one byte and says whether a message ends with it.
    fn scan(&mut self, byte: u8) -> Result<bool, FrameError> {
        if self.depth == 0 {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.start = self.scanned,
                b'{' => self.depth = 1,
                _ => return Err(FrameError::NotAnObject(byte)),
            }
            return Ok(false);
        }
        if self.scanned - self.start > self.max_message {
            return Err(FrameError::TooLong(self.max_message));
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' if self.depth == MAX_DEPTH => return Err(FrameError::TooDeep),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(self.depth == 0)
    }
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Comes back with the answer; a request without one is a notification and gets none.
    pub id: Id,
    /// Name of the command.
    pub method: String,
    /// Its parameters.
    pub params: Vec<Param>,
}

/// Identifier of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Id {
    /// Usual.
    Number(serde_json::Number),
    /// Of clients such as `ovsdb-client`.
    Text(String),
    /// Of notifications.
    None,
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a string as the id")
            }
            fn visit_str<E>(self, text: &str) -> Result<Id, E> {
                Ok(Id::Text(text.to_owned()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Id, E> {
                Ok(Id::Number(number.into()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Id, E> {
                Ok(Id::Number(number.into()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Id, E> {
                Ok(serde_json::Number::from_f64(number).map_or(Id::None, Id::Number))
            }
            fn visit_unit<E>(self) -> Result<Id, E> {
                Ok(Id::None)
            }
        }
        input.deserialize_any(Read)
    }
}

/// A parameter of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// All that commands take.
    Text(String),
    /// Anything else, of which nothing is kept.
    Other,
}

impl<'de> Deserialize<'de> for Param {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Param;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<Param, E> {
                Ok(Param::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Param, E> {
                Ok(Param::Text(text))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Param, E> {
                Ok(Param::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Param, E> {
                Ok(Param::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Param, E> {
                Ok(Param::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Param, E> {
                Ok(Param::Other)
            }
            fn visit_unit<E>(self) -> Result<Param, E> {
                Ok(Param::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Param, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Param::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Param, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Param::Other)
            }
        }
        input.deserialize_any(Read)
    }
}

/// The parameters, no more than [`MAX_PARAMS`].
struct Params(Vec<Param>);

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Params;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Params, A::Error> {
                let mut params = Vec::new();
                while let Some(param) = seq.next_element()? {
                    if params.len() == MAX_PARAMS {
                        return Err(de::Error::custom(format_args!("more than {MAX_PARAMS} parameters")));
                    }
                    params.push(param);
                }
                Ok(Params(params))
            }
        }
        input.deserialize_seq(Read)
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            #[serde(default = "no_id")]
            id: Id,
            method: String,
            params: Params,
        }
        fn no_id() -> Id {
            Id::None
        }
        Wire::deserialize(input).map(|wire| Self { id: wire.id, method: wire.method, params: wire.params.0 })
    }
}

/// The bytes of an answer that succeeded, its result given in JSON.
pub fn success(id: &Id, result: &str) -> Vec<u8> {
    write(id, result, "null")
}

/// The bytes of an answer that failed.
pub fn failure(id: &Id, sentence: &str) -> Vec<u8> {
    write(id, "null", &serde_json::Value::from(sentence).to_string())
}

fn write(id: &Id, result: &str, error: &str) -> Vec<u8> {
    let id = match id {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Id::None => "null".to_owned(),
    };
    format!(r#"{{"id":{id},"result":{result},"error":{error}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(framer: &mut Framer, pieces: &[&[u8]]) -> Vec<Result<Request, FrameError>> {
        let mut out = Vec::new();
        for piece in pieces {
            framer.push(piece);
            while let Some(request) = framer.next_request() {
                let stop = request.is_err();
                out.push(request);
                if stop {
                    return out;
                }
            }
        }
        out
    }

    fn whole(text: &str) -> Vec<Result<Request, FrameError>> {
        all(&mut Framer::default(), &[text.as_bytes()])
    }

    #[test]
    fn a_request_is_read() {
        let got = whole(r#" {"id":7,"method":"port\/add","params":["p}\"{","type=memory"]}"#);
        let want = Request {
            id: Id::Number(7.into()),
            method: "port/add".to_owned(),
            params: vec![Param::Text("p}\"{".to_owned()), Param::Text("type=memory".to_owned())],
        };
        assert_eq!(got, [Ok(want)]);
    }

    #[test]
    fn ids_and_strange_parameters() {
        let got = whole(
            r#"{"id":null,"method":"a","params":[1,-1,1.5,true,null,[2,[3]],{"x":{}},"s"]}{"method":"b","params":[]}{"params":[],"method":"c","id":"echo"}"#,
        );
        let ids: Vec<Id> = got.iter().map(|request| request.as_ref().unwrap().id.clone()).collect();
        assert_eq!(ids, [Id::None, Id::None, Id::Text("echo".to_owned())]);
        let params = &got[0].as_ref().unwrap().params;
        assert_eq!(params.len(), 8);
        assert_eq!(params[..7], vec![Param::Other; 7]);
        assert_eq!(params[7], Param::Text("s".to_owned()));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bad in [
            r#"{"id":1,"method":"a"}"#,
            r#"{"id":1,"params":[]}"#,
            r#"{"id":1,"method":"a","params":{}}"#,
            r#"{"id":1,"method":"a","params":"x"}"#,
            r#"{"id":[1],"method":"a","params":[]}"#,
            r#"{"id":1,"method":3,"params":[]}"#,
            r#"{"id":1,"result":"","error":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#,
            r#"{]"#,
            r#"{"id":1,"method":"a","params":[],}"#,
            "{\"id\":1,\"method\":\"a\nb\",\"params\":[]}",
        ] {
            assert!(matches!(whole(bad)[..], [Err(FrameError::NotARequest(_))]), "{bad}");
        }
        assert_eq!(whole("[]"), [Err(FrameError::NotAnObject(b'['))]);
        assert_eq!(whole("hello"), [Err(FrameError::NotAnObject(b'h'))]);
        assert_eq!(
            all(&mut Framer::default(), &[b"{\"method\":\"\xff\",\"params\":[]}"]).len(),
            1,
            "bytes that are not UTF-8 are refused"
        );
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("{{\"params\":{}", "[".repeat(MAX_DEPTH));
        assert_eq!(whole(&deep), [Err(FrameError::TooDeep)]);
        let in_a_string = format!(r#"{{"id":1,"method":"a","params":["{}"]}}"#, "[{".repeat(1000));
        assert!(matches!(whole(&in_a_string)[..], [Ok(_)]));

        let message = r#"{"id":1,"method":"a","params":[]}"#;
        let mut exact = Framer::new(message.len());
        assert!(matches!(all(&mut exact, &[message.as_bytes(), message.as_bytes()])[..], [Ok(_), Ok(_)]));
        let mut short = Framer::new(message.len() - 1);
        assert!(matches!(all(&mut short, &[message.as_bytes()])[..], [Err(FrameError::TooLong(_))]));

        let many = format!(r#"{{"id":1,"method":"a","params":[{}""]}}"#, "\"\",".repeat(MAX_PARAMS));
        assert!(matches!(whole(&many)[..], [Err(FrameError::NotARequest(_))]));
    }

    #[test]
    fn a_long_message_in_small_pieces_is_scanned_once() {
        let text = format!(r#"{{"id":1,"method":"a","params":["{}"]}}"#, "x".repeat(4 << 20));
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(100).collect();
        let before = std::time::Instant::now();
        assert!(matches!(all(&mut Framer::default(), &pieces)[..], [Ok(_)]));
        assert!(before.elapsed().as_secs() < 10, "reading must be linear in the bytes");
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let request =
            ("[a-z/\"\\\\{}\\[\\]é]{0,8}", prop::collection::vec(".{0,6}", 0..4), any::<Option<u32>>());
        let piece = prop_oneof![
            8 => request.prop_map(|(method, params, id)| {
                serde_json::to_vec(&serde_json::json!({"id": id, "method": method, "params": params})).unwrap()
            }),
            2 => "[ \t\r\n]{1,3}".prop_map(String::into_bytes),
            1 => prop::collection::vec(prop::sample::select(b"{}[]\"\\x1, ".to_vec()), 0..12),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_of_a_stream_gives_the_same_requests(
            bytes in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            let mut at = 0;
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut - at);
                pieces.push(piece);
                rest = behind;
                at = cut;
            }
            pieces.push(rest);
            let (mut one, mut many) = (Framer::default(), Framer::default());
            prop_assert_eq!(all(&mut one, &[&bytes]), all(&mut many, &pieces));
            prop_assert_eq!(one.is_partial(), many.is_partial());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            all(&mut Framer::default(), &[&bytes]);
        }
    }
}

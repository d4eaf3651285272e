//! The control socket without `millrace` in front of it, for changes that come fast.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

/// A connection to a control socket.
pub struct Rpc {
    stream: UnixStream,
    buffer: Vec<u8>,
    next: u64,
}

impl Rpc {
    /// Connects.
    pub fn connect(socket: &str) -> Self {
        let stream =
            UnixStream::connect(socket).unwrap_or_else(|error| panic!("cannot connect to {socket}: {error}"));
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set a limit");
        Self { stream, buffer: Vec::new(), next: 0 }
    }

    /// Calls a method and waits for its answer, which must not be an error.
    pub fn call(&mut self, method: &str, params: &[&str]) -> String {
        self.next += 1;
        let request = json!({ "id": self.next, "method": method, "params": params });
        self.stream.write_all(request.to_string().as_bytes()).expect("write to the control socket");
        let answer = self.answer();
        assert_eq!(answer["id"], self.next, "the answer is to another request: {answer}");
        assert!(answer["error"].is_null(), "{method} {params:?}: {}", answer["error"]);
        answer["result"].as_str().unwrap_or_default().to_owned()
    }

    fn answer(&mut self) -> Value {
        let mut chunk = [0; 4096];
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<Value>();
            if let Some(Ok(value)) = values.next() {
                let used = values.byte_offset();
                self.buffer.drain(..used);
                return value;
            }
            let length = self.stream.read(&mut chunk).expect("read an answer within ten seconds");
            assert!(length > 0, "the switch closed the connection");
            self.buffer.extend(&chunk[..length]);
        }
    }
}

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use rstest::rstest;
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A listener that gives one connection to `serve`.
struct Server {
    folder: TempDir,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(serve: impl FnOnce(UnixStream) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s.ctl")).unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            serve(stream);
        });
        Self { folder, thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s.ctl")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Lets a server that nobody called end too.
        let _ = UnixStream::connect(self.path());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// One request off the stream.
fn request(stream: &UnixStream) -> Value {
    serde_json::Deserializer::from_reader(stream).into_iter().next().unwrap().unwrap()
}

fn call_of(server: &Server, timeout: Duration) -> Result<String, ClientError> {
    Client::connect(server.path(), timeout)?.call("show", &["a", "b"])
}

#[test]
fn calls_one_after_the_other() {
    let server = Server::start(|mut stream| {
        assert_eq!(
            request(&stream),
            serde_json::json!({ "id": 1, "method": "show", "params": ["a", "ü\n"] })
        );
        // In pieces, and with a blank before the next answer.
        for piece in [r#"{"id":1,"result":"o"#, r#"ne\n","error":nu"#, "ll}\n"] {
            stream.write_all(piece.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(request(&stream), serde_json::json!({ "id": 2, "method": "drops", "params": [] }));
        stream.write_all(br#"{"id":2,"result":null,"error":"no\n  ^ here\n"}"#).unwrap();
        assert_eq!(request(&stream), serde_json::json!({ "id": 3, "method": "stats", "params": [] }));
        stream.write_all(br#"{"id":3,"result":null,"error":null}"#).unwrap();
    });
    let mut client = Client::connect(server.path(), PATIENCE).unwrap();
    assert_eq!(client.call("show", &["a", "ü\n"]).unwrap(), "one\n");
    assert_eq!(client.call::<&str>("drops", &[]).unwrap_err().to_string(), "no\n  ^ here");
    assert_eq!(client.call::<&str>("stats", &[]).unwrap(), "");
}

#[rstest]
#[case("", "ended the connection before it answered (end of stream); its log says why")]
#[case(r#"{"id":1,"res"#, "ended the connection before it answered (half an answer); its log says why")]
#[case(
    "HTTP/1.1 400 Bad Request",
    "does not speak as millraced does: expected value at line 1 column 1; name another socket with `-t`"
)]
#[case(
    r#"{"id":7,"result":"x","error":null}"#,
    "does not speak as millraced does: it answers request 7 where 1 was asked; name another socket with `-t`"
)]
fn says_what_came_instead_of_an_answer(#[case] answer: &'static str, #[case] sentence: &str) {
    let server = Server::start(move |mut stream| {
        request(&stream);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let error = call_of(&server, PATIENCE).unwrap_err().to_string();
    assert!(error.ends_with(sentence), "{error}");
    assert!(error.contains(&server.path().display().to_string()), "{error}");
}

#[test]
fn takes_the_refusal_of_a_request_that_was_not_read_to_its_end() {
    let server = Server::start(|mut stream| {
        stream.write_all(br#"{"id":1,"result":null,"error":"too long"}"#).unwrap();
        stream.shutdown(std::net::Shutdown::Read).unwrap();
    });
    let mut client = Client::connect(server.path(), PATIENCE).unwrap();
    let long = "x".repeat(8 << 20);
    assert!(matches!(client.call("show", &[long]), Err(ClientError::Refused(said)) if said == "too long"));
}

#[rstest]
#[case::silent(false)]
#[case::a_byte_at_a_time(true)]
fn waits_no_longer_than_the_timeout(#[case] dribble: bool) {
    let server = Server::start(move |mut stream| {
        request(&stream);
        if dribble {
            // Each byte comes well within the timeout; the answer never ends.
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        } else {
            // Until the client hangs up.
            let _ = stream.read(&mut [0; 16]);
        }
    });
    let start = Instant::now();
    let error = call_of(&server, Duration::from_millis(200)).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("did not answer within 0.2 s"), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn a_switch_that_never_reads_is_given_up() {
    let server = Server::start(|mut stream| {
        // Reads nothing until the client is gone: then the write fails.
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let mut client = Client::connect(server.path(), Duration::from_millis(200)).unwrap();
    let error = client.call("show", &["x".repeat(8 << 20)]).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
}

#[test]
fn a_queue_that_is_full_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ctl");
    // The standard library's listener has a queue of thousands.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _entered = runtime.enter();
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    let _listener = socket.listen(1).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match Client::connect(&path, Duration::from_millis(200)) {
            Ok(client) => held.push(client),
            Err(error) => break error,
        }
        assert!(held.len() < 10);
    };
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
}

#[test]
fn a_request_that_is_too_long_is_not_sent() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.path(), PATIENCE).unwrap();
    let error = client.call("show", &["x".repeat(MAX_REQUEST)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the request has 16777254 bytes and the switch takes 16777216; split it, and know that each part is a change \
         of its own"
    );
}

#[test]
fn a_stream_ends_at_its_bound() {
    let (one, mut other) = UnixStream::pair().unwrap();
    other.write_all(b"12345").unwrap();
    let mut bounded = Bounded::new(one);
    bounded.start(Some(Instant::now() + PATIENCE), 3);
    let mut text = String::new();
    let error = bounded.read_to_string(&mut text).unwrap_err();
    assert_eq!((text.as_str(), error.kind()), ("123", io::ErrorKind::FileTooLarge));
}

#[test]
fn says_that_nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ctl");
    let absent = Client::connect(&path, PATIENCE).unwrap_err().to_string();
    let mend = "is it running? start it with `millraced --config FILE`, or name its socket with `-t`";
    let at = format!("cannot reach millraced at {}", path.display());
    assert_eq!(absent, format!("{at}: there is no such socket; {mend}"));
    drop(UnixListener::bind(&path).unwrap());
    let dead = Client::connect(&path, PATIENCE).unwrap_err().to_string();
    assert_eq!(dead, format!("{at}: nobody listens there; {mend}"));
}

#[test]
fn says_who_may_connect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ctl");
    let _listener = UnixListener::bind(&path).unwrap();
    let denied = |mode: u32| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        not_connected(path.clone(), &io::ErrorKind::PermissionDenied.into()).to_string()
    };
    let at = format!("cannot reach millraced at {}: permission denied", path.display());
    assert_eq!(
        denied(0o600),
        format!(
            "{at}; only the user that millraced runs as may connect: use sudo, or set `control.mode` to \"0660\""
        )
    );
    let group = denied(0o660);
    let gid = fs::metadata(&path).unwrap().gid();
    match group_name(gid) {
        Some(name) => assert_eq!(
            group,
            format!(
                "{at}; group \"{name}\" may connect: join it with `usermod -aG {name} USER` and log in again, or use sudo"
            )
        ),
        None => {
            assert_eq!(group, format!("{at}; the group with number {gid} may connect: join it, or use sudo"));
        }
    }
    assert_eq!(group_name(0).as_deref(), Some("root"));
    assert_eq!(
        not_connected(folder.path().join("hidden"), &io::ErrorKind::PermissionDenied.into()).to_string(),
        format!(
            "cannot reach millraced at {}: permission denied; its folder is closed to this user: use sudo, or open \
             the folder to the socket's group",
            folder.path().join("hidden").display()
        )
    );
}

//! The command that talks to a running switch; all of it is `millrace::cli`.

use std::io::{stderr, stdin, stdout};
use std::process::ExitCode;

use millrace::cli::{SOCKET_VARIABLE, Streams, run};

fn main() -> ExitCode {
    let mut streams = Streams { input: &mut stdin(), output: &mut stdout(), errors: &mut stderr() };
    ExitCode::from(run(std::env::args_os(), std::env::var_os(SOCKET_VARIABLE), &mut streams))
}

//! A daemon as a process of its own, which can be killed as a power cut would.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub struct Process {
    child: Child,
    /// What it logs.
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// `binary --config config`.
    pub fn start(binary: &str, config: &Path) -> Self {
        Self::start_with(binary, config, &[])
    }

    /// `binary --config config arguments`.
    pub fn start_with(binary: &str, config: &Path, arguments: &[&OsStr]) -> Self {
        let mut child = Command::new(binary)
            .arg("--config")
            .arg(config)
            .args(arguments)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// What follows `words` in the first log line that has them, up to the next blank.
    pub fn says(&mut self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line);
                    let line = &self.seen[self.seen.len() - 1];
                    if let Some((_, rest)) = line.split_once(words) {
                        return rest.split_whitespace().next().unwrap_or_default().to_string();
                    }
                }
                Err(_) => panic!("it never said {words:?}, but:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// SIGTERM: it is asked to end.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end, which must come by itself.
    pub fn ends(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// SIGKILL: it gets to do nothing more.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed already, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

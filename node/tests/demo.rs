//! The demo as a process: it says at once what is wrong with its options, and whoever stops it finds nothing left.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A demo that can't come to its result: its runtime is not there.
fn demo(temporary: &Path, options: &[&str]) -> Child {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Command::new(env!("CARGO_BIN_EXE_labmand"))
        .args(["demo", "--gateway-port", "0", "--providers", "1"])
        .args(["--runtime-url", &format!("http://{nowhere}/v1")])
        .args(options)
        .env("TMPDIR", temporary)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// Sends it the signal as soon as it has a directory.
fn stopped_early(temporary: &Path, signal: &str, options: &[&str]) -> Output {
    let child = demo(temporary, options);
    until("the temporary directory", || entries(temporary) > 0);
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}

#[test]
fn a_demo_that_is_stopped_before_its_result_fails_and_leaves_no_directory() {
    for (signal, option) in [("-INT", "--once"), ("-TERM", "--json"), ("-HUP", "--once")] {
        let temporary = tempfile::tempdir().unwrap();
        let ended = stopped_early(temporary.path(), signal, &[option]);
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{signal}: {told}");
        assert!(told.contains("stopped before the request was answered"), "{signal}: {told}");
        assert_eq!(entries(temporary.path()), 0, "{signal}");
        if option == "--json" {
            assert!(ended.stdout.is_empty());
        }
    }
}

#[test]
fn a_demo_that_was_to_stay_up_may_be_stopped_at_any_time() {
    for signal in ["-INT", "-HUP"] {
        let temporary = tempfile::tempdir().unwrap();
        let ended = stopped_early(temporary.path(), signal, &[]);
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(entries(temporary.path()), 0, "{signal}");
    }
}

fn refused(options: &[&str]) -> String {
    let labmand = Command::new(env!("CARGO_BIN_EXE_labmand")).arg("demo").args(options).output().unwrap();
    assert!(!labmand.status.success());
    String::from_utf8_lossy(&labmand.stderr).into_owned()
}

#[test]
fn a_runtime_s_url_is_checked_before_anything_starts() {
    let told = refused(&["--runtime-url", "https://api.example/v1"]);
    assert!(told.contains("--runtime-url") && told.contains("local proxy"), "{told}");
    for url in ["127.0.0.1:11434", "http://", "ftp://runtime/v1"] {
        let told = refused(&["--runtime-url", url]);
        assert!(told.contains("http://127.0.0.1:11434/v1"), "{url}: {told}");
    }
}

#[test]
fn a_directory_that_can_t_be_used_is_told_with_its_option() {
    let told = refused(&["--gateway-port", "0", "--data-dir", "/dev/null/demo"]);
    assert!(told.contains("/dev/null/demo") && told.contains("--data-dir"), "{told}");
    assert!(!told.contains("data_dir"), "{told}");
}

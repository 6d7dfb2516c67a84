//! Commands in a pipe: `labman-fep ledger --json | grep -q balanced` closes it before all is said.

use std::process::{Command, Stdio};

#[test]
fn whoever_closes_the_pipe_has_read_enough() {
    let at = tempfile::tempdir().unwrap();
    let fep = |arguments: &[&str], out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labman-fep"));
        command.args(arguments).current_dir(at.path()).stdout(out).output().unwrap()
    };
    assert!(fep(&["init", "--listen", "127.0.0.1:0"], Stdio::null()).status.success());
    for asked in [&["id"][..], &["ledger", "--json"], &["ledger"]] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let asked = [asked, &["--config", "fep.toml"]].concat();
        let out = fep(&asked, write.into());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && !said.contains("panicked"), "{asked:?}: {said}");
    }
}

//! Every file of `fuzz/corpus`, through the body of its target: what a fuzzer once found stays found, without one.

use std::fs;
use std::path::Path;

use labman_fuzz_bodies::TARGETS;

#[test]
fn no_file_of_the_corpus_breaks_a_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (name, body) in TARGETS {
        let folder = corpus.join(name);
        let files = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} is empty: run .ci/fuzz.sh once", folder.display());
        for path in paths {
            // Seen where it panics.
            println!("{}", path.display());
            body(&fs::read(&path).expect("it can be read"));
        }
    }
}

#[test]
fn every_target_has_a_binary_and_every_binary_a_target() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz_targets");
    let files = fs::read_dir(targets).expect("the targets");
    let mut files: Vec<String> =
        files.map(|file| file.expect("a file").file_name().to_string_lossy().replace(".rs", "")).collect();
    files.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(files, names);
}

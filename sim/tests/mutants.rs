//! The registry of deliberate defects is sound, and nothing of it is in a normal build.

use std::collections::BTreeSet;

use labman_proto_core::mutants::Mutant;

#[test]
fn every_mutant_has_a_name_of_its_own_and_none_is_on() {
    let names: BTreeSet<&str> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
    assert_eq!(names.len(), Mutant::ALL.len());
    assert!(Mutant::ALL.len() >= 14);
    for mutant in Mutant::ALL {
        let (name, about) = (mutant.name(), mutant.about());
        assert_eq!(Mutant::named(name), Some(*mutant));
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{name} is not kebab-case"
        );
        assert!(!about.is_empty() && about.trim() == about && !about.ends_with('.'), "{name}: {about:?}");
    }
    assert_eq!(Mutant::named("none-of-them"), None);
    assert_eq!(Mutant::active(), None);
}

#[cfg(labman_mutants)]
#[test]
fn one_mutant_is_on_at_a_time() {
    use std::process::Command;

    // The switch is the process's: other tests of this one must not see it moved.
    let hunt = |mutant: &str| {
        let seeds = ["mutants", "--seeds", "0", "--mutant", mutant];
        Command::new(env!("CARGO_BIN_EXE_labman-sim")).args(seeds).output().expect("it runs").status.code()
    };
    assert_eq!(hunt("chunk-twice"), Some(1), "no seed, no find");
    assert_eq!(hunt("none-of-them"), Some(2));
}

//! Pages of made-up studies, to be looked at: `cargo run -p labman-sim --example made_up_page -- FOLDER`.

#[path = "../tests/page/made_up.rs"]
mod made_up;

use std::error::Error;
use std::path::PathBuf;

use labman_sim::page::render;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("say where the pages go")?);
    std::fs::create_dir_all(&folder)?;
    let studies = [
        ("alone", made_up::alone()),
        ("fees", made_up::fees()),
        ("map", made_up::map()),
        ("latin", made_up::latin()),
    ];
    for (name, study) in studies {
        let file = folder.join(format!("{name}.html"));
        std::fs::write(&file, render(&study))?;
        println!("{}", file.display());
    }
    Ok(())
}

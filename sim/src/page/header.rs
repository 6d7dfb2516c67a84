//! The comment that a scenario's file begins with: what is asked, supposed and expected.

/// A paragraph, with the word before its colon if it is one of those that scenarios use.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Paragraph {
    pub title: Option<String>,
    pub text: String,
    /// Lines that were set off, such as commands: shown as they are.
    pub verbatim: bool,
    /// It stands behind one with a title, and has none itself: how to run the scenario.
    pub aside: bool,
}

const TITLES: [&str; 6] = ["Question", "Assumptions", "Expected", "Source", "Sources", "Deviations"];

/// Of the first comment of a file. A paragraph ends at an empty line, at a line that is set off by four spaces, and before
/// a line that begins with one of the titles.
pub(super) fn paragraphs(text: &str) -> Vec<Paragraph> {
    let comment =
        text.lines().skip_while(|line| line.trim().is_empty()).map_while(|line| line.strip_prefix('#'));
    let mut found: Vec<Paragraph> = Vec::new();
    let mut open = false;
    for line in comment {
        let verbatim = line.starts_with("     ");
        let line = line.trim();
        if line.is_empty() {
            open = false;
            continue;
        }
        let title = (!verbatim).then(|| title(line)).flatten();
        match found.last_mut() {
            Some(last) if open && title.is_none() && last.verbatim == verbatim => {
                last.text.push(if verbatim { '\n' } else { ' ' });
                last.text.push_str(line);
            }
            _ => {
                let (title, text) =
                    title.map_or((None, line), |(title, text)| (Some(title.to_owned()), text));
                let aside = title.is_none() && found.iter().any(|before| before.title.is_some());
                found.push(Paragraph { title, text: text.into(), verbatim, aside });
                open = true;
            }
        }
    }
    found
}

/// `Expected, for many providers: ...` has the title `Expected, for many providers`.
fn title(line: &str) -> Option<(&str, &str)> {
    let (title, text) = line.split_once(':')?;
    let word = title.split(|next: char| !next.is_alphabetic()).next()?;
    TITLES.contains(&word).then(|| (title.trim(), text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_question_and_what_is_said_of_it() {
        let text = include_str!("../../../scenarios/research/two-choices.toml");
        let found = paragraphs(text);
        let titles: Vec<Option<&str>> = found.iter().map(|it| it.title.as_deref()).collect();
        let wanted = [None, Some("Assumptions"), Some("Expected, for many providers"), Some("Source")];
        assert_eq!(titles, wanted);
        assert_eq!(
            found[0].text,
            "Does looking at two providers drawn at random do nearly as well as looking at all?"
        );
        assert!(found[2].text.starts_with("time in system over service time is the sum"));
    }

    #[test]
    fn commands_in_it_stay_as_they_are() {
        let found = paragraphs(
            "# The smallest\n# mesh.\n#\n#     labman-sim run a.toml\n#     twice\n\nname = \"a\"\n# later\n",
        );
        let said: Vec<(&str, bool)> = found.iter().map(|it| (it.text.as_str(), it.verbatim)).collect();
        assert_eq!(said, [("The smallest mesh.", false), ("labman-sim run a.toml\ntwice", true)]);
        assert_eq!(paragraphs("name = \"a\""), []);
    }

    #[test]
    fn what_stands_behind_all_that_is_supposed_is_no_part_of_the_question() {
        let found = paragraphs(
            "# Who pays?\n# In the end.\n#\n# Source: a book\n# Deviations: it is not so\n#\n# Run it:\n#     labman-sim\n",
        );
        let asides: Vec<(&str, bool)> = found.iter().map(|it| (it.text.as_str(), it.aside)).collect();
        let wanted = [
            ("Who pays? In the end.", false),
            ("a book", false),
            ("it is not so", false),
            ("Run it:", true),
            ("labman-sim", true),
        ];
        assert_eq!(asides, wanted);
    }
}

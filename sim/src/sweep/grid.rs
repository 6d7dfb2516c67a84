//! What a sweep varies: `fep.fees.fep_bps=0,100,500`. Which values make sense is for the scenario to say.

use std::str::FromStr;

use super::dimension::Dimension;

/// One dimension: a path into the scenario, and the values it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    pub path: String,
    pub values: Vec<String>,
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, values) = path_and_values(text)?;
        for (index, value) in values.iter().enumerate() {
            if values[..index].contains(value) {
                return Err(format!("{path} has the value {value} twice"));
            }
        }
        Ok(Self { path, values })
    }
}

impl From<Grid> for Dimension {
    fn from(Grid { path, values }: Grid) -> Self {
        let places = values.into_iter().map(|value| vec![value]).collect();
        Self { option: "--grid".into(), paths: vec![path], places }
    }
}

/// `path=value,value`.
pub(super) fn path_and_values(text: &str) -> Result<(String, Vec<String>), String> {
    let (path, values) = text.split_once('=').ok_or("write path=value,value")?;
    let path = path.trim().to_owned();
    let values: Vec<String> = split(values).into_iter().map(str::to_owned).collect();
    match values.iter().any(String::is_empty) {
        true => Err(format!("{path} has an empty value: write path=value,value")),
        false => Ok((path, values)),
    }
}

/// At the commas that stand in no quotes and no brackets, so that a value can be any of TOML's.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let (mut values, mut from, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                values.push(text[from..at].trim());
                from = at + 1;
            }
            (None, _) => {}
        }
    }
    values.push(text[from..].trim());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        text.parse::<Grid>().unwrap().values
    }

    #[test]
    fn values_stand_between_commas_that_are_not_inside_a_value() {
        assert_eq!(values("fep.fees.fep_bps=0, 100,500"), ["0", "100", "500"]);
        assert_eq!(
            values(r#"latency.mesh={ uniform = ["5ms", "9ms"] },{ constant = "1ms" }"#),
            [r#"{ uniform = ["5ms", "9ms"] }"#, r#"{ constant = "1ms" }"#]
        );
        assert_eq!(
            values(r#"job.0.prompt="One, two",'three, "four'"#),
            [r#""One, two""#, r#"'three, "four'"#]
        );
    }

    #[test]
    fn a_value_that_is_empty_or_there_twice_is_refused() {
        let error = |text: &str| text.parse::<Grid>().unwrap_err();
        assert!(error("duration=").contains("empty value"));
        assert!(error("duration=1m,,2m").contains("empty value"));
        assert!(error("duration=1m,2m,1m").contains("1m twice"));
        assert!(error("duration").contains("path=value,value"));
    }
}

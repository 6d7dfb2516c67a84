//! Prints a statement as its pages come, so that one of any length fits.

use std::io::{BufWriter, Write};

use serde_json::Value;

use super::eyes::plain;
use crate::admin::Admin;

pub(super) async fn print(admin: &Admin, query: &str, as_json: bool) -> Result<(), String> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut next = String::new();
    let mut any = false;
    loop {
        let page = admin.get(&format!("/statement?{query}{next}")).await.map_err(|why| why.to_string())?;
        let written = match as_json {
            true => page_json(&mut out, &page, &mut any),
            false => page_text(&mut out, &page),
        };
        written.and_then(|()| out.flush()).map_err(|why| format!("can't write the statement: {why}"))?;
        match page["next"].as_str() {
            Some(more) => next = format!("&next={more}"),
            None => return Ok(()),
        }
    }
}

fn page_text(out: &mut impl Write, page: &Value) -> std::io::Result<()> {
    for movement in page["movements"].as_array().into_iter().flatten() {
        let text = |name: &str| plain(&movement[name]);
        writeln!(out, "{}  {:>18}  {:<18} {}", text("at"), text("amount"), text("kind"), text("reference"))?;
    }
    if page["next"].is_null() {
        let text = |name: &str| plain(&page[name]);
        let (account, currency) = (text("account"), text("currency"));
        writeln!(out, "{account} in {currency}: opening {}, closing {}", text("opening"), text("closing"))?;
    }
    Ok(())
}

/// One document over all pages, written piece by piece.
fn page_json(out: &mut impl Write, page: &Value, any: &mut bool) -> std::io::Result<()> {
    for movement in page["movements"].as_array().into_iter().flatten() {
        write!(out, "{}\n    {movement}", if *any { "," } else { "{\n  \"movements\": [" })?;
        *any = true;
    }
    if page["next"].is_null() {
        write!(out, "{}", if *any { "\n  ]" } else { "{\n  \"movements\": []" })?;
        for name in ["account", "currency", "opening", "closing"] {
            write!(out, ",\n  \"{name}\": {}", page[name])?;
        }
        writeln!(out, "\n}}")?;
    }
    Ok(())
}

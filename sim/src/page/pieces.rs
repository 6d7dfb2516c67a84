//! What several parts of the page are made of.

use maud::{Markup, html};

use super::chart::{Frame, drawing};
use super::header::Paragraph;

/// A table that scrolls by itself where it is wider than the screen.
pub(super) fn table(caption: &str, head: Markup, body: Markup) -> Markup {
    html! {
        div.wide role="region" aria-label=(caption) tabindex="0" {
            table { caption { (caption) } thead { (head) } (body) }
        }
    }
}

/// A row of column headers; those marked are of numbers.
pub(super) fn head(columns: &[(&str, bool)]) -> Markup {
    html! {
        tr { @for (name, number) in columns { th scope="col" .n[*number] { (name) } } }
    }
}

/// A drawing with its caption above: `title` and `description` are for those who can't see it.
pub(super) fn panel(caption: Markup, frame: &Frame, title: &str, description: &str, marks: Markup) -> Markup {
    html! {
        figure { figcaption { (caption) } div.drawing { (drawing(frame, title, description, marks)) } }
    }
}

/// Whether something held, in words and by a sign, for those who don't see its colour.
pub(super) fn held(held: bool) -> Markup {
    html! {
        @if held { span.good { "✓ held" } } @else { span.bad { "✗ not held" } }
    }
}

/// A paragraph without a title, of those that a scenario begins with.
pub(super) fn plain(it: &Paragraph) -> Markup {
    html! { @if it.verbatim { pre tabindex="0" { (it.text) } } @else { p { (it.text) } } }
}

pub(super) fn command(line: &str) -> Markup {
    html! { pre.command tabindex="0" { code { (line) } } }
}

//! Shows terms in messages, as the caller would write them.

use rustler::{Binary, Encoder, Term};

use crate::beam::atoms;
use crate::beam::dialect::Dialect;
use crate::beam::immediate;

/// The depth below which terms are shown as the VM shows them. It also shows types that this file does not.
const MAX_DEPTH: usize = 3;

/// The source text of a term, in Erlang or in Elixir.
pub fn shown(term: Term<'_>, dialect: Dialect) -> String {
    show(term, dialect, MAX_DEPTH)
}

fn show(term: Term<'_>, dialect: Dialect, depth: usize) -> String {
    let erlang = dialect.is_erlang();
    let inner = |part: Term<'_>| show(part, dialect, depth - 1);
    if term.is_float()
        && let Ok(float) = term.decode::<f64>()
    {
        return format!("{float:?}");
    }
    if term.is_atom() {
        return atom(&atoms::text_of(term), dialect);
    }
    if let Ok(binary) = Binary::from_term(term)
        && let Ok(text) = std::str::from_utf8(binary.as_slice())
    {
        return if erlang { format!("<<{text:?}>>") } else { format!("{text:?}") };
    }
    if depth > 0
        && let Some(parts) = immediate::tuple(term)
    {
        let env = term.get_env();
        // SAFETY: the parts of a live term are live terms of the same environment.
        let parts: Vec<_> = parts.iter().map(|part| inner(unsafe { Term::new(env, *part) })).collect();
        return format!("{{{}}}", parts.join(if erlang { "," } else { ", " }));
    }
    format!("{term:?}")
}

fn atom(text: &str, dialect: Dialect) -> String {
    let erlang = dialect.is_erlang();
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_lowercase() || (c == '_' && !erlang))
            && text.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    match text {
        "nil" | "true" | "false" => text.to_owned(),
        _ if erlang && plain(text) => text.to_owned(),
        _ if erlang => format!("'{text}'"),
        _ if plain(text) => format!(":{text}"),
        _ => match text.strip_prefix("Elixir.") {
            Some(module) => module.to_owned(),
            None => format!(":{text:?}"),
        },
    }
}

/// The source text of the first of these terms, sorted, that occurs twice.
pub fn repeated<'a>(terms: impl Iterator<Item = Term<'a>>, dialect: Dialect) -> Option<String> {
    let mut terms: Vec<_> = terms.collect();
    terms.sort();
    let pair = terms.windows(2).find(|pair| pair[0].encode(pair[0].get_env()) == pair[1])?;
    Some(shown(pair[0], dialect))
}

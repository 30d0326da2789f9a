//! Terms as the caller would write them, for messages.

use rustler::{Binary, Encoder, Term};

use crate::beam::atoms;
use crate::beam::immediate;

/// Deeper terms, and those of other kinds, are shown as the VM shows them.
const MAX_DEPTH: usize = 3;

/// The source of a term, in Erlang or in Elixir.
pub fn shown(term: Term<'_>, erlang: bool) -> String {
    show(term, erlang, MAX_DEPTH)
}

fn show(term: Term<'_>, erlang: bool, depth: usize) -> String {
    let inner = |part: Term<'_>| show(part, erlang, depth - 1);
    if term.is_float()
        && let Ok(float) = term.decode::<f64>()
    {
        return format!("{float:?}");
    }
    if term.is_atom() {
        return atom(&atoms::text_of(term), erlang);
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

fn atom(text: &str, erlang: bool) -> String {
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

/// What two of these terms, which are the keys of one map, have in common: the first of them twice there.
pub fn repeated<'a>(terms: impl Iterator<Item = Term<'a>>, erlang: bool) -> Option<String> {
    let mut terms: Vec<_> = terms.collect();
    terms.sort();
    let pair = terms.windows(2).find(|pair| pair[0].encode(pair[0].get_env()) == pair[1])?;
    Some(shown(pair[0], erlang))
}

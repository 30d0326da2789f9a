//! Converts Elixir structs that have a Python counterpart, and back.

use pyo3::ffi;
use rustler::{Atom, Binary, Encoder, Env, Term};

use super::kind::Kind;
use super::to_python::field;
use super::{ConvertError, ConvertResult, Converter, struct_term};
use crate::beam::atoms::{self, *};
use crate::python::object::Obj;

/// The size of the largest of these structs, in words.
const STRUCT: usize = 32;

impl Converter<'_> {
    /// The object of a struct.
    pub(super) fn structure(&mut self, term: Term<'_>, module: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        self.step(depth)?;
        let get = |key: Atom| field(term, key);
        match module {
            m if map_set_struct() == m => self.set(get(map())?, depth),
            m if range_struct() == m => {
                let parts = self.parts(term, &[first(), last(), step()], depth)?;
                self.make("range", parts)
            }
            m if date_struct() == m => {
                iso(term)?;
                let parts = self.parts(term, &[year(), month(), day()], depth)?;
                self.make("date", parts)
            }
            m if time_struct() == m => {
                iso(term)?;
                let mut parts = self.parts(term, &[hour(), minute(), second()], depth)?;
                parts.push(self.microseconds(get(microsecond())?)?);
                self.make("time", parts)
            }
            m if naive_struct() == m || datetime_struct() == m => self.date_time(term, datetime_struct() == m, depth),
            m if duration_struct() == m => self.duration(term),
            m if decimal_struct() == m => {
                let parts = self.parts(term, &[sign(), coef(), exp()], depth)?;
                self.make("decimal", parts)
            }
            m if atom_struct() == m => {
                let text = atoms::text_of(get(name())?);
                Ok(self.types.atom.call(&[&Obj::str(&text)?])?)
            }
            m if bytes_struct() == m => match Binary::from_term(get(data())?) {
                Ok(data) => Ok(Obj::bytes(&data)?),
                Err(_) => Err(ConvertError::value("Py.bytes/1 takes a binary")),
            },
            m if float_struct() == m => self.float_struct(get(value())?),
            _ => Err(ConvertError::NeedsEncoder),
        }
    }

    fn parts(&mut self, term: Term<'_>, keys: &[Atom], depth: usize) -> ConvertResult<Vec<Obj>> {
        keys.iter().map(|key| self.to_python(field(term, *key)?, depth + 1)).collect()
    }

    fn microseconds(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        let (value, _precision): (i64, i64) = term.decode().map_err(|_| ConvertError::value("microsecond"))?;
        Ok(Obj::int(value)?)
    }

    fn date_time(&mut self, term: Term<'_>, aware: bool, depth: usize) -> ConvertResult<Obj> {
        iso(term)?;
        let mut parts = self.parts(term, &[year(), month(), day(), hour(), minute(), second()], depth)?;
        parts.push(self.microseconds(field(term, microsecond())?)?);
        if aware {
            parts.extend(self.parts(term, &[time_zone(), zone_abbr(), utc_offset(), std_offset()], depth)?);
        }
        self.make("datetime", parts)
    }

    fn duration(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        let get = |key: Atom| int(field(term, key)?);
        if get(year())? != 0 || get(month())? != 0 {
            return Err(ConvertError::value("a Duration with years or months has no timedelta"));
        }
        let too_long = || ConvertError::value("a Duration too long for a timedelta");
        let days =
            get(week())?.checked_mul(7).and_then(|days| days.checked_add(get(day()).ok()?)).ok_or_else(too_long)?;
        let clock = |hours: i64, minutes: i64, seconds: i64| {
            hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)
        };
        let seconds = clock(get(hour())?, get(minute())?, get(second())?).ok_or_else(too_long)?;
        let micros = self.microseconds(field(term, microsecond())?)?;
        self.make("duration", vec![Obj::int(days)?, Obj::int(seconds)?, micros])
    }

    fn make(&mut self, what: &str, parts: Vec<Obj>) -> ConvertResult<Obj> {
        let what = Obj::str(what)?;
        let args: Vec<&Obj> = std::iter::once(&what).chain(&parts).collect();
        self.types.make.call(&args).map_err(|raised| self.refused(raised))
    }

    /// The struct of a datetime, date, … from its parts, which Python code extracted.
    pub(super) fn struct_to_term<'a>(
        &mut self,
        kind: Kind,
        parts: Obj,
        env: Env<'a>,
        depth: usize,
    ) -> ConvertResult<Term<'a>> {
        let items = parts.tuple_items();
        self.take(STRUCT)?;
        let mut terms = Vec::with_capacity(items.len());
        for item in items {
            terms.push(self.to_term(item, env, depth + 1)?);
        }
        let calendar = (calendar(), calendar_iso().to_term(env));
        let at = |index: usize| terms[index];
        let micro = |index: usize| {
            let value: i64 = terms[index].decode().unwrap_or(0);
            (microsecond(), (value, if value == 0 { 0 } else { 6 }).encode(env))
        };
        let date = |from: usize| [(year(), at(from)), (month(), at(from + 1)), (day(), at(from + 2))];
        let clock = |from: usize| [(hour(), at(from)), (minute(), at(from + 1)), (second(), at(from + 2))];
        Ok(match kind {
            Kind::Date => struct_term(env, date_struct(), &[&date(0)[..], &[calendar]].concat()),
            Kind::Time => struct_term(env, time_struct(), &[&clock(0)[..], &[micro(3), calendar]].concat()),
            Kind::DateTime => {
                let fields = [&date(0)[..], &clock(3)[..], &[micro(6), calendar]].concat();
                match terms[7].decode::<(Term, Term, Term, Term)>() {
                    Err(_) => struct_term(env, naive_struct(), &fields),
                    Ok((zone, abbreviation, utc, std)) => {
                        let zone = [
                            (time_zone(), zone),
                            (zone_abbr(), abbreviation),
                            (utc_offset(), utc),
                            (std_offset(), std),
                        ];
                        struct_term(env, datetime_struct(), &[&fields[..], &zone[..]].concat())
                    }
                }
            }
            Kind::TimeDelta => {
                let zero = 0.encode(env);
                let fields = [(year(), zero), (month(), zero), (week(), zero), (hour(), zero), (minute(), zero)];
                let rest = [(day(), at(0)), (second(), at(1)), micro(2)];
                struct_term(env, duration_struct(), &[&fields[..], &rest[..]].concat())
            }
            Kind::Decimal => struct_term(env, decimal_struct(), &[(sign(), at(0)), (coef(), at(1)), (exp(), at(2))]),
            _ => struct_term(env, range_struct(), &[(first(), at(0)), (last(), at(1)), (step(), at(2))]),
        })
    }

    fn float_struct(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        if !term.is_number() && number(term).is_none() {
            return Err(ConvertError::value("Py.float/1 takes a number, :nan, :infinity or :neg_infinity"));
        }
        let number = self.to_python(term, 1)?;
        // SAFETY: attached; an int or a float. An int beyond the range of floats raises OverflowError.
        let float = unsafe { Obj::checked(ffi::PyNumber_Float(number.as_ptr())) };
        float.map_err(|raised| self.refused(raised))
    }
}

fn int(term: Term<'_>) -> ConvertResult<i64> {
    term.decode().map_err(|_| ConvertError::value("an integer of this struct is not one, or too large"))
}

fn iso(term: Term<'_>) -> ConvertResult<()> {
    if calendar_iso() == field(term, calendar())? {
        Ok(())
    } else {
        Err(ConvertError::value("only the ISO calendar has a Python counterpart; convert it with Date.convert/2 first"))
    }
}

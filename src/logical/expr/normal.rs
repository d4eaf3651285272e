//! The normal form: any of several conjunctions, each of which asks every symbol for one of a set of values.
//!
//! A set stays a set, so that sets over different symbols cost their sum; only the symbols that give others their
//! meaning ([`Symbol::is_single`]) have one value in each conjunction. A named set stays a name as long as nothing else
//! in its conjunction restricts its symbol. `<`, `>` and `!=` become masked values, and what contradicts itself is left
//! out. Residency of ports stays open, so that the form does not depend on the chassis.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use smallvec::{SmallVec, smallvec};

use super::annotate::over_whole_fields;
use super::values::{MAX_STEPS, MAX_VALUES, Values, Work, complement, intersect, ordered, subtract, tidy};
use super::{Expr, Item, Join, Masked, Relop, Test};
use crate::logical::microflow::Microflow;
use crate::logical::names::Names;
use crate::logical::symbol::{FieldRef, Symbol};

/// Conjunctions that a match may have.
const MAX_CONJUNCTIONS: usize = 1 << 16;
/// Constants and names in all of them.
const MAX_ITEMS: usize = 1 << 20;

/// A match in normal form: no conjunctions match nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normal {
    /// Any of these.
    pub conjunctions: Vec<Conjunction>,
}

/// All of the clauses and of what is said about residency; without any it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conjunction {
    /// In the order of the symbols' names, each symbol once.
    pub clauses: Vec<Clause>,
    /// Ports, in their order, and whether they are to be on this chassis.
    pub residents: SmallVec<[(Box<str>, bool); 1]>,
}

/// A whole field and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The field.
    pub symbol: &'static Symbol,
    /// Any of these; none is without members.
    pub items: SmallVec<[Item; 1]>,
}

/// Why a match has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormalizeError {
    /// Too many conjunctions.
    #[error(
        "the match takes apart into more than {} conjunctions or {} values; make several flows of it",
        MAX_CONJUNCTIONS,
        MAX_ITEMS
    )]
    TooManyConjunctions,
    /// Too many values of one symbol.
    #[error(
        "the match asks a field for more than {} values; name fewer, or ask for them by == not !=",
        MAX_VALUES
    )]
    TooManyValues,
    /// Too many parts that were compared with each other, of which little or nothing may be left.
    #[error(
        "taking the match apart needs more than {} steps, as its parts contradict each other in many ways; \
         make several flows of it",
        MAX_STEPS
    )]
    TooMuchWork,
    /// A port's name under `!=`, which no parser lets through.
    #[error("the match asks for a port by !=; ask for the ports that it may be by ==")]
    OtherPort,
}

impl Expr {
    /// The normal form.
    pub fn normalize(self) -> Result<Normal, NormalizeError> {
        let mut budget = Budget::default();
        let conjunctions = budget.normal(self)?;
        let mut split = Vec::with_capacity(conjunctions.len());
        for conjunction in conjunctions {
            budget.split(conjunction, &mut split)?;
        }
        Ok(Normal { conjunctions: split })
    }
}

impl Normal {
    /// Whether `flow` meets it.
    pub fn eval(&self, flow: &Microflow, names: &dyn Names) -> bool {
        self.conjunctions.iter().any(|conjunction| conjunction.eval(flow, names))
    }

    /// The same as an expression.
    pub fn to_expr(&self) -> Expr {
        Join::Or.all(self.conjunctions.iter().map(Conjunction::to_expr))
    }
}

impl fmt::Display for Normal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_expr().fmt(f)
    }
}

impl Conjunction {
    /// Whether `flow` meets it.
    pub fn eval(&self, flow: &Microflow, names: &dyn Names) -> bool {
        let meets = |clause: &Clause| {
            let found = flow.get(&FieldRef::whole(clause.symbol));
            clause.items.iter().any(|item| item.holds(found, names))
        };
        self.clauses.iter().all(meets)
            && self.residents.iter().all(|(port, here)| names.is_chassis_resident(port) == *here)
    }

    fn to_expr(&self) -> Expr {
        let clauses = self.clauses.iter().map(|clause| {
            Expr::Test(Test { symbol: clause.symbol, relop: Relop::Eq, items: clause.items.clone() })
        });
        let residents =
            self.residents.iter().map(|(port, here)| Expr::Resident { port: port.clone(), negated: !here });
        Join::And.all(clauses.chain(residents))
    }

    fn is_true(&self) -> bool {
        self.clauses.is_empty() && self.residents.is_empty()
    }

    fn len(&self) -> usize {
        self.clauses.iter().map(|clause| clause.items.len()).sum()
    }

    /// Its clause, if there is nothing else.
    fn only_clause(&mut self) -> Option<&mut Clause> {
        match self.clauses.as_mut_slice() {
            [clause] if self.residents.is_empty() => Some(clause),
            _ => None,
        }
    }

    /// Adds a clause; false if it contradicts the ones that are there.
    fn restrict(&mut self, clause: Clause, work: &mut Work) -> Result<bool, NormalizeError> {
        match self.clauses.binary_search_by(|other| other.symbol.name.cmp(clause.symbol.name)) {
            Err(place) => self.clauses.insert(place, clause),
            Ok(place) => {
                if let Some(other) = self.clauses.get_mut(place) {
                    return other.restrict(&clause.items, work);
                }
            }
        }
        Ok(true)
    }

    /// Takes values away from a symbol; false if none is left.
    fn exclude(
        &mut self,
        symbol: &'static Symbol,
        excluded: &[Masked],
        work: &mut Work,
    ) -> Result<bool, NormalizeError> {
        let clause = self.clauses.iter_mut().find(|clause| clause.symbol == symbol);
        let Some(clause) = clause else {
            let left = complement(excluded, work)?;
            return Ok(!left.is_empty() && self.restrict(Clause { symbol, items: items(left) }, work)?);
        };
        clause.items = items(subtract(clause.values(), excluded, work)?);
        Ok(!clause.items.is_empty())
    }

    /// Adds what is said of a port; false if the opposite was said.
    fn reside(&mut self, port: Box<str>, here: bool) -> bool {
        match self.residents.binary_search_by(|(other, _)| other.cmp(&port)) {
            Err(place) => {
                self.residents.insert(place, (port, here));
                true
            }
            Ok(place) => self.residents.get(place).is_none_or(|(_, other)| *other == here),
        }
    }

    /// Both of these; none if they contradict each other.
    fn joined(&self, other: &Conjunction, work: &mut Work) -> Result<Option<Conjunction>, NormalizeError> {
        work.charge(self.len() + other.len() + 1)?;
        let mut clauses: Vec<Clause> = Vec::with_capacity(self.clauses.len() + other.clauses.len());
        let (mut left, mut right) = (self.clauses.iter().peekable(), other.clauses.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => left.symbol.name.cmp(right.symbol.name),
            };
            match order {
                Ordering::Less => clauses.extend(left.next().cloned()),
                Ordering::Greater => clauses.extend(right.next().cloned()),
                Ordering::Equal => {
                    let (Some(left), Some(right)) = (left.next(), right.next()) else { break };
                    let mut clause = left.clone();
                    if !clause.restrict(&right.items, work)? {
                        return Ok(None);
                    }
                    clauses.push(clause);
                }
            }
        }
        let mut joined = Conjunction { clauses, residents: self.residents.clone() };
        let agree = other.residents.iter().all(|(port, here)| joined.reside(port.clone(), *here));
        Ok(agree.then_some(joined))
    }
}

impl Clause {
    fn values(&self) -> Values {
        self.items.iter().flat_map(Item::values).collect()
    }

    /// Asks for one of `items` too; false if nothing is both.
    fn restrict(&mut self, items: &[Item], work: &mut Work) -> Result<bool, NormalizeError> {
        if self.items.as_slice() == items {
            return Ok(true);
        }
        if let ([Item::Value(mine)], [Item::Value(theirs)]) = (self.items.as_mut_slice(), items) {
            let both = mine.intersected(*theirs);
            *mine = both.unwrap_or(*mine);
            return Ok(both.is_some());
        }
        work.charge(self.items.iter().chain(items).map(Item::len).sum())?;
        if self.symbol.is_string() {
            let theirs: HashSet<&str> = items.iter().flat_map(Item::texts).collect();
            let both = self.items.iter().flat_map(Item::texts).filter(|port| theirs.contains(port));
            self.items = both.map(|port| Item::Text(port.into())).collect();
        } else {
            let theirs: Values = items.iter().flat_map(Item::values).collect();
            self.items = self::items(intersect(&self.values(), &theirs, work)?);
        }
        Ok(!self.items.is_empty())
    }

    /// Puts plain items in order, each once, and leaves out sets without members.
    fn tidy(&mut self) {
        if self.items.len() < 2 {
            return;
        }
        let all = std::mem::take(&mut self.items);
        let mut values = Values::new();
        let mut names: Vec<Box<str>> = Vec::new();
        let mut sets: SmallVec<[Item; 1]> = SmallVec::new();
        for item in all {
            match item {
                Item::Value(value) => values.push(value),
                Item::Text(port) => names.push(port),
                set if set.is_empty() || sets.contains(&set) => {}
                set => sets.push(set),
            }
        }
        tidy(&mut values);
        names.sort_unstable();
        names.dedup();
        self.items = items(values);
        self.items.extend(names.into_iter().map(Item::Text));
        self.items.extend(sets);
    }
}

fn items(values: Values) -> SmallVec<[Item; 1]> {
    values.into_iter().map(Item::Value).collect()
}

/// What a test alone comes to.
enum Single {
    Always,
    Never,
    Clause(Clause),
}

/// How much was made already, and tried.
#[derive(Default)]
struct Budget {
    items: usize,
    work: Work,
}

impl Budget {
    fn charge(&mut self, conjunction: &Conjunction, conjunctions: usize) -> Result<(), NormalizeError> {
        self.items += conjunction.len() + 1;
        let fits = self.items <= MAX_ITEMS && conjunctions <= MAX_CONJUNCTIONS;
        if fits { Ok(()) } else { Err(NormalizeError::TooManyConjunctions) }
    }

    fn normal(&mut self, expr: Expr) -> Result<Vec<Conjunction>, NormalizeError> {
        match expr {
            Expr::Bool(true) => Ok(vec![Conjunction::default()]),
            Expr::Bool(false) => Ok(Vec::new()),
            Expr::Test(_) | Expr::Resident { .. } => self.all_of(std::iter::once(expr)),
            Expr::And(list) => self.all_of(list.into_iter()),
            Expr::Or(list) => self.any_of(list),
        }
    }

    fn any_of(&mut self, list: Vec<Expr>) -> Result<Vec<Conjunction>, NormalizeError> {
        let mut result: Vec<Conjunction> = Vec::with_capacity(list.len());
        // Where the conjunctions are that have one clause, by its symbol.
        let mut plain: SmallVec<[(&'static Symbol, usize); 4]> = SmallVec::new();
        let mut grown: SmallVec<[usize; 4]> = SmallVec::new();
        for expr in list {
            for mut conjunction in self.normal(expr)? {
                if conjunction.is_true() {
                    return Ok(vec![conjunction]);
                }
                self.charge(&conjunction, result.len() + 1)?;
                if let Some(clause) = conjunction.only_clause() {
                    let before = plain.iter().find(|(symbol, _)| *symbol == clause.symbol);
                    let before = before.map(|(_, place)| *place);
                    let grow = before.and_then(|place| Some((place, result.get_mut(place)?.only_clause()?)));
                    if let Some((place, grow)) = grow {
                        grow.items.append(&mut clause.items);
                        grown.push(place);
                        continue;
                    }
                    plain.push((clause.symbol, result.len()));
                }
                result.push(conjunction);
            }
        }
        grown.sort_unstable();
        grown.dedup();
        for place in grown {
            if let Some(clause) = result.get_mut(place).and_then(Conjunction::only_clause) {
                clause.tidy();
            }
        }
        Ok(result)
    }

    fn all_of(&mut self, list: impl Iterator<Item = Expr>) -> Result<Vec<Conjunction>, NormalizeError> {
        let mut base = Conjunction::default();
        let mut excluded: SmallVec<[(&'static Symbol, Values); 1]> = SmallVec::new();
        let mut others: SmallVec<[Vec<Conjunction>; 2]> = SmallVec::new();
        for expr in list {
            let expr = over_whole_fields(expr);
            let met = match expr {
                Expr::Bool(value) => value,
                Expr::Resident { port, negated } => base.reside(port, !negated),
                Expr::Test(test) if test.relop == Relop::Ne && !test.symbol.is_string() => {
                    let values: Values = test.items.iter().flat_map(Item::values).collect();
                    match excluded.iter_mut().find(|(symbol, _)| *symbol == test.symbol) {
                        Some((_, before)) => before.extend(values),
                        None if values.is_empty() => {}
                        None => excluded.push((test.symbol, values)),
                    }
                    true
                }
                Expr::Test(test) => match single(test, &mut self.work)? {
                    Single::Always => true,
                    Single::Never => false,
                    Single::Clause(clause) => base.restrict(clause, &mut self.work)?,
                },
                Expr::And(_) | Expr::Or(_) => {
                    let alternatives = self.normal(expr)?;
                    match alternatives.as_slice() {
                        [] => false,
                        [one] => match base.joined(one, &mut self.work)? {
                            Some(joined) => {
                                base = joined;
                                true
                            }
                            None => false,
                        },
                        _ => {
                            others.push(alternatives);
                            true
                        }
                    }
                }
            };
            if !met {
                return Ok(Vec::new());
            }
        }
        for (symbol, values) in excluded {
            if !base.exclude(symbol, &values, &mut self.work)? {
                return Ok(Vec::new());
            }
        }
        let mut result = vec![base];
        for alternatives in others {
            let mut product = Vec::with_capacity(result.len().max(alternatives.len()));
            for left in &result {
                for right in &alternatives {
                    if let Some(joined) = left.joined(right, &mut self.work)? {
                        self.charge(&joined, product.len() + 1)?;
                        product.push(joined);
                    }
                }
            }
            result = product;
        }
        Ok(result)
    }

    /// Adds the conjunction, once for each value of a symbol that has to have a single one.
    fn split(&mut self, conjunction: Conjunction, out: &mut Vec<Conjunction>) -> Result<(), NormalizeError> {
        let several = |clause: &&Clause| {
            clause.symbol.is_single() && clause.items.iter().map(Item::len).sum::<usize>() > 1
        };
        let Some(clause) = conjunction.clauses.iter().find(several) else {
            out.push(conjunction);
            return Ok(());
        };
        for value in clause.values() {
            let mut part = conjunction.clone();
            if let Some(own) = part.clauses.iter_mut().find(|own| own.symbol == clause.symbol) {
                own.items = smallvec![Item::Value(value)];
            }
            self.charge(&part, out.len() + 1)?;
            self.split(part, out)?;
        }
        Ok(())
    }
}

/// A test over a whole field as a clause. Inequality is the caller's but for names of ports.
fn single(test: Test, work: &mut Work) -> Result<Single, NormalizeError> {
    if test.is_empty() {
        return Ok(if test.relop == Relop::Ne { Single::Always } else { Single::Never });
    }
    let Test { symbol, relop, items } = test;
    let items = match relop {
        Relop::Eq => items,
        Relop::Ne => return Err(NormalizeError::OtherPort),
        relop => {
            let mut met: Values = smallvec![Masked { value: 0, mask: 0 }];
            for value in items.iter().flat_map(Item::values) {
                met = intersect(&met, &ordered(relop, value), work)?;
            }
            self::items(met)
        }
    };
    let matches_all = |item: &Item| match item {
        Item::Value(value) => value.mask == 0,
        Item::Set { set, width, .. } => set.has_everything(*width),
        Item::Text(_) | Item::Group(_) => false,
    };
    if items.iter().any(matches_all) {
        return Ok(Single::Always);
    }
    let mut clause = Clause { symbol, items };
    clause.tidy();
    Ok(if clause.items.is_empty() { Single::Never } else { Single::Clause(clause) })
}

//! From text to [`Expr`], with the rules of OVN's own parser.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::constant::{misfit, misfit_text, unexpanded};
use super::{Expr, Item, Join, Masked, Relop, SyntaxError, Test};
use crate::logical::cursor::Cursor;
use crate::logical::error::shortened;
use crate::logical::lex::{Format, Kind, Number};
use crate::logical::names::{AddressSet, Names, PortGroup};
use crate::logical::symbol::{FieldRef, Kind as SymbolKind, Level};

/// Parentheses that may stand in each other, as in OVN.
pub const MAX_DEPTH: usize = 100;

impl Expr {
    /// Reads a match. Address sets and port groups are those of `names`.
    pub fn parse(text: &str, names: &dyn Names) -> Result<Expr, SyntaxError> {
        let mut parser = Parser { cursor: Cursor::new(text), names, negated: false, depth: 0 };
        let expr = parser.expr()?;
        parser.cursor.expect(&Kind::End)?;
        Ok(expr)
    }
}

struct Parser<'a, 'n> {
    cursor: Cursor<'a>,
    names: &'n dyn Names,
    /// Whether an odd number of `!` stands before this place.
    negated: bool,
    depth: usize,
}

/// A constant on its way into a test.
enum Parsed {
    Number(Number),
    Text(Box<str>),
    Set(Arc<AddressSet>),
    Group(Arc<PortGroup>),
}

impl Parsed {
    fn is_text(&self) -> bool {
        matches!(self, Parsed::Text(_) | Parsed::Group(_))
    }

    fn len(&self) -> usize {
        match self {
            Parsed::Number(_) | Parsed::Text(_) => 1,
            Parsed::Set(set) => set.members().len(),
            Parsed::Group(group) => group.ports().len(),
        }
    }
}

/// One constant or a set of them.
struct Operand {
    constants: SmallVec<[Parsed; 1]>,
    is_set: bool,
    span: Range<usize>,
}

/// What stands between `&&` and `||`.
struct Primary {
    expr: Expr,
    /// Whether `!` may stand before it without parentheses.
    is_atomic: bool,
}

impl Parser<'_, '_> {
    fn expr(&mut self) -> Result<Expr, SyntaxError> {
        let first = self.operand_of_join()?;
        let join = match self.cursor.kind() {
            Kind::And => Join::And,
            Kind::Or => Join::Or,
            _ => return Ok(first),
        };
        let operator = self.cursor.kind().clone();
        let mut list = match join.open(first) {
            Ok(list) => list,
            Err(one) => vec![one],
        };
        while self.cursor.accept(&operator) {
            let next = self.operand_of_join()?;
            join.extend(&mut list, next);
        }
        if matches!(self.cursor.kind(), Kind::And | Kind::Or) {
            let sentence = "&& and || stand side by side; put parentheses around what belongs together";
            return Err(SyntaxError::new(self.cursor.span(), sentence));
        }
        Ok(join.close(list))
    }

    fn operand_of_join(&mut self) -> Result<Expr, SyntaxError> {
        let start = self.cursor.span();
        if !self.cursor.accept(&Kind::Not) {
            return Ok(self.primary()?.expr);
        }
        self.negated = !self.negated;
        let primary = self.primary();
        self.negated = !self.negated;
        let Primary { expr, is_atomic } = primary?;
        if !is_atomic {
            let sentence = "! stands before a comparison; put the comparison in parentheses";
            return Err(SyntaxError::new(start, sentence));
        }
        Ok(expr.negated())
    }

    fn primary(&mut self) -> Result<Primary, SyntaxError> {
        match self.cursor.kind() {
            Kind::LeftParen => self.parenthesised(),
            Kind::Template(name) => Err(unexpanded(&self.cursor, name)),
            Kind::Id(_) if self.cursor.second() == Kind::LeftParen => self.function(),
            Kind::Id(_) => self.field_first(),
            _ => self.constant_first(),
        }
    }

    fn parenthesised(&mut self) -> Result<Primary, SyntaxError> {
        let span = self.cursor.span();
        if self.depth >= MAX_DEPTH {
            let sentence = format!("parentheses stand more than {MAX_DEPTH} deep; take apart the expression");
            return Err(SyntaxError::new(span, sentence));
        }
        self.cursor.advance();
        self.depth += 1;
        let expr = self.expr()?;
        self.depth -= 1;
        self.cursor.expect(&Kind::RightParen)?;
        Ok(Primary { expr, is_atomic: true })
    }

    fn function(&mut self) -> Result<Primary, SyntaxError> {
        if !self.cursor.accept_word("is_chassis_resident") {
            return Err(self.cursor.unexpected("is_chassis_resident, the only function"));
        }
        self.cursor.advance();
        let Kind::Str(port) = self.cursor.kind() else {
            return Err(self.cursor.unexpected("the name of a port in double quotes"));
        };
        let port = Box::from(port.as_ref());
        self.cursor.advance();
        self.cursor.expect(&Kind::RightParen)?;
        Ok(Primary { expr: Expr::Resident { port, negated: false }, is_atomic: true })
    }

    /// `field == constant`, or `field` alone.
    fn field_first(&mut self) -> Result<Primary, SyntaxError> {
        let start = self.cursor.span().start;
        let (field, field_span) = self.field()?;
        if let Some(relop) = self.relop() {
            let operand = self.operand()?;
            let expr = self.test(field, relop, &operand, start..operand.span.end)?;
            return Ok(Primary { expr, is_atomic: false });
        }
        if field.symbol.is_string() || *self.cursor.kind() == Kind::Assign {
            return Err(self.cursor.unexpected("one of == != < <= > >="));
        }
        if field.width > 1 && !self.negated {
            let sentence =
                format!("{field} has {} bits; write {field} != 0 to ask for any of them", field.width);
            return Err(SyntaxError::new(field_span, sentence));
        }
        let zero = Parsed::Number(Number { value: 0, mask: None, format: Format::Hex });
        let operand =
            Operand { constants: [zero].into_iter().collect(), is_set: false, span: field_span.clone() };
        let expr = self.test(field, Relop::Ne, &operand, field_span)?;
        Ok(Primary { expr, is_atomic: true })
    }

    /// `constant == field`, `low < field < high`, `0` or `1`.
    fn constant_first(&mut self) -> Result<Primary, SyntaxError> {
        let start = self.cursor.span().start;
        let first = self.operand()?;
        let Some(relop) = self.relop() else {
            return match first.constants.as_slice() {
                [Parsed::Number(Number { value: value @ (0 | 1), mask: None, format: Format::Decimal })]
                    if !first.is_set =>
                {
                    Ok(Primary { expr: Expr::Bool(*value == 1), is_atomic: true })
                }
                _ => Err(self.cursor.unexpected("one of == != < <= > >=")),
            };
        };
        let (field, field_span) = self.field()?;
        let first_span = start..field_span.end;
        let Some(second_relop) = self.relop() else {
            let expr = self.test(field, relop.turned(), &first, first_span)?;
            return Ok(Primary { expr, is_atomic: false });
        };
        let second = self.operand()?;
        let second_span = field_span.start..second.span.end;
        let less = |relop| matches!(relop, Relop::Lt | Relop::Le);
        let greater = |relop| matches!(relop, Relop::Gt | Relop::Ge);
        if !(less(relop) && less(second_relop) || greater(relop) && greater(second_relop)) {
            let sentence =
                "a range has both operators in one direction; write x <= field <= y or x >= field >= y";
            return Err(SyntaxError::new(start..second.span.end, sentence));
        }
        let first = self.test(field, relop.turned(), &first, first_span)?;
        let second = self.test(field, second_relop, &second, second_span)?;
        Ok(Primary { expr: first.and(second), is_atomic: false })
    }

    fn field(&mut self) -> Result<(FieldRef, Range<usize>), SyntaxError> {
        let span = self.cursor.span();
        let field = FieldRef::parse(&mut self.cursor)?;
        if matches!(field.symbol.kind, SymbolKind::OvnField(_)) {
            let sentence = format!("{field} can be set and not compared; remove the comparison");
            return Err(SyntaxError::new(span, sentence));
        }
        Ok((field, span.start..self.cursor.previous_end()))
    }

    fn relop(&mut self) -> Option<Relop> {
        let relop = Relop::of(self.cursor.kind())?;
        self.cursor.advance();
        Some(relop)
    }

    /// A constant, or several in braces with optional commas.
    fn operand(&mut self) -> Result<Operand, SyntaxError> {
        let start = self.cursor.span().start;
        let mut constants: SmallVec<[Parsed; 1]> = SmallVec::new();
        let is_set = self.cursor.accept(&Kind::LeftCurly);
        loop {
            let constant = self.constant(&constants)?;
            constants.push(constant);
            if !is_set {
                break;
            }
            self.cursor.accept(&Kind::Comma);
            if self.cursor.accept(&Kind::RightCurly) {
                break;
            }
        }
        Ok(Operand { constants, is_set, span: start..self.cursor.previous_end() })
    }

    fn constant(&mut self, before: &[Parsed]) -> Result<Parsed, SyntaxError> {
        let constant = match self.cursor.kind() {
            Kind::Number(number) => Parsed::Number(*number),
            Kind::Str(text) => Parsed::Text(Box::from(text.as_ref())),
            Kind::Macro(name) => match self.names.address_set(name) {
                Some(set) => Parsed::Set(set),
                None => {
                    let name = shortened(name);
                    let sentence =
                        format!("there is no address set \"{name}\"; create it, or correct the name");
                    return Err(SyntaxError::new(self.cursor.span(), sentence));
                }
            },
            Kind::PortGroup(name) => match self.names.port_group(name) {
                Some(group) => Parsed::Group(group),
                None => {
                    let name = shortened(name);
                    let sentence =
                        format!("there is no port group \"{name}\"; create it, or correct the name");
                    return Err(SyntaxError::new(self.cursor.span(), sentence));
                }
            },
            Kind::Template(name) => return Err(unexpanded(&self.cursor, name)),
            _ => {
                let expected = if before.is_empty() { "a field or a constant" } else { "a constant or }" };
                return Err(self.cursor.unexpected(expected));
            }
        };
        if let Some(first) = before.first()
            && first.is_text() != constant.is_text()
        {
            let expected = if first.is_text() { "a port's name" } else { "a number" };
            return Err(self.cursor.unexpected(&format!("{expected}, as the set began")));
        }
        self.cursor.advance();
        Ok(constant)
    }

    /// The comparison, if the field allows it.
    fn test(
        &self,
        field: FieldRef,
        relop: Relop,
        operand: &Operand,
        span: Range<usize>,
    ) -> Result<Expr, SyntaxError> {
        let symbol = field.symbol;
        let refuse = |sentence: String| Err(SyntaxError::new(span.clone(), sentence));
        for constant in &operand.constants {
            let problem = match constant {
                Parsed::Number(number) => misfit(symbol, number.width()),
                Parsed::Set(set) => misfit(symbol, set.width()),
                Parsed::Text(_) | Parsed::Group(_) => misfit_text(symbol),
            };
            if let Some(sentence) = problem {
                return Err(SyntaxError::new(operand.span.clone(), sentence));
            }
        }
        if !relop.is_equality() {
            if symbol.level != Level::Ordinal {
                let level = symbol.level;
                return refuse(format!(
                    "{} is {level} and has no order; compare it by == or !=",
                    symbol.name
                ));
            }
            match operand.constants.as_slice() {
                [Parsed::Number(Number { mask: None, .. })] if !operand.is_set => {}
                [Parsed::Number(_)] if !operand.is_set => {
                    let bits = "eth.src[0..15] > 0x1111";
                    return refuse(format!(
                        "a masked constant has no order; use == or !=, or name the bits, as in {bits}"
                    ));
                }
                _ => return refuse("a set has no order; compare with it by == or !=".to_owned()),
            }
        }
        if symbol.level == Level::Nominal {
            self.check_nominal(field, relop, operand, span)?;
        }
        let items = operand.constants.iter().map(|constant| match constant {
            Parsed::Number(number) => Item::Value(Masked::of(number, field.offset, field.width)),
            Parsed::Text(text) => Item::Text(text.clone()),
            Parsed::Set(set) => Item::Set { set: set.clone(), offset: field.offset, width: field.width },
            Parsed::Group(group) => Item::Group(group.clone()),
        });
        Ok(Test { symbol, relop, items: items.collect() }.canonical())
    }

    /// A nominal field may only be asked whether it has a value, not whether it lacks one, all `!` considered.
    fn check_nominal(
        &self,
        field: FieldRef,
        relop: Relop,
        operand: &Operand,
        span: Range<usize>,
    ) -> Result<(), SyntaxError> {
        let name = field.symbol.name;
        let asks_equality = (relop == Relop::Ne) == self.negated;
        if !matches!(field.symbol.kind, SymbolKind::Predicate(_)) {
            if asks_equality {
                return Ok(());
            }
            let sentence = format!(
                "{name} is nominal: a flow can ask what it is, not what it is not; use == and count the ! around it"
            );
            return Err(SyntaxError::new(span, sentence));
        }
        let is_positive = |value: u128| (value & 1 == 1) == asks_equality;
        let all_positive = operand.constants.iter().all(|constant| match constant {
            Parsed::Number(number) => is_positive(number.value),
            Parsed::Set(set) => set.members().iter().all(|number| is_positive(number.value)),
            Parsed::Text(_) | Parsed::Group(_) => constant.len() == 0,
        });
        if all_positive {
            return Ok(());
        }
        let sentence =
            format!("{name} is nominal: a flow can ask for it, not for its opposite; write {name} alone");
        Err(SyntaxError::new(span, sentence))
    }
}

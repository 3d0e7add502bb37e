//! What it costs to read an expression that heeds no capitals: every letter of every class is looked up in its
//! other case, each time the expression is read, however small it comes out.

use std::convert::Infallible;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    Ast, ClassPerlKind, ClassSetBinaryOp, ClassSetItem, Flag, FlagsItem, FlagsItemKind, Visitor, visit,
};

/// Letters that there are.
const ALL: u64 = char::MAX as u64 + 1;
/// Most letters that classes may have in them, all together: `[\s\S]` twice.
const LETTERS_MAX: u64 = 2 * ALL + ALL / 2;

/// Whether the letters of its classes are few enough to be folded. One that is no expression has none.
pub(super) fn is_light(pattern: &str) -> bool {
    let Ok(expression) = Parser::new().parse(pattern) else { return true };
    let Ok(classes) = visit(&expression, Classes::default());
    let cost = classes.letters.saturating_mul(1 + classes.operations);
    !classes.heeds_no_capitals || cost <= LETTERS_MAX
}

#[derive(Default)]
struct Classes {
    letters: u64,
    /// Each folds both sides once more.
    operations: u64,
    heeds_no_capitals: bool,
}

impl Visitor for Classes {
    type Output = Self;
    type Err = Infallible;

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), Infallible> {
        let flags = match part {
            Ast::Flags(set) => Some(&set.flags),
            Ast::Group(group) => group.flags(),
            Ast::ClassUnicode(_) => {
                self.letters += ALL / 4;
                None
            }
            _ => None,
        };
        let folds = |item: &FlagsItem| item.kind == FlagsItemKind::Flag(Flag::CaseInsensitive);
        self.heeds_no_capitals |= flags.is_some_and(|flags| flags.items.iter().any(folds));
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
        self.letters += match item {
            ClassSetItem::Range(range) => u64::from(u32::from(range.end.c) - u32::from(range.start.c)) + 1,
            ClassSetItem::Bracketed(inner) if inner.negated => ALL,
            ClassSetItem::Unicode(class) if class.is_negated() => ALL,
            ClassSetItem::Perl(class) if class.negated => ALL,
            ClassSetItem::Unicode(_) => ALL / 4,
            ClassSetItem::Perl(class) if class.kind == ClassPerlKind::Word => ALL / 8,
            _ => 1,
        };
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), Infallible> {
        self.operations += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_letters_without_capitals_are_heavy() {
        let wide = "[a-\u{10ffff}]";
        for light in [
            r"(?i)^\[(crash|panic)\]",
            r"(?i)[a-z0-9._-]+@[\w-]+ \w+",
            r"(?i)a[\s\S]*b",
            r"(?i)\pL+-[^ ]+",
            r"(?i)[[:alpha:]&&[^aeiou]]",
            "(",
            &wide.repeat(150),
        ] {
            assert!(is_light(light), "{light}");
        }
        for heavy in [
            &format!("(?i){}", wide.repeat(3)),
            &format!("(?i:a){}", wide.repeat(3)),
            &format!("(?i)[{}b]", "a-\u{10ffff}~~".repeat(2)),
            &format!("(?i)[{}b]", "c&&".repeat(2) + "a-\u{10ffff}"),
            &format!("(?i){}", "[[^a]]".repeat(3)),
            &format!("(?i){}", r"[\W]".repeat(3)),
            &format!("(?i){}", r"[\PL]".repeat(3)),
            &format!("(?i){}", r"[\pL&&a]".repeat(10)),
        ] {
            assert!(!is_light(heavy), "{heavy}");
        }
    }
}

//! What an expression's parts are, and whether they go together.

use std::ops::Range;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo,
    operators as op,
};
use cel::common::types::CelDouble;
use jetstream_core::model::ModelId;
use jetstream_core::model::spelling::nearest;

use super::{Environment, Kind, Mistake, Uses};

/// Checks a tree, and makes whole numbers doubles where they meet numbers of objects.
pub(super) fn check(
    text: &str,
    tree: &mut IdedExpr,
    source: &SourceInfo,
    environment: &Environment,
) -> Result<(Kind, Uses), Vec<Mistake>> {
    let mut check = Check {
        text,
        source,
        environment,
        locals: Vec::new(),
        uses: Uses::default(),
        mistakes: Vec::new(),
    };
    let kind = check.kind(tree);
    if check.mistakes.is_empty() { Ok((kind, check.uses)) } else { Err(check.mistakes) }
}

/// A mistake that the parser found.
pub(super) fn of_parser(text: &str, error: &cel::ParseError) -> Mistake {
    let line_start: usize =
        text.split_inclusive('\n').take((error.pos.0.max(1) - 1) as usize).map(str::len).sum();
    let start = (line_start + error.pos.1.max(0) as usize).min(text.len());
    // The parser names its tokens at length; the place says more.
    let message = error.msg.split(" expecting").next().unwrap_or_default().trim();
    let message =
        format!("this is no expression: {}", message.trim_start_matches("Syntax error: "));
    Mistake { span: start..text.len().min(start + 1), message, help: None }
}

struct Check<'a> {
    text: &'a str,
    source: &'a SourceInfo,
    environment: &'a Environment,
    /// The variables of the loops around.
    locals: Vec<(String, Local)>,
    uses: Uses,
    mistakes: Vec<Mistake>,
}

#[derive(Clone)]
struct Local {
    kind: Kind,
    /// It is what an object refers to, not the object itself.
    referred: bool,
}

impl Check<'_> {
    fn kind(&mut self, expr: &mut IdedExpr) -> Kind {
        let id = expr.id;
        match &mut expr.expr {
            Expr::Literal(literal) => of_literal(literal),
            Expr::Ident(name) => {
                let name = name.clone();
                self.variable(id, &name, None).kind
            }
            Expr::Select(select) => self.select(id, select),
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) => {
                let kinds: Vec<Kind> = list.elements.iter_mut().map(|e| self.kind(e)).collect();
                Kind::List(Box::new(common(kinds)))
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.kind(&mut entry.key);
                        self.kind(&mut entry.value);
                    }
                }
                Kind::Map
            }
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Struct(structure) => {
                let message = format!("there is no type {:?} to make", structure.type_name);
                self.mistake(id, message, None);
                Kind::Any
            }
            // The parser has said what is wrong with it.
            Expr::Unspecified => Kind::Any,
        }
    }

    fn variable(&mut self, id: u64, name: &str, field: Option<&str>) -> Local {
        if let Some((_, local)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return local.clone();
        }
        let Some(kind) = self.environment.variables.get(name) else {
            let names = || self.environment.variables.keys().map(String::as_str);
            let help = match nearest(name, names()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            self.mistake(id, format!("no variable {name:?}"), Some(help));
            return Local { kind: Kind::Any, referred: false };
        };
        self.uses.note(name, field);
        Local { kind: kind.clone(), referred: false }
    }

    /// What an expression is, and whether it is what an object refers to.
    fn operand(&mut self, expr: &mut IdedExpr, field: &str) -> Local {
        let id = expr.id;
        match &mut expr.expr {
            Expr::Ident(name) => {
                let name = name.clone();
                self.variable(id, &name, Some(field))
            }
            _ => Local { kind: self.kind(expr), referred: true },
        }
    }

    fn select(&mut self, id: u64, select: &mut SelectExpr) -> Kind {
        let field = select.field.clone();
        let operand = self.operand(&mut select.operand, &field);
        let kind = match operand.kind {
            Kind::Object(model) => {
                if select.test {
                    let help = format!("compare it with null: `{field} != null`");
                    self.mistake(
                        id,
                        "has() asks for claims and entries, not for properties",
                        Some(help),
                    );
                }
                self.property(id, model, &field, operand.referred)
            }
            Kind::Any | Kind::Map => Kind::Any,
            other => {
                let what = other.name(&self.environment.schema);
                self.mistake(id, format!("{what} has no {field:?}"), None);
                Kind::Any
            }
        };
        if select.test { Kind::Boolean } else { kind }
    }

    fn property(&mut self, id: u64, model: ModelId, name: &str, referred: bool) -> Kind {
        let schema = self.environment.schema.clone();
        let definition = schema.model(model);
        let known = definition.find(name);
        if referred && !self.environment.follows && (known.is_some() || name != "uuid") {
            let message =
                format!("{name:?} is a property of another object than the one that is judged");
            let help = "only `.uuid` of what an object refers to can be seen here".to_owned();
            self.mistake(id, message, Some(help));
            return Kind::Any;
        }
        self.uses.follows |= referred && known.is_some();
        match known {
            Some((_, property)) => Kind::of(&schema, property),
            None if name == "uuid" || name == "clsName" => Kind::Text,
            None => {
                let names = definition.properties().map(|(_, property)| &**property.name());
                let help = nearest(name, names).map(|meant| format!("did you mean {meant:?}?"));
                let message = format!("no property {name:?} on {:?}", definition.name());
                self.mistake(id, message, help);
                Kind::Any
            }
        }
    }

    fn comprehension(&mut self, id: u64, loops: &mut ComprehensionExpr) -> Kind {
        let range = self.kind(&mut loops.iter_range);
        let element = match range {
            Kind::List(element) => *element,
            Kind::Any | Kind::Map => Kind::Any,
            other => {
                let what = other.name(&self.environment.schema);
                self.mistake(id, format!("{what} is no list to go through"), None);
                Kind::Any
            }
        };
        let gathered = match self.kind(&mut loops.accu_init) {
            Kind::List(_) => Kind::List(Box::new(Kind::Any)),
            other => other,
        };
        let before = self.locals.len();
        self.locals.push((loops.iter_var.clone(), Local { kind: element, referred: true }));
        if let Some(second) = &loops.iter_var2 {
            self.locals.push((second.clone(), Local { kind: Kind::Any, referred: true }));
        }
        self.locals.push((loops.accu_var.clone(), Local { kind: gathered, referred: true }));
        self.kind(&mut loops.loop_cond);
        self.kind(&mut loops.loop_step);
        let kind = self.kind(&mut loops.result);
        self.locals.truncate(before);
        kind
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Kind {
        let mut parts: Vec<&mut IdedExpr> =
            call.target.as_deref_mut().into_iter().chain(&mut call.args).collect();
        let kinds: Vec<Kind> = parts.iter_mut().map(|part| self.kind(part)).collect();
        match (call.func_name.as_str(), kinds.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR, [a, b]) => {
                self.conditions(id, &[a, b]);
                Kind::Boolean
            }
            (op::LOGICAL_NOT, [a]) => {
                self.conditions(id, &[a]);
                Kind::Boolean
            }
            (op::NOT_STRICTLY_FALSE, _) => Kind::Boolean,
            (op::CONDITIONAL, [condition, a, b]) => {
                self.conditions(id, &[condition]);
                common(vec![a.clone(), b.clone()])
            }
            (op::EQUALS | op::NOT_EQUALS, [a, b]) => {
                self.comparable(id, a, b);
                Kind::Boolean
            }
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => {
                self.ordered(id, a, b);
                Kind::Boolean
            }
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => {
                let (name, a, b) = (call.func_name.as_str(), a.clone(), b.clone());
                let [left, right] = parts.as_mut_slice() else { return Kind::Any };
                as_number_beside(left, &b);
                as_number_beside(right, &a);
                self.arithmetic(id, name, &a, &b)
            }
            (op::NEGATE, [a]) => {
                if !a.is_number() {
                    self.wrong(id, "-", a);
                }
                a.clone()
            }
            (op::INDEX, [list, _]) => self.element(id, list),
            (op::IN, [a, list]) => {
                let element = self.element(id, list);
                self.comparable(id, a, &element);
                Kind::Boolean
            }
            (name, kinds) => {
                let name = name.to_owned();
                self.function(id, &name, kinds)
            }
        }
    }

    fn function(&mut self, id: u64, name: &str, kinds: &[Kind]) -> Kind {
        let text = |kind: &Kind| matches!(kind, Kind::Text | Kind::Any);
        let (fits, result) = match (name, kinds) {
            ("size", [of]) => {
                (matches!(of, Kind::Any | Kind::Text | Kind::List(_) | Kind::Map), Kind::Integer)
            }
            ("startsWith" | "endsWith" | "contains" | "matches", [a, b]) => {
                (text(a) && text(b), Kind::Boolean)
            }
            ("string", [_]) => (true, Kind::Text),
            ("int", [of]) => (of.is_number() || text(of), Kind::Integer),
            ("double", [of]) => (of.is_number() || text(of), Kind::Number),
            _ => {
                let names = FUNCTIONS.iter().copied();
                let help = match nearest(name, names) {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => format!("there are: {}", FUNCTIONS.join(", ")),
                };
                let counts = FUNCTIONS.contains(&name);
                let message = if counts {
                    format!("{name:?} takes another number of values")
                } else {
                    format!("no function {name:?}")
                };
                self.mistake(id, message, (!counts).then_some(help));
                return Kind::Any;
            }
        };
        if !fits {
            let of = kinds.iter().map(|kind| kind.name(&self.environment.schema));
            let message =
                format!("{name:?} does not take {}", of.collect::<Vec<_>>().join(" and "));
            self.mistake(id, message, None);
        }
        result
    }

    fn conditions(&mut self, id: u64, kinds: &[&Kind]) {
        for kind in kinds {
            if !matches!(kind, Kind::Any | Kind::Boolean) {
                let what = kind.name(&self.environment.schema);
                self.mistake(id, format!("{what} is neither true nor false"), None);
            }
        }
    }

    fn comparable(&mut self, id: u64, a: &Kind, b: &Kind) {
        if a.compares_with(b) {
            return;
        }
        let schema = &self.environment.schema;
        let message = format!("{} is never equal to {}", a.name(schema), b.name(schema));
        let object = matches!(a, Kind::Object(_)) || matches!(b, Kind::Object(_));
        let help = object.then(|| "an object is known by its `.uuid`".to_owned());
        self.mistake(id, message, help);
    }

    fn ordered(&mut self, id: u64, a: &Kind, b: &Kind) {
        let texts = [a, b].iter().all(|kind| matches!(kind, Kind::Any | Kind::Text));
        let truths = [a, b].iter().all(|kind| matches!(kind, Kind::Any | Kind::Boolean));
        if !(texts || truths || (a.is_number() && b.is_number())) {
            let schema = &self.environment.schema;
            let message =
                format!("{} cannot be put in order with {}", a.name(schema), b.name(schema));
            self.mistake(id, message, None);
        }
    }

    fn arithmetic(&mut self, id: u64, name: &str, a: &Kind, b: &Kind) -> Kind {
        let sign = name.trim_matches('_').to_owned();
        match (a, b) {
            (Kind::Any, other) | (other, Kind::Any) => {
                let additive = name == op::ADD;
                let fits =
                    other.is_number() || (additive && matches!(other, Kind::Text | Kind::List(_)));
                if !fits {
                    self.wrong(id, &sign, other);
                }
                if other.is_number() { Kind::Any } else { other.clone() }
            }
            (Kind::Integer, Kind::Integer) => Kind::Integer,
            (a, b) if a.is_number() && b.is_number() && name != op::MODULO => Kind::Number,
            (Kind::Text, Kind::Text) if name == op::ADD => Kind::Text,
            (Kind::List(a), Kind::List(b)) if name == op::ADD => {
                Kind::List(Box::new(common(vec![(**a).clone(), (**b).clone()])))
            }
            (a, b) => {
                self.wrong(id, &sign, if a.is_number() && name != op::MODULO { b } else { a });
                Kind::Any
            }
        }
    }

    fn element(&mut self, id: u64, list: &Kind) -> Kind {
        match list {
            Kind::List(element) => (**element).clone(),
            Kind::Any | Kind::Map => Kind::Any,
            other => {
                let what = other.name(&self.environment.schema);
                self.mistake(id, format!("{what} holds no elements"), None);
                Kind::Any
            }
        }
    }

    fn wrong(&mut self, id: u64, sign: &str, kind: &Kind) {
        let what = kind.name(&self.environment.schema);
        self.mistake(id, format!("`{sign}` does not take {what}"), None);
    }

    fn mistake(&mut self, id: u64, message: impl Into<String>, help: Option<String>) {
        let span = self.span(id);
        self.mistakes.push(Mistake { span, message: message.into(), help });
    }

    /// Where a part stands, as far as the parser knows.
    fn span(&self, id: u64) -> Range<usize> {
        let Some((start, stop)) = self.source.offset_for(id) else { return 0..self.text.len() };
        let byte = |place: usize| {
            self.text.char_indices().nth(place).map_or(self.text.len(), |(byte, _)| byte)
        };
        byte(start as usize)..byte(stop as usize + 1).max(byte(start as usize))
    }
}

fn of_literal(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Boolean,
        LiteralValue::Double(_) => Kind::Number,
        LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Integer,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) => Kind::Any,
    }
}

/// The kind of a value that is one of several.
fn common(kinds: Vec<Kind>) -> Kind {
    let mut said = kinds.into_iter().filter(|kind| *kind != Kind::Null);
    let Some(first) = said.next() else { return Kind::Any };
    if said.all(|kind| kind == first) { first } else { Kind::Any }
}

/// A whole number beside a number of an object, or a claim, is meant as a number.
fn as_number_beside(expr: &mut IdedExpr, other: &Kind) {
    if !matches!(other, Kind::Number | Kind::Any) {
        return;
    }
    if let Expr::Literal(literal) = &mut expr.expr
        && let LiteralValue::Int(whole) = literal
    {
        *literal = LiteralValue::Double(CelDouble::from(*whole.inner() as f64));
    }
}

/// What can be called, by name.
const FUNCTIONS: [&str; 8] =
    ["size", "startsWith", "endsWith", "contains", "matches", "string", "int", "double"];

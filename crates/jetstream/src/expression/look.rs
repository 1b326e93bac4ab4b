//! What an expression looked at, for people who want to know why it said what it said.

use cel::Value as Cel;
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use serde_json::Value as Json;

use super::{Bindings, EvaluationError, Expression, in_words, seen, with_context};

/// A value that an expression names.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// As it is written: `object.owner`.
    pub path: String,
    /// What it is; an object is its uuid.
    pub value: Result<Json, EvaluationError>,
}

impl Expression {
    /// The values that it names, each once, in the order in which they stand there. What it calls an
    /// element of a list by has no value of its own.
    pub fn looks(&self, bindings: &Bindings<'_>) -> Vec<Looked> {
        let mut paths = Vec::new();
        gather(&self.tree, &mut Vec::new(), &mut paths);
        let mut looked: Vec<Looked> = Vec::new();
        for (path, part) in paths {
            if looked.iter().all(|known| known.path != path) {
                looked.push(Looked { path, value: value(part, bindings) });
            }
        }
        looked
    }
}

fn value(part: &IdedExpr, bindings: &Bindings<'_>) -> Result<Json, EvaluationError> {
    let found = with_context(bindings, |context| {
        let value = Cel::resolve_val(part, context);
        value.map(|value| seen::to_json(&*value)).map_err(|e| EvaluationError::Failed(in_words(&e)))
    })?;
    found.ok_or_else(|| EvaluationError::Failed("its value has no form in JSON".to_owned()))
}

/// Finds names and what is selected of them, but for the variables of loops.
fn gather<'a>(
    expr: &'a IdedExpr,
    locals: &mut Vec<&'a str>,
    paths: &mut Vec<(String, &'a IdedExpr)>,
) {
    if let Some(path) = path(expr, locals) {
        paths.push((path, expr));
        return;
    }
    match &expr.expr {
        Expr::Select(select) => gather(&select.operand, locals, paths),
        Expr::Call(call) => {
            let parts = call.target.as_deref().into_iter().chain(&call.args);
            parts.for_each(|part| gather(part, locals, paths));
        }
        Expr::List(list) => list.elements.iter().for_each(|part| gather(part, locals, paths)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    gather(&entry.key, locals, paths);
                    gather(&entry.value, locals, paths);
                }
            }
        }
        Expr::Comprehension(loops) => {
            gather(&loops.iter_range, locals, paths);
            gather(&loops.accu_init, locals, paths);
            let before = locals.len();
            locals.push(&loops.iter_var);
            locals.extend(loops.iter_var2.as_deref());
            locals.push(&loops.accu_var);
            gather(&loops.loop_cond, locals, paths);
            gather(&loops.loop_step, locals, paths);
            gather(&loops.result, locals, paths);
            locals.truncate(before);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// `a.b.c`, if that is all that it is and `a` is no variable of a loop.
fn path(expr: &IdedExpr, locals: &[&str]) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => (!locals.contains(&name.as_str())).then(|| name.clone()),
        // Asking whether there is something is no value of its own.
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", path(&select.operand, locals)?, select.field))
        }
        _ => None,
    }
}

//! Marks in a plan, so that a run can say where its time goes.

use crate::kernels::Scheduled;
use kiln_loops::plan::{Plan, Stmt};

/// A place of which the time is measured.
#[derive(Clone, Debug)]
pub struct Site {
    /// What is computed there.
    pub name: String,
    /// Multiply-adds of one visit, where there is a count.
    pub multiply_adds: Option<u64>,
    /// What is computed, where there are several ways ([`kiln_kernels::kernels::KernelDesc::problem`]).
    pub problem: Option<String>,
}

/// Puts a mark after every statement of a plan's methods that computes. The sites are numbered in the order of the result.
pub fn instrument(plan: &mut Plan<Scheduled>) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut methods = std::mem::take(&mut plan.methods);
    for method in &mut methods {
        let body = std::mem::take(&mut method.body);
        method.body = with_marks(plan, body, &mut sites);
    }
    plan.methods = methods;
    sites
}

fn with_marks(plan: &Plan<Scheduled>, body: Vec<Stmt>, sites: &mut Vec<Site>) -> Vec<Stmt> {
    let mut marked = Vec::with_capacity(2 * body.len());
    for mut stmt in body {
        match &mut stmt {
            Stmt::If { then, orelse, .. } => {
                *then = with_marks(plan, std::mem::take(then), sites);
                *orelse = with_marks(plan, std::mem::take(orelse), sites);
            }
            Stmt::Loop { body } => *body = with_marks(plan, std::mem::take(body), sites),
            _ => {}
        }
        let site = site(plan, &stmt);
        marked.push(stmt);
        if let Some(site) = site {
            marked.push(Stmt::Mark(sites.len() as u32));
            sites.push(site);
        }
    }
    marked
}

/// The site of the first statement that computes, in loops, too.
fn inside(plan: &Plan<Scheduled>, body: &[Stmt]) -> Option<Site> {
    body.iter().find_map(|stmt| match stmt {
        Stmt::Loop { body } => inside(plan, body),
        stmt => site(plan, stmt),
    })
}

fn site(plan: &Plan<Scheduled>, stmt: &Stmt) -> Option<Site> {
    let plain = |name: String| Some(Site { name, multiply_adds: None, problem: None });
    match stmt {
        Stmt::Kernel { id, .. } => {
            let desc = &plan.kernels.get(*id)?.desc;
            Some(Site { name: desc.to_string(), multiply_adds: desc.multiply_adds(), problem: desc.problem() })
        }
        // Threads do not mark: what they share is one visit.
        Stmt::Parallel { body, .. } => {
            let inside = inside(plan, body)?;
            Some(Site { name: inside.name + " in parallel", multiply_adds: None, ..inside })
        }
        Stmt::Compute { id, .. } => plain(format!("loop nest {}", plan.computes.get(*id)?.name)),
        Stmt::Runtime { name, .. } => plain(format!("runtime {name}")),
        Stmt::CopyBytes { .. } => plain("copy".into()),
        Stmt::ZeroBytes { .. } => plain("zero".into()),
        _ => None,
    }
}

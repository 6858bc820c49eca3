//! Asks what a table says, as every kind of caller, and compares.
//!
//! Beside the status, each answer is held to this: it shows what was planted among tenant `a`'s things to whom the table
//! says, and to nobody else; the request changes something for whom the table says, and for nobody else; and who has
//! nothing to do with that tenant gets the same answer in a world without it, byte by byte but for fresh ids.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

use crate::callers::{Caller, Callers};
use crate::table::{Names, Row, Table};
use crate::world::{Answer, Question, Tenants, World};

/// One verb on one path.
pub(crate) struct Operation {
    /// Method and path with `{parameters}`.
    pub(crate) route: String,
    /// Statuses that the document promises.
    pub(crate) promised: Vec<u16>,
}

/// A world in the making.
pub(crate) type Building = Pin<Box<dyn Future<Output = World> + Send>>;

/// What is put under the matrix.
pub(crate) struct Api {
    pub(crate) operations: Vec<Operation>,
    pub(crate) table: &'static str,
    /// Names of the sets of rules under which it is asked.
    pub(crate) rule_sets: &'static [&'static str],
    /// Builds a fresh world under a set of rules.
    pub(crate) world: fn(Arc<Callers>, Tenants, &'static str) -> Building,
}

/// Fails unless each route has a row under each set of rules, and each row a route.
pub(crate) fn require_rows(api: &Api) {
    let table = Table::read(api.table);
    let mut wrong = Vec::new();
    for rules in api.rule_sets {
        let has_row = |operation: &&Operation| {
            table.rows.iter().any(|row| row.route == operation.route && row.holds_for(rules))
        };
        let missing = api.operations.iter().filter(|operation| !has_row(operation));
        wrong
            .extend(missing.map(|operation| format!("{} has no row for the rules {rules}", operation.route)));
    }
    let known = |row: &&Row| api.operations.iter().any(|operation| operation.route == row.route);
    wrong.extend(table.rows.iter().filter(|row| !known(row)).map(|row| format!("no route {}", row.route)));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Asks everything as everybody under every set of rules; fails with all that is not as the table says.
pub(crate) async fn run(api: &Api) {
    require_rows(api);
    let problems = problems(api, |_| true).await;
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// What is not as the table says, of some of its rows.
pub(crate) async fn problems(api: &Api, wanted: fn(&Row) -> bool) -> Vec<String> {
    let table = Table::read(api.table);
    let callers = Arc::new(Callers::sign_in().await);
    let mut problems = Vec::new();
    for rules in api.rule_sets {
        let mut trial = Trial::begin(api, &table, &callers, rules).await;
        for row in table.rows.iter().filter(|row| row.holds_for(rules) && wanted(row)) {
            for caller in &callers.all {
                trial.judge(row, caller).await;
            }
        }
        println!("{} rules: {} requests, {} worlds", rules, trial.asked, trial.worlds);
        problems.extend(trial.problems);
    }
    problems
}

/// The matrix under one set of rules, on its way.
struct Trial<'a> {
    api: &'a Api,
    table: &'a Table,
    callers: &'a Arc<Callers>,
    rules: &'static str,
    /// With both tenants, as it was made.
    full: World,
    /// Without tenant `a`.
    bare: World,
    /// What there is in them before a request.
    before: Seen,
    before_in_bare: Seen,
    asked: usize,
    worlds: usize,
    problems: Vec<String>,
}

/// What there is.
#[derive(PartialEq, Eq)]
struct Seen {
    by_admin: Vec<String>,
    by_member: Vec<String>,
}

impl Seen {
    async fn of(world: &World, callers: &Callers) -> Self {
        Self {
            by_admin: world.seen_by(callers.named("admin"), &world.watched).await,
            by_member: world.seen_by(callers.named("member"), &world.watched_by_a).await,
        }
    }
}

impl<'a> Trial<'a> {
    async fn begin(api: &'a Api, table: &'a Table, callers: &'a Arc<Callers>, rules: &'static str) -> Self {
        let build = |tenants| (api.world)(Arc::clone(callers), tenants, rules);
        let (full, bare) = (build(Tenants::Both).await, build(Tenants::OnlyB).await);
        let same = bare.names.iter().all(|(name, id)| full.names.get(name) == Some(id));
        assert!(same, "tenant b has the same ids in both worlds: {:?} {:?}", full.names, bare.names);
        let (before, before_in_bare) = (Seen::of(&full, callers).await, Seen::of(&bare, callers).await);
        let problems = Vec::new();
        Self { api, table, callers, rules, full, bare, before, before_in_bare, asked: 0, worlds: 2, problems }
    }

    async fn fresh(&mut self, tenants: Tenants) -> World {
        self.worlds += 1;
        (self.api.world)(Arc::clone(self.callers), tenants, self.rules).await
    }

    async fn judge(&mut self, row: &Row, caller: &Caller) {
        let question = self.full.question(row);
        let answer = self.full.ask(caller, &question).await;
        self.asked += 1;
        let wanted = self.table.status(row, caller);
        let whose = Whose { row, caller, column: self.table.column(caller), wanted };
        let mut wrong = self.wrong_status(whose, &answer);
        wrong.extend(self.wrong_sight(whose, &question, &answer));
        if caller.is_blind {
            let other = self.bare.ask(caller, &question).await;
            wrong.extend(wrong_notice(whose, &question, [&answer, &other]));
        }
        if row.method() != "GET" {
            let after = Seen::of(&self.full, self.callers).await;
            wrong.extend(self.wrong_change(whose, &after));
            if after != self.before {
                self.full = self.fresh(Tenants::Both).await;
            }
            if caller.is_blind && Seen::of(&self.bare, self.callers).await != self.before_in_bare {
                self.bare = self.fresh(Tenants::OnlyB).await;
            }
        }
        let title = |text: String| format!("{} as {}: {text}", row.title(), caller.name);
        self.problems.extend(wrong.into_iter().map(title));
    }

    fn wrong_status(&self, whose: Whose<'_>, answer: &Answer) -> Vec<String> {
        let mut wrong = Vec::new();
        if answer.status != whose.wanted {
            wrong.push(format!("{} instead of {}: {}", answer.status, whose.wanted, answer.body));
        }
        let operation = self.api.operations.iter().find(|operation| operation.route == whose.row.route);
        if operation.is_none_or(|operation| !operation.promised.contains(&answer.status)) {
            wrong.push(format!("the document does not promise {}", answer.status));
        }
        wrong
    }

    /// What the answer shows and should not, or does not show and should. What the caller has said itself is no news.
    fn wrong_sight(&self, whose: Whose<'_>, question: &Question, answer: &Answer) -> Option<String> {
        let said = question.text();
        let unsaid = self.full.planted.iter().filter(|planted| !said.contains(planted.as_str()));
        let shown: Vec<_> = unsaid.filter(|planted| answer.text.contains(planted.as_str())).collect();
        match (whose.is_among(&whose.row.sees), shown.is_empty()) {
            (false, false) => Some(format!("sees {shown:?}: {}", answer.text)),
            (true, true) => Some(format!("sees nothing that was planted: {}", answer.text)),
            _ => None,
        }
    }

    fn wrong_change(&self, whose: Whose<'_>, after: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        let before = &self.before;
        match (whose.is_among(&whose.row.changes), *after != *before) {
            (false, true) => {
                let changed =
                    after.by_admin.iter().zip(&before.by_admin).find(|(after, before)| after != before);
                wrong.push(format!("changes something: {changed:?}"));
            }
            (true, false) => wrong.push("changes nothing".to_owned()),
            _ => {}
        }
        let meddled = whose.caller.is_blind && after.by_member != before.by_member;
        if meddled != (whose.caller.is_blind && whose.is_among(&whose.row.meddles)) {
            wrong.push(format!("meddles with the other tenant's things: {meddled}"));
        }
        wrong
    }
}

/// What a row says about one caller.
#[derive(Clone, Copy)]
struct Whose<'a> {
    row: &'a Row,
    caller: &'a Caller,
    column: &'static str,
    /// The status that it should get.
    wanted: u16,
}

impl Whose<'_> {
    fn is_among(self, names: &Names) -> bool {
        names.have(self.column, self.wanted)
    }
}

/// Whether the answers of the worlds with and without the other tenant differ, where they should not, or do not where the
/// table says that they do.
fn wrong_notice(whose: Whose<'_>, question: &Question, answers: [&Answer; 2]) -> Option<String> {
    let said = question.text();
    let [here, there] = answers.map(|answer| (answer.status, without_fresh_ids(&answer.text, &said)));
    match (whose.is_among(&whose.row.notices), here == there) {
        (false, false) => Some(format!("notices the other tenant: {here:?}, and without it {there:?}")),
        (true, true) => Some(format!("notices nothing of the other tenant: {here:?}")),
        _ => None,
    }
}

/// `text` with ids that the caller has not given replaced by numbers, in the order in which they come.
fn without_fresh_ids(text: &str, said: &str) -> String {
    const LENGTH: usize = 36;
    let mut fresh: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let id = rest.get(..LENGTH).filter(|word| Uuid::try_parse(word).is_ok() && !said.contains(word));
        match id {
            Some(id) => {
                let number = fresh.iter().position(|known| *known == id).unwrap_or_else(|| {
                    fresh.push(id);
                    fresh.len() - 1
                });
                out.push_str(&format!("#{number}"));
                rest = &rest[LENGTH..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

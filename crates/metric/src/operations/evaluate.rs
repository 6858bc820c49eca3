//! Operations evaluated over the series of one granularity.

use std::collections::HashMap;

use nephometer_series::matrix::{Matrix, Operand, OperationError, binary, clip, unary};
use serde_json::Value;

use super::{Node, OperationsError, Reference, SeriesName};

/// What operations come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluated {
    /// The series.
    pub(crate) matrix: Matrix,
    /// Whether it is one series made of several, or still one for each reference.
    pub(crate) aggregated: bool,
}

/// Evaluates `node`. `series` are the names and methods by which nodes refer to the columns of `matrix`.
pub(crate) fn evaluate(
    node: &Node,
    matrix: &Matrix,
    series: &[SeriesName],
) -> Result<Evaluated, OperationsError> {
    let mut columns: HashMap<_, Vec<usize>> = HashMap::new();
    for (column, (name, method)) in series.iter().enumerate() {
        columns.entry((name.as_str(), method.as_str())).or_default().push(column);
    }
    let (operand, aggregated) = Evaluation { matrix, series, columns }.operand(node)?;
    match operand {
        Operand::Series(matrix) => Ok(Evaluated { matrix, aggregated }),
        Operand::Number(_) => Err(OperationsError::NeedsSeries("metric")),
    }
}

struct Evaluation<'a> {
    matrix: &'a Matrix,
    series: &'a [SeriesName],
    /// Columns by name and method.
    columns: HashMap<(&'a str, &'a str), Vec<usize>>,
}

/// An operand, and whether it is one series made of several.
type Answer = Result<(Operand, bool), OperationsError>;

impl Evaluation<'_> {
    fn failed(&self, error: OperationError, operands: &[Value]) -> OperationsError {
        OperationsError::Operation { error, operands: operands.to_vec(), series: self.series.to_vec() }
    }

    fn operand(&self, node: &Node) -> Answer {
        let whole = |error| self.failed(error, &[]);
        match node {
            Node::Number(number) => Ok((Operand::Number(*number), false)),
            Node::Metric(references) => Ok((Operand::Series(self.selected(references)), false)),
            Node::Aggregate(method, nodes) => {
                let parts = nodes.iter().map(|node| Ok(self.of_series("aggregate", node)?.0));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let joined = Matrix::join(parts).map_err(whole)?;
                let joined = joined.ok_or(OperationsError::NeedsSeries("aggregate"))?;
                Ok((Operand::Series(joined.aggregate(*method)), true))
            }
            Node::Rolling(method, window, node) => {
                self.by_series("rolling", node, |matrix| matrix.rolling(*method, *window).map_err(whole))
            }
            Node::Resample(method, grouping, node) => {
                self.by_series("resample", node, |matrix| Ok(matrix.resample(*grouping, *method)))
            }
            Node::RateOfChange { per_second: false, node } => {
                self.by_series("rateofchange", node, |matrix| Ok(matrix.rate_of_change()))
            }
            Node::RateOfChange { per_second: true, node } => {
                self.by_series("rateofchangesec", node, |matrix| Ok(matrix.rate_of_change_per_second()))
            }
            Node::Unary(op, node) => {
                let (operand, aggregated) = self.operand(node)?;
                Ok((unary(*op, operand), aggregated))
            }
            Node::Binary(op, nodes, written) => self.element_wise(&**nodes, written, |operands| {
                let [left, right] = operands.try_into().ok()?;
                Some(binary(*op, left, right))
            }),
            Node::Clip(nodes, written) => self.element_wise(nodes, written, |operands| {
                let mut operands = operands.into_iter();
                Some(clip(operands.next()?, operands.next()?, operands.next()))
            }),
        }
    }

    /// The columns of all series that are referred to, in their order.
    fn selected(&self, references: &[Reference]) -> Matrix {
        let mut columns: Vec<usize> = Vec::new();
        for reference in references {
            let key = (reference.name.as_str(), reference.method.as_str());
            columns.extend(self.columns.get(&key).into_iter().flatten());
        }
        columns.sort_unstable();
        columns.dedup();
        self.matrix.select(&columns)
    }

    fn of_series(&self, operation: &'static str, node: &Node) -> Result<(Matrix, bool), OperationsError> {
        match self.operand(node)? {
            (Operand::Series(matrix), aggregated) => Ok((matrix, aggregated)),
            (Operand::Number(_), _) => Err(OperationsError::NeedsSeries(operation)),
        }
    }

    /// What `apply` makes of each series of `node` by itself.
    fn by_series(
        &self,
        operation: &'static str,
        node: &Node,
        apply: impl FnOnce(Matrix) -> Result<Matrix, OperationsError>,
    ) -> Answer {
        let (matrix, aggregated) = self.of_series(operation, node)?;
        Ok((Operand::Series(apply(matrix)?), aggregated))
    }

    /// Two series or more make an aggregated one.
    fn element_wise(
        &self,
        nodes: &[Node],
        written: &[Value],
        apply: impl FnOnce(Vec<Operand>) -> Option<Result<Operand, OperationError>>,
    ) -> Answer {
        let operands = nodes.iter().map(|node| self.operand(node)).collect::<Result<Vec<_>, _>>()?;
        let series = operands.iter().filter(|(operand, _)| matches!(operand, Operand::Series(_))).count();
        let aggregated = series > 1 || operands.iter().any(|(_, aggregated)| *aggregated);
        let result = apply(operands.into_iter().map(|(operand, _)| operand).collect());
        let result = result.ok_or(OperationsError::NeedsSeries("clip"))?;
        Ok((result.map_err(|error| self.failed(error, written))?, aggregated))
    }
}

//! Operations evaluated over the series of one granularity.

use nephometer_series::matrix::{Matrix, Operand, OperationError, binary, clip, unary};
use serde_json::Value;

use super::{Node, OperationsError, SeriesName};

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
    let (operand, aggregated) = Evaluation { matrix, series }.operand(node)?;
    match operand {
        Operand::Series(matrix) => Ok(Evaluated { matrix, aggregated }),
        Operand::Number(_) => Err(OperationsError::NeedsSeries("metric")),
    }
}

struct Evaluation<'a> {
    matrix: &'a Matrix,
    series: &'a [SeriesName],
}

type Answer = Result<(Operand, bool), OperationsError>;

impl Evaluation<'_> {
    fn failed(&self, error: OperationError, operands: &[Value]) -> OperationsError {
        OperationsError::Operation { error, operands: operands.to_vec(), series: self.series.to_vec() }
    }

    fn operand(&self, node: &Node) -> Answer {
        match node {
            Node::Number(number) => Ok((Operand::Number(*number), false)),
            Node::Metric(references) => {
                let wanted = |(name, method): &SeriesName| {
                    references.iter().any(|reference| reference.name == *name && reference.method == *method)
                };
                let columns: Vec<_> = (0..self.series.len()).filter(|at| wanted(&self.series[*at])).collect();
                Ok((Operand::Series(self.matrix.select(&columns)), false))
            }
            Node::Aggregate(method, nodes) => {
                let parts = nodes
                    .iter()
                    .map(|node| Ok(self.of_series("aggregate", node)?.0))
                    .collect::<Result<Vec<_>, _>>()?;
                let joined = Matrix::join(parts).map_err(|error| self.failed(error, &[]))?;
                let joined = joined.ok_or(OperationsError::NeedsSeries("aggregate"))?;
                Ok((Operand::Series(joined.aggregate(*method)), true))
            }
            Node::Rolling(method, window, node) => {
                let (matrix, aggregated) = self.of_series("rolling", node)?;
                let rolled = matrix.rolling(*method, *window).map_err(|error| self.failed(error, &[]))?;
                Ok((Operand::Series(rolled), aggregated))
            }
            Node::Resample(method, grouping, node) => {
                let (matrix, aggregated) = self.of_series("resample", node)?;
                Ok((Operand::Series(matrix.resample(*grouping, *method)), aggregated))
            }
            Node::Unary(op, node) => {
                let (operand, aggregated) = self.operand(node)?;
                Ok((unary(*op, operand), aggregated))
            }
            Node::RateOfChange { per_second: false, node } => {
                let (matrix, aggregated) = self.of_series("rateofchange", node)?;
                Ok((Operand::Series(matrix.rate_of_change()), aggregated))
            }
            Node::RateOfChange { per_second: true, node } => {
                let (matrix, aggregated) = self.of_series("rateofchangesec", node)?;
                Ok((Operand::Series(matrix.rate_of_change_per_second()), aggregated))
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

    fn of_series(&self, operation: &'static str, node: &Node) -> Result<(Matrix, bool), OperationsError> {
        match self.operand(node)? {
            (Operand::Series(matrix), aggregated) => Ok((matrix, aggregated)),
            (Operand::Number(_), _) => Err(OperationsError::NeedsSeries(operation)),
        }
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

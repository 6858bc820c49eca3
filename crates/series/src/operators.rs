//! Element-wise operators of the operations language and of value searches, on single numbers.
//!
//! They follow IEEE 754 and NumPy where IEEE leaves a choice. (Gnocchi's REST behaviour, dynamic aggregates.)

/// An operator over two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// Equal: 1 or 0, as all comparisons; NaN equals nothing.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Remainder with the sign of the divisor; NaN for a divisor of zero.
    Mod,
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient; by zero infinite or NaN.
    Div,
    /// Power.
    Pow,
    /// The larger one; a NaN is ignored where the other is a number.
    Max,
    /// The left one, but at least the right one; NaN where either is.
    ClipMin,
    /// The left one, but at most the right one; NaN where either is.
    ClipMax,
}

/// An operator over one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// Without its sign.
    Abs,
    /// With the other sign.
    Neg,
    /// Cosine of radians.
    Cos,
    /// Sine of radians.
    Sin,
    /// Tangent of radians.
    Tan,
    /// The next integer below.
    Floor,
    /// The next integer above.
    Ceil,
}

impl BinaryOp {
    /// The operator that upstream calls `name`, in any of its spellings.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "=" | "==" | "eq" => Self::Eq,
            "!=" | "≠" | "ne" => Self::Ne,
            "<" | "lt" => Self::Lt,
            "<=" | "≤" | "le" => Self::Le,
            ">" | "gt" => Self::Gt,
            ">=" | "≥" | "ge" => Self::Ge,
            "%" | "mod" => Self::Mod,
            "+" | "add" => Self::Add,
            "-" | "sub" => Self::Sub,
            "*" | "×" | "mul" => Self::Mul,
            "/" | "÷" | "div" => Self::Div,
            "**" | "^" | "pow" => Self::Pow,
            "max" => Self::Max,
            "clip_min" => Self::ClipMin,
            "clip_max" => Self::ClipMax,
            _ => return None,
        })
    }

    /// Whether value searches know it too, and not only operations.
    pub const fn in_searches(self) -> bool {
        !matches!(self, Self::Max | Self::ClipMin | Self::ClipMax)
    }

    /// The result for two numbers.
    pub fn apply(self, left: f64, right: f64) -> f64 {
        let truth = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Eq => truth(left == right),
            Self::Ne => truth(left != right),
            Self::Lt => truth(left < right),
            Self::Le => truth(left <= right),
            Self::Gt => truth(left > right),
            Self::Ge => truth(left >= right),
            Self::Mod => modulo(left, right),
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div => left / right,
            Self::Pow => left.powf(right),
            Self::Max => left.max(right),
            Self::ClipMin => clip(left, right, left < right),
            Self::ClipMax => clip(left, right, left > right),
        }
    }
}

impl UnaryOp {
    /// The operator that upstream calls `name`, in any of its spellings.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "abs" | "absolute" => Self::Abs,
            "neg" | "negative" => Self::Neg,
            "cos" => Self::Cos,
            "sin" => Self::Sin,
            "tan" => Self::Tan,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            _ => return None,
        })
    }

    /// The result for one number.
    pub fn apply(self, value: f64) -> f64 {
        match self {
            Self::Abs => value.abs(),
            Self::Neg => -value,
            Self::Cos => value.cos(),
            Self::Sin => value.sin(),
            Self::Tan => value.tan(),
            Self::Floor => value.floor(),
            Self::Ceil => value.ceil(),
        }
    }
}

fn modulo(left: f64, right: f64) -> f64 {
    let rest = left % right;
    if right == 0.0 {
        rest
    } else if rest == 0.0 {
        0.0_f64.copysign(right)
    } else if (rest < 0.0) != (right < 0.0) {
        rest + right
    } else {
        rest
    }
}

fn clip(value: f64, bound: f64, beyond: bool) -> f64 {
    if beyond || bound.is_nan() { bound } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_take_the_sign_of_the_divisor() {
        let modulo = |a: f64, b: f64| BinaryOp::Mod.apply(a, b);
        assert_eq!((modulo(7.0, 3.0), modulo(-7.0, 3.0), modulo(7.0, -3.0)), (1.0, 2.0, -2.0));
        assert_eq!(modulo(-2.0, 3.0), 1.0);
        assert!(modulo(1.0, 0.0).is_nan());
        assert_eq!(modulo(-1.0, f64::INFINITY), f64::INFINITY);
        assert!(modulo(-6.0, 3.0).is_sign_positive() && modulo(6.0, -3.0).is_sign_negative());
    }

    #[test]
    fn nan_is_ignored_by_max_and_kept_by_clip() {
        let nan = f64::NAN;
        assert_eq!(BinaryOp::Max.apply(nan, 2.0), 2.0);
        assert_eq!(BinaryOp::Max.apply(2.0, nan), 2.0);
        assert!(BinaryOp::ClipMin.apply(nan, 2.0).is_nan());
        assert!(BinaryOp::ClipMax.apply(2.0, nan).is_nan());
        assert_eq!(BinaryOp::ClipMin.apply(1.0, 2.0), 2.0);
        assert_eq!(BinaryOp::ClipMax.apply(1.0, 2.0), 1.0);
        assert_eq!((BinaryOp::Eq.apply(nan, nan), BinaryOp::Ne.apply(nan, nan)), (0.0, 1.0));
    }

    #[test]
    fn division_by_zero_is_infinite() {
        assert_eq!(BinaryOp::Div.apply(-1.0, 0.0), f64::NEG_INFINITY);
        assert!(BinaryOp::Div.apply(0.0, 0.0).is_nan());
    }

    #[test]
    fn spellings() {
        for (names, op) in
            [("= == eq", BinaryOp::Eq), ("* × mul", BinaryOp::Mul), ("** ^ pow", BinaryOp::Pow)]
        {
            assert!(names.split(' ').all(|name| BinaryOp::parse(name) == Some(op)), "{names}");
        }
        assert_eq!(UnaryOp::parse("absolute"), Some(UnaryOp::Abs));
        assert_eq!((BinaryOp::parse("clip"), UnaryOp::parse("+")), (None, None));
        assert!(BinaryOp::Mod.in_searches() && !BinaryOp::Max.in_searches());
    }
}

//! What stands where a series has no value.

/// How gaps are filled, and whether what stays a gap is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// With nothing: gaps are shown as NaN.
    Null,
    /// With nothing: gaps are not shown.
    DropNa,
    /// With a number.
    Value(f64),
    /// With the value before.
    Ffill,
    /// With the value after.
    Bfill,
    /// With the value before, at the beginning with the one after.
    FullFfill,
    /// With the value after, at the end with the one before.
    FullBfill,
}

impl Fill {
    /// The fill that upstream calls `name`; numbers are the caller's to read.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "dropna" => Self::DropNa,
            "ffill" => Self::Ffill,
            "bfill" => Self::Bfill,
            "full_ffill" => Self::FullFfill,
            "full_bfill" => Self::FullBfill,
            _ => return None,
        })
    }

    /// Whether NaN and infinities are left out of answers.
    pub const fn drops_gaps(self) -> bool {
        !matches!(self, Self::Null | Self::Value(_))
    }

    pub(super) const fn missing(self) -> f64 {
        match self {
            Self::Value(number) => number,
            _ => f64::NAN,
        }
    }

    pub(super) fn carry(self, column: &mut [f64]) {
        match self {
            Self::Null | Self::DropNa | Self::Value(_) => {}
            Self::Ffill => carry_on(column.iter_mut()),
            Self::Bfill => carry_on(column.iter_mut().rev()),
            Self::FullFfill => {
                carry_on(column.iter_mut());
                carry_on(column.iter_mut().rev());
            }
            Self::FullBfill => {
                carry_on(column.iter_mut().rev());
                carry_on(column.iter_mut());
            }
        }
    }
}

fn carry_on<'a>(cells: impl Iterator<Item = &'a mut f64>) {
    let mut last = f64::NAN;
    for cell in cells {
        if cell.is_nan() {
            *cell = last;
        } else {
            last = *cell;
        }
    }
}

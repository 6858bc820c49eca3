//! Values as Python prints them: error texts of upstream show containers by `repr`.

pub use nephometer_model::python::*;

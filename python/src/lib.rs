//! labman's simulator for Python. Thin: what a run or a sweep is, is decided in `labman-sim`; here its errors become
//! `ValueError`s, its rows an Arrow table that Python reads in place, and the interpreter goes on while runs run.

mod design;
mod rows;
mod run;
mod statistics;
mod sweep;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What a file or an argument says that can't be: the message names the place and the remedy.
fn bad(why: String) -> PyErr {
    PyValueError::new_err(why)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("BUILD", labman_sim::BUILD)?;
    module.add_class::<rows::Rows>()?;
    module.add_class::<sweep::Plan>()?;
    module.add_function(wrap_pyfunction!(run::run, module)?)?;
    module.add_function(wrap_pyfunction!(run::figures, module)?)?;
    module.add_function(wrap_pyfunction!(design::listed, module)?)?;
    for function in [
        wrap_pyfunction!(statistics::estimate, module)?,
        wrap_pyfunction!(statistics::difference, module)?,
        wrap_pyfunction!(statistics::quantile, module)?,
        wrap_pyfunction!(statistics::gini, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}

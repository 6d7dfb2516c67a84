//! A table that Python libraries read where it is, by the Arrow PyCapsule interface.

use arrow_array::ffi::to_ffi;
use arrow_array::{Array, RecordBatch, StructArray};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// One record batch. `pyarrow.record_batch(rows)` and `polars.DataFrame(rows)` take it without copying a value.
#[pyclass(frozen, module = "labman_sim._native")]
pub(crate) struct Rows(pub(crate) RecordBatch);

#[pymethods]
impl Rows {
    /// The schema's capsule and the array's, named as the interface has it. What schema is asked for is not looked at, which
    /// it allows.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        drop(requested_schema);
        let whole = StructArray::from(self.0.clone());
        let (array, schema) =
            to_ffi(&whole.to_data()).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let schema = PyCapsule::new_with_value(py, schema, c"arrow_schema")?;
        let array = PyCapsule::new_with_value(py, array, c"arrow_array")?;
        Ok((schema, array))
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }
}

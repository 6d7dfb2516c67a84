//! Parquet as results have it: the same bytes for the same rows.
//!
//! Readers take columns by name and plain type: a dictionary of texts is read as texts.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Writes batches of columns. What the file is depends on them alone: it names this program and no version of it or of the
/// library.
pub(super) struct Rows {
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
}

impl Rows {
    pub(super) fn new(to: File, schema: Schema) -> Result<Self, String> {
        let schema = Arc::new(schema);
        let properties = WriterProperties::builder()
            .set_created_by("labman-sim".into())
            .set_compression(Compression::SNAPPY)
            .build();
        let writer = ArrowWriter::try_new(to, Arc::clone(&schema), Some(properties));
        Ok(Self { schema, writer: writer.map_err(|error| error.to_string())? })
    }

    pub(super) fn add(&mut self, columns: Vec<ArrayRef>) -> Result<(), String> {
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| error.to_string())?;
        self.writer.write(&batch).map_err(|error| error.to_string())
    }

    pub(super) fn close(self) -> Result<(), String> {
        let file = self.writer.into_inner().map_err(|error| error.to_string())?;
        file.sync_all().map_err(|error| error.to_string())
    }
}

/// A file's rows, batch by batch. Errors name the file.
pub(super) struct Batches {
    file: String,
    reader: ParquetRecordBatchReader,
}

impl Batches {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = path.display().to_string();
        let from = File::open(path).map_err(|error| format!("{file}: {error}"))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(from, options)
            .and_then(|builder| builder.build())
            .map_err(|error| format!("{file}: {error}"))?;
        Ok(Self { file, reader })
    }

    /// The rows that `rows` makes of each batch, one after the other.
    pub(super) fn rows<T>(
        self,
        rows: impl Fn(&Columns<'_>) -> Result<Vec<T>, String>,
    ) -> impl Iterator<Item = Result<T, String>> {
        let Self { file, reader } = self;
        reader.flat_map(move |batch| {
            let batch = batch.map_err(|error| format!("{file}: {error}"));
            let made = batch.and_then(|batch| rows(&Columns { file: &file, batch: &batch }));
            let (made, wrong) = match made {
                Ok(made) => (made, None),
                Err(why) => (Vec::new(), Some(Err(why))),
            };
            made.into_iter().map(Ok).chain(wrong)
        })
    }
}

/// One batch, by its columns' names.
pub(super) struct Columns<'a> {
    file: &'a str,
    batch: &'a RecordBatch,
}

impl Columns<'_> {
    pub(super) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    pub(super) fn numbers(&self, name: &str) -> Result<&Int64Array, String> {
        self.column(name, "of 64-bit integers")
    }

    pub(super) fn floats(&self, name: &str) -> Result<&Float64Array, String> {
        self.column(name, "of 64-bit floats")
    }

    pub(super) fn texts(&self, name: &str) -> Result<&StringArray, String> {
        self.column(name, "of texts")
    }

    /// A place in the plan: a point's or a run's number.
    pub(super) fn place(&self, name: &str, row: usize) -> Result<u32, String> {
        let number = self.numbers(name)?.value(row);
        u32::try_from(number).map_err(|_| format!("{}: {name} {number} is no place in a plan", self.file))
    }

    fn column<A: Array + 'static>(&self, name: &str, kind: &str) -> Result<&A, String> {
        let file = self.file;
        let column: &ArrayRef =
            self.batch.column_by_name(name).ok_or_else(|| format!("{file}: there is no column {name:?}"))?;
        let column = column.as_any().downcast_ref::<A>();
        let column = column.ok_or_else(|| format!("{file}: column {name:?} is not {kind}"))?;
        match column.null_count() {
            0 => Ok(column),
            nulls => Err(format!("{file}: column {name:?} has {nulls} empty places")),
        }
    }
}

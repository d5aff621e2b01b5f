"""How Parquet files begin, read in a child process of its own, where the extra is installed."""

from scripthut.core.files.heads import CELL, COLUMNS, EXTRA, ROWS, Head, kept
from scripthut.engine.children.workshop import serve

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:
    pyarrow = None

MEMORY = 1024 * 1024 * 1024  # bytes of address space: the library itself maps a third of it


def head(_words: str, data: bytes) -> bytes:
    """The schema and the first rows; nothing at all when the library is not installed."""
    if pyarrow is None:
        return b""
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(data), pre_buffer=False)
        fields = list(file.schema_arrow)[:COLUMNS]
        names = [file.schema_arrow.names[n] for n in range(len(fields))]
        batches = file.iter_batches(batch_size=ROWS, columns=names, use_threads=False)
        batch = next(batches, None)
        columns = [(str(field.name)[:CELL], str(field.type)[:CELL]) for field in fields]
        values = [_texts(batch.column(n)) for n in range(batch.num_columns)] if batch else []
        rows = [list(row) for row in zip(*values, strict=True)]
        found = Head(columns, rows, file.metadata.num_rows)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        found = Head([], [], why=f"cannot be read as Parquet ({type(error).__name__})")
    return kept(found)


def _texts(column: "pyarrow.Array") -> list[str]:
    return ["" if value is None else str(value)[:CELL] for value in column.to_pylist()]


if __name__ == "__main__":
    serve({EXTRA: head}, MEMORY)

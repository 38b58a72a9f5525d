"""A collection of prompts: in a file, and on its way into the prompt store.

The file is a CSV or Parquet with the columns of the 900k Diffusion Prompts dataset: `COLUMNS`. It may be the dataset's
own, unchanged, or one of any size made here from the picture-book world, whose urls lead to pictures that the course's
endpoint draws on request.

    >>> from helpers import collection, store
    >>> collection.write_prompts("prompts.csv", rows=2000)
    >>> collection.load_prompts(store.connect(), "prompts", "prompts.csv")     # into an existing table
    2,000 stored

Everything streams: rows are read, embedded and stored batch by batch, so a file of any size needs little memory.

Modules, in reading order: `making` (prompts of the picture-book world, and files of them), `reading` (rows of a file),
`csv_records` (damaged CSVs), `loading` (into the store), `streaming` (batches and the progress bar).
"""

from helpers.collection.loading import insert_rows, load_prompts
from helpers.collection.making import SIZE, made_prompts, write_prompts
from helpers.collection.reading import Report, read_prompts
from helpers.collection.streaming import COLUMNS

__all__ = [
    "COLUMNS",
    "SIZE",
    "Report",
    "insert_rows",
    "load_prompts",
    "made_prompts",
    "read_prompts",
    "write_prompts",
]

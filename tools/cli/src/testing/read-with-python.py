"""Reads an export the way another team would, with pandas (pyarrow) and DuckDB, and prints what it found as JSON."""

import json
import sys

import duckdb
import pandas
import pyarrow.dataset

directory, rows = sys.argv[1:]
frame = pandas.read_parquet(directory)
found = {
    "rows": len(frame),
    "pandas_types": {name: str(kind) for name, kind in frame.dtypes.items()},
    "arrow_types": {field.name: str(field.type) for field in pyarrow.dataset.dataset(directory).schema},
    "duckdb_types": {
        name: kind
        for name, kind, *_ in duckdb.sql(f"describe select * from '{directory}/*.parquet'").fetchall()
    },
    "samples": sorted(frame["sample_id"].unique().tolist()),
}
if rows == "windows":
    first = frame[frame["sample_id"] == "sample-0"].sort_values("window_index").iloc[0]
    found["input_ids"] = first["input_ids"].tolist()
    found["flatness"] = first["flatness"].tolist()
    found["draft_overlap_is_null"] = bool(pandas.isna(first["draft_overlap"]))
    found["captured_at"] = first["captured_at"].isoformat()
    # As the directory's README says it: one row for each response, which is what trainers take.
    found["responses"] = duckdb.sql(f"""
        select sample_id, flatten(list(input_ids order by window_index)) as input_ids,
               flatten(list(loss_mask order by window_index)) as loss_mask
        from '{directory}/*.parquet' where arm <> 'evaluation' group by sample_id order by sample_id
    """).fetchall()
else:
    found["mean_flatness"] = duckdb.sql(f"""
        select decision, avg(flatness), count(*) from '{directory}/*.parquet' group by decision order by decision
    """).fetchall()
json.dump(found, sys.stdout)

"""Records in the formats of others: event files of TensorBoard, flat files for any reader of CSV and Parquet."""

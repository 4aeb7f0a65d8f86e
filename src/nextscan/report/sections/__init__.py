"""The parts of the evaluation page: each module turns a `Run` into one `Section`."""

//! HTTP dialects: routes, parameters, bodies and errors of each API. Knows no SQL, no files and no adapter.

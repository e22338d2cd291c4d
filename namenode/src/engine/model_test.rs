//! Random operations on every engine, compared with an ordered map.

//! Executables that run on this machine and lie about themselves.
//!
//! The kernel looks at the machine, the type and the program headers only, so that a file whose
//! identification or sections are nonsense runs all the same.

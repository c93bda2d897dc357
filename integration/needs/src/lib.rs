//! Empty: its build script says which packages the tests need and this machine lacks.

//! How Go prints the name of a function.

/// The release whose names may hold type arguments twice: methods of generic types that are
/// generic themselves.
const GENERIC_METHODS: u16 = 27;

/// The name as Go's own dumps have it, of a release that is not known.
#[must_use]
pub fn printed_name(name: &str) -> String {
    printed(name, None)
}

/// The name as Go's own dumps have it: the types that a generic function was compiled for
/// replaced by `...`.
///
/// See `funcNamePiecesForPrint` in
/// <https://github.com/golang/go/blob/go1.27rc1/src/runtime/traceback.go>, and, up to Go 1.26,
/// <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go>. `minor` is that of the
/// release; without one the newest is taken.
pub(super) fn printed(name: &str, minor: Option<u16>) -> String {
    let Some((before, rest)) = name.split_once('[') else { return name.to_owned() };
    let Some((interior, after)) = rest.rsplit_once(']') else { return name.to_owned() };
    let once = || format!("{before}[...]{after}");
    if minor.is_some_and(|minor| minor < GENERIC_METHODS) || !interior.contains('[') {
        return once();
    }
    // Of a generic method of a generic type, the interior is `types].method[types`.
    let mut depth = 1_i32;
    let mut closed = None;
    for (at, byte) in interior.bytes().enumerate() {
        match byte {
            b'[' => {
                depth += 1;
                if let (1, Some(closed)) = (depth, closed) {
                    let between = interior.get(closed + 1..at).unwrap_or_default();
                    return format!("{before}[...]{between}[...]{after}");
                }
            }
            b']' => {
                depth -= 1;
                match depth {
                    0 => closed = Some(at),
                    ..0 => return name.to_owned(),
                    1.. => {}
                }
            }
            _ => {}
        }
    }
    if depth == 1 && closed.is_none() { once() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::printed;

    #[test]
    fn type_arguments_are_left_out() {
        for (name, expected) in [
            ("main.main.func1", "main.main.func1"),
            ("main.(*T).method", "main.(*T).method"),
            ("main.f[go.shape.int]", "main.f[...]"),
            ("main.f[go.shape.[]int].func1", "main.f[...].func1"),
            ("main.f[...].func1", "main.f[...].func1"),
            ("main.(*T[go.shape.int]).m", "main.(*T[...]).m"),
            ("main.odd]name[", "main.odd]name["),
            ("main.open[", "main.open["),
            ("", ""),
        ] {
            assert_eq!(printed(name, Some(26)), expected);
            assert_eq!(printed(name, Some(27)), expected);
        }
    }

    #[test]
    fn generic_methods_of_generic_types_are_told_apart_where_they_exist() {
        let name = "main.(*T[go.shape.[2]int]).m[go.shape.map[int]int].func1";
        assert_eq!(printed(name, Some(27)), "main.(*T[...]).m[...].func1");
        assert_eq!(printed(name, None), "main.(*T[...]).m[...].func1");
        assert_eq!(printed(name, Some(26)), "main.(*T[...].func1");
        assert_eq!(printed("main.a[b]]c[[d]", Some(27)), "main.a[b]]c[[d]");
    }
}

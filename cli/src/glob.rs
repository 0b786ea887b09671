//! Matching of one path against one pattern, as git does it.

/// Whether `pattern` matches all of `path`, whose parts are separated by `/`.
///
/// As git does, what stands before the first special byte is compared by itself: a `**` right behind it counts as the
/// start of a part.
pub fn matches_path(pattern: &[u8], path: &[u8]) -> bool {
    let plain = pattern
        .iter()
        .position(|c| b"*?[\\".contains(c))
        .unwrap_or(pattern.len());
    let (plain, rest) = pattern.split_at(plain);
    path.strip_prefix(plain)
        .is_some_and(|path| matches(rest, path))
}

/// Whether `pattern` matches all of `path`.
///
/// `*` and `?` match within one part; `**/` at the start of a part matches any number of parts, also none, and `/**` at
/// the end everything below; `[a-z]`, `[!a]` and `[[:digit:]]` match one byte; `\` takes the next byte as it is. A pattern
/// that makes no sense, such as one with a bracket left open, matches nothing.
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands behind, and how far its match reaches: it takes one byte more after each failure.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if let Some(rest) = deep(pattern, p) {
            return rest.is_none_or(|rest| below(rest, &path[t..]));
        }
        if pattern.get(p) == Some(&b'*') {
            p += stars(pattern, p);
            star = Some((p, t));
            continue;
        }
        if p == pattern.len() && t == path.len() {
            return true;
        }
        if let Some(next) = one(pattern, p, path.get(t).copied()) {
            (p, t) = (next, t + 1);
            continue;
        }
        match star {
            Some((behind, reach)) if path.get(reach).is_some_and(|&c| c != b'/') => {
                (p, t) = (behind, reach + 1);
                star = Some((p, t));
            }
            _ => return false,
        }
    }
}

/// What follows a `**` at `p` that stands for whole parts, without the `/` between: nothing, or a pattern.
fn deep(pattern: &[u8], p: usize) -> Option<Option<&[u8]>> {
    let starts_part = p == 0 || pattern[p - 1] == b'/';
    let stars = stars(pattern, p);
    match &pattern[p + stars..] {
        [] if starts_part && stars > 1 => Some(None),
        [b'/', rest @ ..] if starts_part && stars > 1 => Some(Some(rest)),
        _ => None,
    }
}

/// How many `*` there are at `p`.
fn stars(pattern: &[u8], p: usize) -> usize {
    pattern[p..].iter().take_while(|&&c| c == b'*').count()
}

/// Whether `pattern` matches the path, or the path without some of its first parts.
fn below(pattern: &[u8], path: &[u8]) -> bool {
    let deeper = path.iter().enumerate().filter(|&(_, &c)| c == b'/');
    let mut starts = std::iter::once(0).chain(deeper.map(|(at, _)| at + 1));
    starts.any(|start| matches(pattern, &path[start..]))
}

/// Matches one byte; returns where the pattern goes on.
fn one(pattern: &[u8], p: usize, byte: Option<u8>) -> Option<usize> {
    let byte = byte?;
    match *pattern.get(p)? {
        b'?' => (byte != b'/').then_some(p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' => (*pattern.get(p + 1)? == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// Matches one byte against the set that starts at `p`; returns what is behind the set.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(p)?, b'!' | b'^');
    p += usize::from(negated);
    let first = p;
    let mut found = false;
    while pattern.get(p)? != &b']' || p == first {
        if let Some((name, behind)) = named(pattern, p) {
            found |= is_in(name, byte)?;
            p = behind;
            continue;
        }
        let (low, behind) = member(pattern, p)?;
        (found, p) = match &pattern[behind..] {
            [b'-', end, ..] if *end != b']' => {
                let (high, behind) = member(pattern, behind + 1)?;
                (found | (low..=high).contains(&byte), behind)
            }
            _ => (found | (low == byte), behind),
        };
    }
    (found != negated && byte != b'/').then_some(p + 1)
}

/// One member of a set, and what is behind it.
fn member(pattern: &[u8], p: usize) -> Option<(u8, usize)> {
    match *pattern.get(p)? {
        b'\\' => Some((*pattern.get(p + 1)?, p + 2)),
        byte => Some((byte, p + 1)),
    }
}

/// The name in `[:name:]` at `p`, and what is behind it.
fn named(pattern: &[u8], p: usize) -> Option<(&[u8], usize)> {
    let rest = pattern[p..].strip_prefix(b"[:")?;
    let len = rest.windows(2).position(|two| two == b":]")?;
    Some((&rest[..len], p + 2 + len + 2))
}

/// Whether a byte is in a named set; `None` for names that there are not.
fn is_in(name: &[u8], byte: u8) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_by_table() {
        let yes = "a a|* abc|*c abc|a*c abc|a*b*c aXbYc|? a|[abc] b|[a-c] b|[!a] b|[^a] b|[]] ]|[a-] -|[[:digit:]x] 7\
                   |\\* *|\\a a|a/*/c a/b/c|**/c c|**/c a/b/c|a/** a/b/c|a/**/c a/c|a/**/c a/x/y/c|a** abc|**a cba\
                   |**/*.rs a/b.rs|*a*a*b aaab|a/**/**/c a/c|[\\]] ]|[a\\-c] -";
        let no = "a b|* a/b|*c a/c|? /|? |[abc] d|[!a] a|[a-c /|a[/]b a/b|[a x|\\ a|a/* a/b/c|a/** a|a** a/b|**/c d\
                  |*a*a*b aaa|[[:nope:]] n|[!a] /|[z-a] b|a\\ a|[a\\-c] b";
        for (cases, expected) in [(yes, true), (no, false)] {
            for case in cases.split('|') {
                let (pattern, path) = case.trim_start().split_once(' ').expect("two words");
                assert_eq!(
                    matches(pattern.as_bytes(), path.as_bytes()),
                    expected,
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        let pattern = "*a".repeat(100) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(250).as_bytes()));
    }
}

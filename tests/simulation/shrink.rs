//! Makes a run that fails shorter.

/// Runs that are tried.
const TRIES: usize = 300;

/// Leaves out what can be left out of the steps so that they still fail: halves first, single steps in the end.
pub(crate) fn shrunk<S: Clone>(mut steps: Vec<S>, fails: impl Fn(&[S]) -> bool) -> Vec<S> {
    let mut tries = 0;
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        let mut is_shorter = false;
        while start < steps.len() {
            if tries == TRIES {
                return steps;
            }
            tries += 1;
            let end = (start + size).min(steps.len());
            let rest = [&steps[..start], &steps[end..]].concat();
            if fails(&rest) {
                steps = rest;
                is_shorter = true;
            } else {
                start = end;
            }
        }
        size = if is_shorter && size == 1 { 1 } else { size / 2 };
    }
    steps
}

#[test]
fn what_has_nothing_to_do_with_a_failure_is_left_out() {
    type Row = (&'static [u32], fn(&[u32]) -> bool);
    let rows: [Row; 3] = [
        (&[1], |steps| steps.contains(&1)),
        (&[3, 700], |steps| steps.contains(&3) && steps.contains(&700)),
        (&[40, 41], |steps| steps.windows(2).any(|pair| pair == [40, 41])),
    ];
    for (least, fails) in rows {
        assert_eq!(shrunk((0..1_000).collect(), fails), least);
    }
}

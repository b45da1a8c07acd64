//! Child processes: the test binary once more, living the life that it was given.

use crate::work::Life;

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    if let Some(life) = Life::given() {
        life.live();
    }
}

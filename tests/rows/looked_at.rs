//! A store that `verify` may only look at: whatever keeps it from doing so is one line that says what to do.

use crate::namespace::Namespace;
use crate::store::Store;
use crate::verified::{command, ran_by};
use crate::world::World;
use crate::{generator, write};

#[test]
fn a_file_in_a_folder_that_is_read_only() {
    const SCRIPT: &str = r#"mount --bind "$1" "$1"; mount -o remount,bind,ro "$1""#;
    let world = World::new("looked-at");
    let mut job = world.job("looked-at");
    let folder = world.path("stores");
    std::fs::create_dir(&folder).expect("a folder");
    job.stores = vec![Store::Sqlite(folder.join("flows.sqlite"))];
    write(&world, &mut generator(20_000, 61), 20_000);
    world.run_to_end(&job, "1");
    let only_read = Namespace::make(&["--mount"], SCRIPT, &[folder.to_str().expect("text")]);
    let only_read = match only_read {
        Ok(made) => made,
        Err(why) => {
            eprintln!("SKIPPED: nothing can be mounted: {why}");
            return;
        }
    };
    let verify = || command(&world, &job, &job.stores, &["verify"]);
    let (code, lines, said) = ran_by(only_read.command(&verify()));
    assert_eq!((code, lines.len()), (Some(74), 0), "{said}");
    let does = "give this user the right to write in its folder, or name a copy elsewhere";
    assert!(
        said.contains(does) && said.contains("flows.sqlite: "),
        "{said}"
    );
    let (code, lines, said) = ran_by(verify());
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
}

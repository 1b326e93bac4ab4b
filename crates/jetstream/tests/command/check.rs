//! `jetstream check`, `--version`, and arguments that are wrong.

use super::process::{folder, jetstream, run};

#[test]
fn the_version_is_printed() {
    let ended = run(jetstream(&folder("version"), &["--version"]));
    assert_eq!(ended.out, format!("jetstream {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_file_without_mistakes_passes() {
    let folder = folder("check_good");
    std::fs::write(folder.join("my.toml"), include_str!("../config/contract.toml")).unwrap();
    let ended = run(jetstream(&folder, &["check", "my.toml"]));
    assert_eq!(ended.out, "my.toml: no mistakes; models: 3, scopes and families: 2\n");
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

#[test]
fn without_a_file_the_one_beside_or_the_demos_are_checked() {
    let folder = folder("check_default");
    let demos = run(jetstream(&folder, &["check"])).out;
    assert!(demos.starts_with("demos/jetstream.toml (built in): no mistakes; models: "), "{demos}");
    std::fs::write(folder.join("jetstream.toml"), "").unwrap();
    let beside = "jetstream.toml: no mistakes; models: 0, scopes and families: 0\n";
    assert_eq!(run(jetstream(&folder, &["check"])).out, beside);
}

#[test]
fn mistakes_in_file_flags_and_variables_are_reported_together_with_exit_code_2() {
    let folder = folder("check_bad");
    std::fs::write(folder.join("my.toml"), "listen = 1\n\n[limits]\nmembers = 1\n").unwrap();
    let arguments = ["check", "my.toml", "--set", "metrics={}", "--listen", "here"];
    let mut command = jetstream(&folder, &arguments);
    command.env("JETSTREAM_LIMITS__SESSIONS_MAX", "0");
    let ended = run(command);
    let places: Vec<&str> =
        ended.err.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect();
    let expected = ["my.toml:4:1", "JETSTREAM_LIMITS__SESSIONS_MAX", "--set", "--listen"];
    assert_eq!(places, expected, "{}", ended.err);
    assert!(ended.err.ends_with("\n4 mistakes\n"), "{}", ended.err);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
}

#[test]
fn a_variable_of_somebody_else_is_passed_over_and_a_misspelled_one_is_not() {
    let folder = folder("check_variables");
    for (name, code, begin) in [
        (
            "JETSTREAM_HOME",
            0,
            "warning: the variable JETSTREAM_HOME is no setting and passed over\n",
        ),
        (
            "JETSTREAM_LISEN",
            2,
            "error: no key \"lisen\" in the configuration\n--> JETSTREAM_LISEN\n",
        ),
    ] {
        let mut command = jetstream(&folder, &["check"]);
        command.env(name, "1");
        let ended = run(command);
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert!(ended.err.starts_with(begin), "{}", ended.err);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ended = run(jetstream(&folder("check_missing"), &["check", "nowhere.toml"]));
    assert!(ended.err.starts_with("error: cannot read nowhere.toml: "), "{}", ended.err);
    assert_eq!(ended.code, Some(2));
}

#[test]
fn a_file_that_is_no_text_is_a_mistake_with_its_line() {
    let folder = folder("check_utf8");
    std::fs::write(folder.join("my.toml"), b"# fine\nlisten = \"\xff\"\n").unwrap();
    let ended = run(jetstream(&folder, &["check", "my.toml"]));
    assert!(
        ended.err.starts_with("error: the file is not in UTF-8\n --> my.toml:2:11\n"),
        "{}",
        ended.err
    );
    assert_eq!(ended.code, Some(2));
}

#[test]
fn arguments_that_are_wrong_end_with_exit_code_2() {
    for arguments in
        [&["sevre"][..], &["--nonsense"], &["serve", "a", "b"], &["--log-format", "xml"]]
    {
        let ended = run(jetstream(&folder("arguments"), arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains("error:"), "{}", ended.err);
    }
}

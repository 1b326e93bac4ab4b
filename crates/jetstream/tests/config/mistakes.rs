//! Each kind of mistake: where it is found and what is said, word for word.

use super::{load, load_with, set, variable};
use jetstream::config::Setting;

/// The mistakes of a text, `line:column message = help`.
fn mistakes(text: &str) -> Vec<String> {
    with_settings(text, &[])
}

fn with_settings(text: &str, settings: &[Setting]) -> Vec<String> {
    let Err(mistakes) = load_with(text, settings) else { return Vec::new() };
    let line = |mistake: &jetstream::config::Mistake| {
        let place = match mistake.position {
            Some((line, column)) => format!("{line}:{column}"),
            None => mistake.source.clone(),
        };
        let help = mistake.help.as_ref().map_or(String::new(), |help| format!(" = {help}"));
        format!("{place} {}{help}", mistake.message)
    };
    mistakes.0.iter().map(line).collect()
}

/// Each text, between `before` and `after`, has exactly these mistakes.
pub(crate) fn check(before: &str, after: &str, cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(mistakes(&format!("{before}{text}{after}")), *expected, "{text}");
    }
}

#[test]
fn a_mistake_is_shown_as_a_person_wants_to_read_it() {
    let text = "listen = \"0.0.0.0:80\"\n\n[scopes.Canvas]\nrot = \"Canvas\"\nroot = \"Canvs\"\n\n\
                [models.Canvas.properties]\nname = \"String\"\n";
    let expected = "\
error: no key \"rot\" in a scope
 --> jetstream.toml:4:1
  |
4 | rot = \"Canvas\"
  | ^^^
  = did you mean \"root\"? (allowed: root, limits, visible, initial, state, validate, access, write, load and notify)

error: no model \"Canvs\"
 --> jetstream.toml:5:8
  |
5 | root = \"Canvs\"
  |        ^^^^^^^
  = did you mean \"Canvas\"? (allowed: Canvas)

2 mistakes";
    assert_eq!(load(text).unwrap_err().to_string(), expected);
}

#[test]
fn mistakes_of_the_server() {
    check(
        "",
        "",
        &[
            ("listen = ", &["1:10 string values must be quoted, expected literal string"]),
            ("listen = \"a:1\"\nlisten = \"b:1\"", &["2:1 duplicate key"]),
            (
                "lisen = \"a:1\"",
                &[
                    "1:1 no key \"lisen\" in the configuration = did you mean \"listen\"? (allowed: listen, tls, origins, compression, io_uring, demos, limits, enumerations, models, scopes, procedures, storage, migrations, metrics, api, inspector, authentication and proxies)",
                ],
            ),
            (
                "zebra = 1",
                &[
                    "1:1 no key \"zebra\" in the configuration = keys: listen, tls, origins, compression, io_uring, demos, limits, enumerations, models, scopes, procedures, storage, migrations, metrics, api, inspector, authentication and proxies",
                ],
            ),
            (
                "listen = 3000",
                &["1:10 expected an address as \"host:port\", found the integer 3000"],
            ),
            (
                "listen = \"3000\"",
                &[
                    "1:10 expected an address as \"host:port\", found \"3000\" = for example \"127.0.0.1:3000\", \"0.0.0.0:3000\" (every interface), \"[::1]:3000\"; port 0 picks a free one",
                ],
            ),
            (
                "listen = \"a:99999\"",
                &[
                    "1:10 expected an address as \"host:port\", found \"a:99999\" = for example \"127.0.0.1:3000\", \"0.0.0.0:3000\" (every interface), \"[::1]:3000\"; port 0 picks a free one",
                ],
            ),
            (
                "listen = \"\"",
                &["1:10 expected an address as \"host:port\", found an empty string"],
            ),
            (
                "tls = { certificate = \"missing.pem\" }",
                &[
                    "1:7 [tls] needs the key \"key\"",
                    "1:23 cannot read \"missing.pem\": No such file or directory (os error 2)",
                ],
            ),
            ("tls = true", &["1:7 expected a table for [tls], found true"]),
            (
                "origins = [\"example.com\", 1]",
                &[
                    "1:12 \"example.com\" is no origin = an origin is a scheme, a host and perhaps a port, without a path: \"https://example.com\"",
                    "1:27 expected an origin, found the integer 1",
                ],
            ),
            (
                "authentication = {}",
                &["1:18 [authentication] needs the key \"jwt\" or the key \"http\""],
            ),
            ("[storage]\nmemory = 1", &["2:10 expected true or false, found the integer 1"]),
            ("[storage]\npath = ''", &["2:8 expected the name of a folder, found an empty string"]),
            (
                "[storage]\nmemory = true\npath = 'data'",
                &["3:1 a folder means nothing with memory = true = take out the one or the other"],
            ),
            ("[storage]\npostgres = \"postgres://\"", &["2:1 the address names no host"]),
            ("[metrics]", &["1:1 [metrics] needs the key \"listen\""]),
            (
                "[metrics]\nlisten = true",
                &["2:10 expected an address as \"host:port\", found true"],
            ),
        ],
    );
}

#[test]
fn mistakes_of_limits() {
    check(
        "",
        "",
        &[
            (
                "[limits]\nmembers = 1",
                &[
                    "2:1 no key \"members\" in the server's limits = did you mean \"members_max\"? (allowed: message_bytes_max, frame_messages_max, fragments_max, string_bytes_max, collection_elements_max, scope_objects_max, scope_bytes_max, session_scopes_max, sessions_max, principal_sessions_max, address_sessions_max, scopes_max, scopes_bytes_max, members_max, connections_pending_max, address_connections_pending_max, address_connections_per_second_max, backlog_bytes_max, backlog_bytes_hard_max, inbox_messages_max, mailbox_requests_max, session_requests_max, session_messages_per_second_max, session_bytes_per_second_max, principal_messages_per_second_max, principal_bytes_per_second_max, rate_burst_ms, procedure_timeout_ms, procedure_waiting_max, establish_timeout_ms, handshake_timeout_ms, ping_interval_ms, session_timeout_ms, expiry_warning_ms, scope_idle_ms and shutdown_timeout_ms)",
                ],
            ),
            (
                "[limits]\nmembers_mx = 1",
                &[
                    "2:1 no key \"members_mx\" in the server's limits = did you mean \"members_max\"? (allowed: message_bytes_max, frame_messages_max, fragments_max, string_bytes_max, collection_elements_max, scope_objects_max, scope_bytes_max, session_scopes_max, sessions_max, principal_sessions_max, address_sessions_max, scopes_max, scopes_bytes_max, members_max, connections_pending_max, address_connections_pending_max, address_connections_per_second_max, backlog_bytes_max, backlog_bytes_hard_max, inbox_messages_max, mailbox_requests_max, session_requests_max, session_messages_per_second_max, session_bytes_per_second_max, principal_messages_per_second_max, principal_bytes_per_second_max, rate_burst_ms, procedure_timeout_ms, procedure_waiting_max, establish_timeout_ms, handshake_timeout_ms, ping_interval_ms, session_timeout_ms, expiry_warning_ms, scope_idle_ms and shutdown_timeout_ms)",
                ],
            ),
            (
                "[limits]\nmembers_max = 0",
                &["2:15 expected an integer from 1 on, found the integer 0"],
            ),
            (
                "[limits]\nmembers_max = \"many\"",
                &["2:15 expected an integer from 1 on, found the string \"many\""],
            ),
            (
                "[limits]\nmembers_max = -1",
                &["2:15 expected an integer from 1 on, found the integer -1"],
            ),
            (
                "[limits]\nmessage_bytes_max = \"1mb\"",
                &[
                    "2:21 expected a size from 1 on: a number of bytes, or a text with B, KiB, MiB, GiB, kB, MB or GB, found the string \"1mb\"",
                ],
            ),
            (
                "[limits]\nsession_timeout_ms = \"10m\"",
                &[
                    "2:22 expected a duration from 1 on: a number of milliseconds, or a text with ms, s, min, h or d, found the string \"10m\"",
                ],
            ),
            (
                "[limits]\nsession_timeout_ms = 1.5",
                &[
                    "2:22 expected a duration from 1 on: a number of milliseconds, or a text with ms, s, min, h or d, found the number 1.5",
                ],
            ),
            (
                "[limits]\nbacklog_bytes_max = \"1GiB\"",
                &[
                    "2:21 backlog_bytes_hard_max (16777216) is less than backlog_bytes_max (1073741824)",
                ],
            ),
            (
                "[limits]\nbacklog_bytes_hard_max = 10",
                &["2:26 backlog_bytes_hard_max (10) is less than backlog_bytes_max (4194304)"],
            ),
            ("limits = 5", &["1:10 expected a table for the server's limits, found the integer 5"]),
        ],
    );
}

#[test]
fn mistakes_of_enumerations() {
    check(
        "",
        "",
        &[
            (
                "[enumerations]\nA = 5",
                &[
                    "2:5 expected the values of an enumeration, found the integer 5 = an array of strings, [\"Monday\", \"Tuesday\"], or a table of integers, { Open = 0, Closed = 1 }",
                ],
            ),
            ("[enumerations]\nA = [\"a\", 1]", &["2:11 expected a string, found the integer 1"]),
            ("[enumerations]\nA = [\"a\", \"b\", \"a\"]", &["2:16 the value a stands twice"]),
            ("[enumerations]\nA = []", &["2:1 an enumeration needs at least one value"]),
            ("[enumerations]\nA = {}", &["2:1 an enumeration needs at least one value"]),
            ("[enumerations]\nA = { x = 1, y = 1 }", &["2:14 the value 1 stands twice"]),
            (
                "[enumerations]\nA = { x = \"1\" }",
                &["2:11 expected an integer, found the string \"1\""],
            ),
            (
                "[enumerations]\nA = { x = 9007199254740993 }",
                &["2:7 9007199254740993 is no exact number in JavaScript (±2^53 - 1)"],
            ),
            (
                "[enumerations]\nA = { x = 99999999999999999999 }",
                &["2:11 an integer of more than 64 bits"],
            ),
            ("[enumerations]\nString = [\"a\"]", &["2:1 the type name `String` is taken already"]),
            (
                "[enumerations]\n\"a b\" = [\"a\"]",
                &["2:1 a name is made of letters, digits and `_` and begins with no digit"],
            ),
        ],
    );
}

#[test]
fn mistakes_of_models() {
    check(
        "",
        "",
        &[
            ("models = 1", &["1:10 expected a table for the models, found the integer 1"]),
            ("[models]\nA = 1", &["2:5 expected a table for a model, found the integer 1"]),
            (
                "[models.A]\nextend = \"B\"",
                &[
                    "2:1 no key \"extend\" in a model = did you mean \"extends\"? (allowed: extends, properties and lifetime)",
                ],
            ),
            ("[models.A]\nextends = \"B\"", &["2:11 no model `B`; there are A"]),
            ("[models.A]\nextends = \"A\"", &["2:11 the model extends itself"]),
            ("[models.A]\nextends = \"String\"", &["2:11 `String` is no model"]),
            (
                "[models.A]\nlifetime = \"sesion\"",
                &[
                    "2:12 no lifetime \"sesion\" = did you mean \"session\"? (allowed: scope and session)",
                ],
            ),
            (
                "[models.A]\nproperties = [\"x\"]",
                &["2:14 expected a table for the properties of a model, found an array"],
            ),
            (
                "[models.A.properties]\nx = \"Nmber\"",
                &["2:5 no type `Nmber` (did you mean `Number`?)"],
            ),
            (
                "[models.A.properties]\nx = \"number\"",
                &["2:5 no type `number` (did you mean `Number`?)"],
            ),
            (
                "[models.A.properties]\nx = 1",
                &[
                    "2:5 expected the type of \"x\", found the integer 1 = x = \"Number\", or x = { type = \"Number\", default = 100 }",
                ],
            ),
            (
                "[models.A.properties]\nx = \"\"",
                &["2:5 expected the name of a type, found an empty string"],
            ),
            (
                "[models.A.properties]\nx = { default = 1 }",
                &["2:5 a property needs the key \"type\""],
            ),
            (
                "[models.A.properties]\nx = { type = \"Number\", defalt = 1 }",
                &[
                    "2:24 no key \"defalt\" in a property = did you mean \"default\"? (allowed: type and default)",
                ],
            ),
            (
                "[models.A.properties]\nx = { type = \"Nmber\", default = 1 }",
                &["2:14 no type `Nmber` (did you mean `Number`?)"],
            ),
            (
                "[models.A.properties]\nx = { type = \"Number\", default = \"one\" }",
                &["2:34 the default has the wrong type, expected a finite number"],
            ),
            (
                "[models.A.properties]\nx = { type = \"[Number]\", default = 1 }",
                &["2:36 a collection begins empty and takes no default"],
            ),
            (
                "[models.A.properties]\nx = { type = \"A\", default = 1 }",
                &["2:29 a reference begins unset and takes no default"],
            ),
            (
                "[models.A.properties]\nx = { type = \"Date\", default = 07:32:00 }",
                &["2:32 expected a text, a number, true, false or a date, found the date 07:32:00"],
            ),
            (
                "[models.A.properties]\nx = { type = \"Number\", default = nan }",
                &["2:34 expected a finite number, found the number NaN"],
            ),
            (
                "[models.A.properties]\nx = { type = \"Number\", default = 9007199254740993 }",
                &[
                    "2:34 expected a number that a double can hold exactly, found the integer 9007199254740993",
                ],
            ),
            (
                "[models.A.properties]\nx = { type = \"Number\", default = [1] }",
                &["2:34 expected a text, a number, true, false or a date, found an array"],
            ),
            (
                "[models.A.properties]\n\"\" = \"Number\"",
                &["2:1 the name of a property may not be empty"],
            ),
            (
                "[models.A.properties]\nx = \"Number\"\n[models.B]\nextends = \"A\"\nproperties = { x = \"String\" }\n[models.C]\nextends = \"B\"",
                &["5:16 the property stands twice, here or in a model that this one extends"],
            ),
        ],
    );
}

#[test]
fn mistakes_of_scopes() {
    check(
        "",
        "",
        &[
            ("[scopes]\nA = 1", &["2:5 expected a table for a scope, found the integer 1"]),
            ("[scopes.A]", &["1:1 a scope needs the key \"root\""]),
            (
                "[scopes.\"\"]\nroot = \"A\"\n[models.A]",
                &["1:9 the name of a scope may not be empty"],
            ),
            (
                "[scopes.\"b-{id\"]\nroot = \"A\"\n[models.A]",
                &[
                    "1:9 unpaired brace in \"b-{id\" = a family has a placeholder in braces in its name: boards/{id}",
                ],
            ),
            (
                "[scopes.\"{id}/{id}\"]\nroot = \"A\"\n[models.A]",
                &[
                    "1:9 the parameter \"id\" stands twice in \"{id}/{id}\" = a family has a placeholder in braces in its name: boards/{id}",
                ],
            ),
            (
                "[scopes.A]\nroot = 1",
                &["2:8 expected the name of the root's model, found the integer 1"],
            ),
            ("[scopes.A]\nroot = \"B\"", &["2:8 no model \"B\" = there are no models"]),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\ninitial = { x = 1 }",
                &["4:13 no property \"x\" on \"A\" = there are no properties"],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\nstate = \"missing.json\"",
                &["4:9 cannot read \"missing.json\": No such file or directory (os error 2)"],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\nstate = \"missing.json\"\ninitial = {}",
                &[
                    "4:1 a scope has either \"initial\" or \"state\" = \"initial\" gives the root's first values, \"state\" the root and all objects",
                ],
            ),
            (
                "[models.A]\n[scopes.\"a/{id}\"]\nroot = \"A\"\nstate = \"missing.json\"",
                &[
                    "4:1 a family of scopes cannot begin with \"state\" = an object has one uuid and is in one scope; use \"initial\"",
                ],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\nlimits = { members_mx = 1 }",
                &[
                    "4:12 no key \"members_mx\" in a scope's limits = did you mean \"members_max\"? (allowed: scope_objects_max, scope_bytes_max, members_max, mailbox_requests_max, procedure_timeout_ms, procedure_waiting_max and scope_idle_ms)",
                ],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\nlimits = { sessions_max = 1 }",
                &[
                    "4:12 \"sessions_max\" is a limit of the server, not of a scope = keys: scope_objects_max, scope_bytes_max, members_max, mailbox_requests_max, procedure_timeout_ms, procedure_waiting_max and scope_idle_ms",
                ],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\naccess = {}",
                &[
                    "4:1 without the key \"fetch\" nobody may fetch this scope = fetch = \"true\" lets everybody in; add, change and remove say what they may do",
                ],
            ),
            (
                "[models.A]\nproperties = { size = \"Number\" }\n[scopes.A]\nroot = \"A\"\n[scopes.A.access]\nfetch = \"session.user != ''\"\nchange = { A = \"object.sise < 3\", B = \"true\" }",
                &[
                    "7:23 no property \"sise\" on \"A\" = did you mean \"size\"?",
                    "7:35 no model \"B\"",
                ],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\nvalidate = {}",
                &["4:12 a validation needs the key \"http\""],
            ),
            (
                "[models.A]\n[scopes.A]\nroot = \"A\"\nnotify = {}",
                &["4:10 a notification needs the key \"http\""],
            ),
        ],
    );
}

#[test]
fn mistakes_of_initial() {
    let before = "[models.A.properties]\ns = \"String\"\nn = \"Number\"\nd = \"Date\"\nb = \"Boolean\"\ne = \"Day\"\n\
        i = \"Status\"\nr = \"A\"\nrs = \"[A]\"\nns = \"[Number]\"\n[enumerations]\n\
        Day = [\"Mon\", \"Tue\"]\nStatus = { Open = 0, Closed = 1 }\n[scopes.A]\nroot = \"A\"\ninitial = { ";
    check(
        before,
        " }",
        &[
            ("s = 1", &["16:17 expected a string for \"s\", found the integer 1"]),
            ("n = \"1\"", &["16:17 expected a finite number for \"n\", found the string \"1\""]),
            ("n = inf", &["16:17 expected a finite number for \"n\", found the number inf"]),
            (
                "n = 9007199254740993",
                &[
                    "16:17 expected a number that a double can hold exactly for \"n\", found the integer 9007199254740993",
                ],
            ),
            (
                "d = \"soon\"",
                &[
                    "16:17 expected a date, an ISO-8601 text or seconds since 1970 for \"d\", found the string \"soon\"",
                ],
            ),
            (
                "d = 07:32:00",
                &[
                    "16:17 expected a date, an ISO-8601 text or seconds since 1970 for \"d\", found the date 07:32:00",
                ],
            ),
            ("b = 0", &["16:17 expected true or false for \"b\", found the integer 0"]),
            (
                "e = \"Wed\"",
                &[
                    "16:17 expected a value of Day (\"Mon\" and \"Tue\") for \"e\", found the string \"Wed\"",
                ],
            ),
            (
                "i = 2",
                &[
                    "16:17 expected a value of Status (0 (Open) and 1 (Closed)) for \"i\", found the integer 2",
                ],
            ),
            (
                "i = \"Open\"",
                &[
                    "16:17 expected a value of Status (0 (Open) and 1 (Closed)) for \"i\", found the string \"Open\"",
                ],
            ),
            (
                "r = \"x\"",
                &[
                    "16:17 \"r\" refers to objects (A) and cannot be given here = a scope that begins with objects takes them from a file: state = \"…json\"",
                ],
            ),
            (
                "rs = []",
                &[
                    "16:18 \"rs\" refers to objects ([A]) and cannot be given here = a scope that begins with objects takes them from a file: state = \"…json\"",
                ],
            ),
            ("ns = 1", &["16:18 expected an array for \"ns\" ([Number]), found the integer 1"]),
            ("ns = [1, true]", &["16:22 expected a finite number for \"ns\", found true"]),
            (
                "m = 1",
                &["16:13 no property \"m\" on \"A\" = properties: s, n, d, b, e, i, r, rs and ns"],
            ),
        ],
    );
}

#[test]
fn mistakes_of_procedures() {
    let before = "[models.A.properties]\nx = \"Number\"\n";
    check(
        before,
        "",
        &[
            (
                "[procedures.addShape]",
                &[
                    "3:13 \"addShape\" is no name of a procedure = a procedure is named \"Model.name\": [procedures.\"Canvas.addShape\"]",
                ],
            ),
            ("[procedures.\"B.add\"]", &["3:13 no model \"B\" for the procedure = models: A"]),
            ("[procedures.\"A.add\"]\nhttp = {}", &["4:8 an HTTP service needs the key \"url\""]),
            (
                "[procedures.\"A.add\"]\nhttp = { url = \"ftp://a\", methd = \"PUT\" }",
                &[
                    "4:16 \"ftp://a\" is no address of a web service = for example \"http://127.0.0.1:8080/canvas/{canvas}\" with params = { canvas = \"root.uuid\" }",
                    "4:27 no key \"methd\" in an HTTP service = did you mean \"method\"? (allowed: method, params, url, headers, body, success, timeout, retry_pause, pause, retries, calls_max, failures_max, answer_bytes_max and bearer_file)",
                ],
            ),
            (
                "[scopes.A]\nroot = \"A\"\n[procedures.\"A.add\".http]\nmethod = \"GIT\"\nurl = \"http://h/{id}\"\nparams = { id = \"root.uid\", more = \"scope.name\" }\nbody = { x = \"incoming.B.add.uuid\", y = [\"'\"] }\nheaders = { \"a b\" = \"1\" }\nsuccess = [2000]\ntimeout = \"0s\"",
                &[
                    "6:10 no method \"GIT\" = did you mean \"GET\"? (allowed: GET, POST, PUT, PATCH and DELETE)",
                    "8:17 no property \"uid\" on \"A\"",
                    "8:29 the url has no {more}",
                    "9:14 no model \"B\" in \"incoming\" = models: A",
                    "9:42 this is no expression: mismatched input '<EOF>'",
                    "9:42 this is no expression: token recognition error at: '''",
                    "10:13 \"a b\" is no name of a header",
                    "11:12 expected a status such as 200, found the integer 2000",
                    "12:11 expected a duration from 1 on: a number of milliseconds, or a text with ms, s, min, h or d, found the string \"0s\"",
                ],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = {}",
                &["4:15 expected an array of constraints, found a table"],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [1]",
                &["4:16 expected a table for a constraint, found the integer 1"],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{}]",
                &[
                    "4:16 a constraint needs the key \"model\"",
                    "4:16 a constraint needs the key \"type\"",
                ],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"ad\", model = \"A\" }]",
                &[
                    "4:25 no fragment type \"ad\" = did you mean \"add\"? (allowed: add, change, remove and movechange)",
                ],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"B\" }]",
                &["4:40 no model \"B\" = models: A"],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"A\", propertis = {} }]",
                &[
                    "4:45 no key \"propertis\" in a constraint = did you mean \"properties\"? (allowed: type, model, properties, additional and repeated)",
                ],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"A\", properties = { y = \"new\" } }]",
                &["4:60 no property \"y\" on \"A\" = properties: x"],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"A\", properties = { x = \"insert\" } }]",
                &[
                    "4:64 \"x\" is no collection: the string \"insert\" cannot be asked of it = \"new\" for any value, a value for that one, { value = \"…\" } for a text with another meaning",
                ],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"A\", properties = { x = true } }]",
                &["4:64 expected a finite number for \"x\", found true"],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"A\", properties = { x = { valu = 1 } } }]",
                &[
                    "4:64 a value needs the key \"value\"",
                    "4:66 no key \"valu\" in a value = did you mean \"value\"? (allowed: value)",
                ],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"remove\", model = \"A\", properties = { x = 1 } }]",
                &["4:63 a removal sets no properties"],
            ),
            (
                "[procedures.\"A.add\"]\nconstraints = [{ type = \"add\", model = \"A\", additional = 1 }]",
                &["4:58 expected true or false, found the integer 1"],
            ),
        ],
    );
}

#[test]
fn a_mistake_in_a_setting_names_the_flag_or_the_variable() {
    let file = "[models.A]\n[scopes.A]\nroot = 'A'\n[scopes.'b/{id}']\nroot = 'A'";
    let cases = [
        (set("scopes.A.root=B"), "--set no model \"B\" = models: A"),
        (
            set("scopes.A.rot=A"),
            "--set no key \"rot\" in a scope = did you mean \"root\"? (allowed: root, limits, visible, initial, state, validate, access, write, load and notify)",
        ),
        (set("scopes.B.root=A"), ""),
        (
            variable("JETSTREAM_LIMITS__MEMBERS_MAX", "many"),
            "JETSTREAM_LIMITS__MEMBERS_MAX expected an integer from 1 on, found the string \"many\"",
        ),
        (
            variable("JETSTREAM_SCOPES__B__ID___LIMITS__MEMBERS_MAX", "0"),
            "JETSTREAM_SCOPES__B__ID___LIMITS__MEMBERS_MAX expected an integer from 1 on, found the integer 0",
        ),
        (
            variable("JETSTREAM_STORAGE__PATH", ""),
            "JETSTREAM_STORAGE__PATH expected the name of a folder, found an empty string",
        ),
    ];
    for (setting, expected) in cases {
        assert_eq!(with_settings(file, &[setting]).join("\n"), expected);
    }
}

#[test]
fn a_setting_is_shown_with_its_part_marked() {
    let setting = variable("JETSTREAM_SCOPES__A__LIMITS__MEMBERS_MX", "10");
    let file = "[models.A]\n[scopes.A]\nroot = 'A'";
    let expected = "\
error: no key \"members_mx\" in a scope's limits
--> JETSTREAM_SCOPES__A__LIMITS__MEMBERS_MX
 |
 | JETSTREAM_SCOPES__A__LIMITS__MEMBERS_MX=10
 |                              ^^^^^^^^^^
 = did you mean \"members_max\"? (allowed: scope_objects_max, scope_bytes_max, members_max, mailbox_requests_max, procedure_timeout_ms, procedure_waiting_max and \
   scope_idle_ms)

1 mistake";
    assert_eq!(load_with(file, &[setting]).unwrap_err().to_string(), expected);
}

#[test]
fn every_mistake_is_told_at_once_and_only_those_that_were_made() {
    let text = "\
lisen = 1
[enumerations]
Day = [\"Monday\", 2]
[models.Shape.properties]
x = \"Nmber\"
day = { type = \"Day\", default = \"Monday\" }
[models.Canvas]
extends = \"Shape\"
properties = { shapes = \"[Shap]\", name = \"String\" }
[models.Lost]
extend = 1
properties = 1
[scopes.Canvas]
root = \"Canvas\"
initial = { x = 1, shapes = [], name = 1, day = \"Tuesday\" }
[scopes.Other]
root = \"Canvs\"
[scopes.Lost]
root = \"Lost\"
limits = { members_max = 0 }
[procedures.\"Canvas.x\"]
constraints = [{ type = \"add\", model = \"Canvas\", properties = { name = true } }]
[limits]
members_max = 0
";
    let places: Vec<String> =
        mistakes(text).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let expected =
        ["1:1", "3:18", "5:5", "9:25", "11:1", "12:14", "15:40", "17:8", "20:26", "22:72", "24:15"];
    assert_eq!(places, expected, "{:#?}", mistakes(text));
}

#[test]
fn all_that_is_no_toml_is_told_at_once() {
    assert_eq!(
        mistakes("a = \n[b\n"),
        [
            "1:5 string values must be quoted, expected literal string",
            "2:3 unclosed table, expected `]`",
        ]
    );
}

#[test]
fn a_certificate_and_a_key_have_to_be_what_they_are_called() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let cases = [
        ("cert.pem", "key.pem", None),
        ("key.pem", "key.pem", Some("/key.pem: no certificate is in the file")),
        ("cert.pem", "cert.pem", Some("/cert.pem: no private key is in the file")),
    ];
    for (certificate, key, expected) in cases {
        let text =
            format!("tls = {{ certificate = '{data}/{certificate}', key = '{data}/{key}' }}");
        let expected = expected.map(|message| format!("1:7 {data}{message}"));
        assert_eq!(mistakes(&text), Vec::from_iter(expected));
    }
}

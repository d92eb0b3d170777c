use std::{collections::HashMap, io::Write, path::PathBuf, time::Duration};

use super::*;
use crate::config::LogFormat;

fn documented() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/cvrsd.toml")
}

fn load_from(
    file: Option<&Path>,
    variables: Option<HashMap<String, String>>,
) -> Result<Config, Error> {
    read(file, variables).map(|(config, _)| config)
}

fn with_file(text: &str) -> Result<Config, Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load_from(Some(file.path()), Some(HashMap::new()))
}

fn with_variables(variables: &[(&str, &str)]) -> Result<Config, Error> {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load_from(None, Some(variables))
}

#[test]
fn the_documented_file_is_the_defaults() {
    let config = load_from(Some(&documented()), Some(HashMap::new())).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn the_documented_file_names_every_key() {
    let set: Vec<String> =
        from_file(&documented()).unwrap().into_iter().map(|given| given.key).collect();
    let text = std::fs::read_to_string(documented()).unwrap();
    let tree = defaults().unwrap();
    for key in keys_of(&tree) {
        let (section, name) = key.split_once('.').unwrap();
        if tree[section][name].is_array() {
            assert!(text.contains(&format!("\n# [[{key}]]\n")), "{key} is not in a comment");
        } else if tree[section][name].is_null() {
            assert!(text.contains(&format!("\n# {name} = ")), "{key} is not in a comment");
        } else {
            assert!(set.contains(&key), "{key} is not in the file");
        }
    }
}

#[test]
fn nothing_given_is_the_defaults() {
    assert_eq!(with_variables(&[]).unwrap(), Config::default());
    assert_eq!(with_file("").unwrap(), Config::default());
    assert_eq!(with_file("[grpc]\n[rest]\n").unwrap(), Config::default());
}

#[test]
fn the_environment_wins_over_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[engine]\nworkers = 3\nmax_attempts = 4\n").unwrap();
    let variables = HashMap::from([("CVRSD__ENGINE__WORKERS".to_owned(), "5".to_owned())]);
    let config = load_from(Some(file.path()), Some(variables)).unwrap();
    assert_eq!((config.engine.workers, config.engine.max_attempts), (5, 4));
}

#[test]
fn the_environment_holds_values_of_every_type() {
    let config = with_variables(&[
        ("CVRSD__GRPC__LISTEN", "[::1]:0"),
        ("CVRSD__GRPC__REFLECTION", "false"),
        ("CVRSD__DATA__DIR", "17"),
        ("CVRSD__VALIDATION__PROFILE", "dch-2020"),
        ("CVRSD__VALIDATION__ADMIN_DATE_MIN", "2021-01-31"),
        ("CVRSD__VALIDATION__ADMIN_TYPE_MAX", "30"),
        ("CVRSD__ENGINE__RETRY_MIN", "2s"),
        ("CVRSD__LOG__FORMAT", "json"),
    ])
    .unwrap();
    assert_eq!(config.grpc.listen, "[::1]:0".parse().unwrap());
    assert!(!config.grpc.reflection);
    assert_eq!(config.data.dir, PathBuf::from("17"));
    assert_eq!(config.validation.profile, crate::config::ProfileName::Dch2020);
    assert_eq!(config.validation.admin_date_min, jiff::civil::date(2021, 1, 31));
    assert_eq!(config.validation.admin_type_max, Some(30));
    assert_eq!(config.engine.retry_min, Duration::from_secs(2));
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn variables_of_the_command_line_are_not_configuration() {
    let config = with_variables(&[
        ("CVRSD_SERVER", "http://127.0.0.1:1"),
        ("CVRSD_TOKEN", "t"),
        ("CVRSD_ADMIN", "http://127.0.0.1:2"),
        ("CVRSDX__GRPC__LISTEN", "x"),
    ]);
    assert_eq!(config.unwrap(), Config::default());
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let cases = [
        (with_file("[engine]\nworker = 2\n"), "engine.worker\"", "engine.workers"),
        (with_file("[engin]\nworkers = 2\n"), "engin.workers", "engine.workers"),
        (with_file("[grcp]\n"), "\"grcp\"", "grpc.listen"),
        (with_file("workers = 2\n"), "\"workers\"", "engine.workers"),
        (with_file("[engine.deep]\nx = 1\n"), "engine.deep", ""),
        (with_file("[grpc]\nlisten.port = 1\n"), "grpc.listen", ""),
        (with_variables(&[("CVRSD__REST__LISTN", "x")]), "CVRSD__REST__LISTN", "rest.listen"),
        (with_variables(&[("CVRSD__REST", "x")]), "CVRSD__REST", ""),
        (with_variables(&[("CVRSD__A__B__C", "x")]), "a.b.c", ""),
    ];
    for (result, named, nearest) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(nearest), "{error}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_key_and_origin() {
    let cases = [
        (with_file("[engine]\nworkers = \"many\"\n"), "engine.workers = \"many\""),
        (with_file("[engine]\nworkers = 2.5\n"), "engine.workers = 2.5"),
        (with_file("[engine]\nworkers = -1\n"), "engine.workers = -1"),
        (with_file("[rest]\nsubmit_status = 65738\n"), "rest.submit_status = 65738"),
        (with_file("[grpc]\nreflection = 1\n"), "grpc.reflection = 1"),
        (with_file("[data]\ndir = 5\n"), "data.dir = 5"),
        (with_file("[grpc]\nlisten = \"localhost\"\n"), "grpc.listen"),
        (with_file("[auth]\nmode = \"maybe\"\n"), "auth.mode: expected `none` or `token`"),
        (with_file("[engine]\nretry_min = \"soon\"\n"), "engine.retry_min = \"soon\""),
        (with_variables(&[("CVRSD__ENGINE__WORKERS", "")]), "variable CVRSD__ENGINE__WORKERS"),
        (
            with_variables(&[("CVRSD__ENGINE__RETRY_MIN", "5 parsecs")]),
            "variable CVRSD__ENGINE__RETRY_MIN",
        ),
    ];
    for (result, named) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_date_may_be_written_with_or_without_quotes() {
    let day = jiff::civil::date(2021, 2, 3);
    for text in ["2021-02-03", "\"2021-02-03\""] {
        let config = with_file(&format!("[validation]\nadmin_date_min = {text}\n")).unwrap();
        assert_eq!(config.validation.admin_date_min, day);
    }
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_refused_by_name() {
    let missing = load_from(Some(Path::new("no/such.toml")), Some(HashMap::new()));
    assert!(missing.unwrap_err().to_string().contains("no/such.toml"));
    assert!(with_file("[grpc\n").is_err());
}

#[test]
fn ranges_hold_at_their_ends_and_break_one_beyond() {
    let cases = [
        ("CVRSD__ENGINE__WORKERS", vec!["1", "64"], vec!["0", "65"]),
        ("CVRSD__ENGINE__EXPRESS_WORKERS", vec!["0", "64"], vec!["65"]),
        ("CVRSD__ENGINE__CHECKPOINT_ROWS", vec!["1", "1000000"], vec!["0", "1000001"]),
        ("CVRSD__ENGINE__MAX_ATTEMPTS", vec!["2", "1000"], vec!["1", "1001"]),
        ("CVRSD__ENGINE__DRAIN_TIMEOUT", vec!["0s", "1day"], vec!["86401s"]),
        ("CVRSD__REST__SUBMIT_STATUS", vec!["200", "202"], vec!["199", "201", "203"]),
        ("CVRSD__INTAKE__MAX_RATIO", vec!["1"], vec!["0"]),
        ("CVRSD__INTAKE__UPLOADS_MAX", vec!["1", "65536"], vec!["0", "65537"]),
        ("CVRSD__INTAKE__MAX_ROWS", vec!["1", "4294967294"], vec!["0", "4294967295"]),
        ("CVRSD__INTAKE__MAX_BODY_BYTES", vec!["1"], vec!["0"]),
        ("CVRSD__INTAKE__MAX_LINE_BYTES", vec!["1024", "67108864"], vec!["1023", "67108865"]),
        ("CVRSD__INTAKE__IDLE_TIMEOUT", vec!["1ms", "1day"], vec!["0s", "2days"]),
        ("CVRSD__VALIDATION__FUTURE_TOLERANCE_DAYS", vec!["0", "366"], vec!["367"]),
        ("CVRSD__VALIDATION__ADMIN_TYPE_MAX", vec!["1", "999"], vec!["0", "1000"]),
        ("CVRSD__AUTH__TOKEN_LIFETIME", vec!["1s", "1day"], vec!["999ms", "86401s"]),
        ("CVRSD__AUTH__REFRESH_MAX", vec!["1s", "30days"], vec!["0s", "31days"]),
        ("CVRSD__AUTH__KEY_MAX_AGE", vec!["1s", "3650days"], vec!["0s", "3651days"]),
        ("CVRSD__RECORDS__CACHE_BYTES", vec!["1048576"], vec!["1048575"]),
        ("CVRSD__LOG__LEVEL", vec!["debug", "warn,cvrsd=trace"], vec!["loud", ""]),
    ];
    for (key, good, bad) in cases {
        for value in good {
            let result = with_variables(&[(key, value)]);
            assert!(result.is_ok(), "{key}={value}: {result:?}");
        }
        for value in bad {
            assert!(with_variables(&[(key, value)]).is_err(), "{key}={value}");
        }
    }
}

#[test]
fn the_first_retry_does_not_wait_longer_than_the_longest() {
    let pair = |min, max| {
        with_variables(&[("CVRSD__ENGINE__RETRY_MIN", min), ("CVRSD__ENGINE__RETRY_MAX", max)])
    };
    assert!(pair("7s", "7s").is_ok());
    let error = pair("8s", "7s").unwrap_err().to_string();
    assert!(error.contains("engine.retry_min") && error.contains("engine.retry_max"), "{error}");
}

#[test]
fn without_authentication_only_loopback_is_bound() {
    for listener in ["GRPC", "REST", "ADMIN"] {
        let key = format!("CVRSD__{listener}__LISTEN");
        assert!(with_variables(&[(&key, "127.9.9.9:0")]).is_ok());
        for open in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0"] {
            let error = with_variables(&[(&key, open)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{}.listen", listener.to_lowercase())), "{error}");
        }
    }
}

const CLIENT: &str = "[[auth.client]]\nid = \"CV1\"\ntenant = \"T\"\nscopes = [\"Upload\"]\n\
    secret_sha256 = \"00000000000000000000000000000000000000000000000000000000000000ff\"\n";

#[test]
fn clients_are_read_with_their_defaults_and_their_quotas() {
    let quota = "[auth.client.quota]\nuploads_max = 3\nspool_bytes_max = 5000000000\n";
    let second = CLIENT.replace("CV1", "CV2");
    let config = with_file(&format!("{CLIENT}{quota}{second}")).unwrap();
    let [first, second] = &config.auth.client[..] else { panic!("two clients") };
    assert_eq!((first.id.as_str(), second.id.as_str()), ("CV1", "CV2"));
    assert_eq!(first.quota.uploads_max, Some(3));
    assert_eq!(first.quota.spool_bytes_max, Some(5_000_000_000));
    assert_eq!(first.quota.requests_per_s, None);
    assert_eq!(second.quota, crate::config::Quota::default());
    assert_eq!(first.storages, ["NON_REDACTED_DB", "REDACTED_DB"]);
    assert!(!first.validate_only && first.act_for.is_empty());
}

#[test]
fn what_is_wrong_with_a_client_is_said_without_its_digest() {
    let cases = [
        (format!("{CLIENT}{CLIENT}"), "\"CV1\": the id is there twice"),
        (CLIENT.replace("00ff", "00f"), "\"CV1\": secret_sha256"),
        (CLIENT.replace("Upload", "EXPORT"), "\"EXPORT\" is not a scope"),
        (CLIENT.replace("tenant = \"T\"", ""), "missing field `tenant`"),
        (CLIENT.replace("tenant", "tenent"), "tenent"),
        (format!("{CLIENT}act_for = [\"CV2\"]\n"), "\"CV2\", which is no client"),
        ("[auth]\nmode = \"token\"\n".to_owned(), "no [[auth.client]]"),
        ("[auth]\nclient = \"x\"\n".to_owned(), "auth.client"),
    ];
    for (text, named) in cases {
        let error = with_file(&text).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        assert!(!error.contains("000000"), "{error}");
    }
}

#[test]
fn no_error_shows_a_value_of_the_clients() {
    let digest = "00000000000000000000000000000000000000000000000000000000000000ff";
    let quoted = format!("\"{digest}\"");
    let cases = [
        (CLIENT.replace("[[auth.client]]", "[auth.client]"), "auth.client: expected a sequence"),
        (CLIENT.replace(&quoted, digest), "at line 5, column"),
        (CLIENT.replace(&quoted, &format!("\"{digest}")), "at line 5, column"),
        (CLIENT.replace(&quoted, &format!("{quoted} x")), "at line 5, column"),
        (CLIENT.replace("secret_sha256 =", "secret_sha256"), "at line 5, column"),
        (CLIENT.replace("[\"Upload\"]", &quoted), "auth.client: expected a sequence"),
        (CLIENT.replace("[\"Upload\"]", "[\"Upload\"]\nvalidate_only = 000"), "at line 5"),
        (format!("{CLIENT}validate_only = {quoted}\n"), "auth.client: expected a boolean"),
        (CLIENT.replace(&quoted, "77000077"), "auth.client: expected a string"),
        (CLIENT.replace(&quoted, &format!("[{quoted}]")), "auth.client: expected a string"),
        (format!("[auth]\nclient = {quoted}\n"), "auth.client: expected a sequence"),
        (format!("[auth]\nclient = \", expected {digest}\"\n"), "auth.client: expected a sequence"),
        (format!("[auth]\nmode = {quoted}\n"), "auth.mode: expected `none` or `token`"),
        (format!("[auth]\ntoken_lifetime = {quoted}\n"), "auth.token_lifetime: "),
        (format!("auth = {quoted}\n"), "\"auth\""),
    ];
    for (text, named) in cases {
        let error = with_file(&text).unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
        assert!(!error.contains("0000"), "{error}");
    }
    let error = with_variables(&[("CVRSD__AUTH__CLIENT", digest)]).unwrap_err().to_string();
    assert!(error.contains("CVRSD__AUTH__CLIENT") && !error.contains("0000"), "{error}");
}

#[test]
fn off_loopback_both_tls_and_tokens_are_needed_or_the_key_that_says_so() {
    const TLS: &str = "certificate = \"a\"\nkey = \"b\"\n";
    const INSECURE: &str = "insecure_off_loopback = true\n";
    for listener in ["grpc", "rest", "admin"] {
        let open = |mode: &str, tls: &str| {
            let auth = format!("[auth]\nmode = \"{mode}\"\n{CLIENT}");
            with_file(&format!("[{listener}]\nlisten = \"0.0.0.0:0\"\n[tls]\n{tls}{auth}"))
        };
        for (mode, tls, missing) in [
            ("none", "", "auth.mode = \"none\" binds loopback addresses only"),
            ("none", TLS, "auth.mode = \"none\" binds loopback addresses only"),
            ("token", "", "without tls.certificate and tls.key loopback addresses only"),
        ] {
            let error = open(mode, tls).unwrap_err().to_string();
            assert!(error.contains(&format!("{listener}.listen is 0.0.0.0:0")), "{error}");
            assert!(error.contains(missing), "{error}");
            assert!(open(mode, &format!("{tls}{INSECURE}")).is_ok());
        }
        assert!(open("token", TLS).is_ok());
    }
}

#[test]
fn keys_of_tls_that_need_each_other_are_set_together() {
    let named = CLIENT.replace("scopes", "certificate_names = [\"a.example\"]\nscopes");
    let only_named = CLIENT.lines().filter(|line| !line.starts_with("secret_sha256"));
    let only_named: Vec<_> = only_named.chain(["certificate_names = [\"a\"]\n"]).collect();
    let (pair, ca) = ("certificate = \"a\"\nkey = \"b\"\n", "client_ca = \"c\"\n");
    for (text, wrong) in [
        ("[tls]\ncertificate = \"a\"\n".to_owned(), "tls.certificate is set, tls.key is not"),
        ("[tls]\nkey = \"a\"\n".to_owned(), "tls.key is set, tls.certificate is not"),
        (format!("[tls]\n{ca}"), "tls.client_ca is set, tls.certificate is not"),
        (
            format!("[tls]\n{pair}{named}"),
            "\"CV1\": certificate_names is set, tls.client_ca is not",
        ),
    ] {
        let error = with_file(&text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    for client in ["", CLIENT, &named, &only_named.join("\n")] {
        let config = with_file(&format!("[tls]\n{pair}{ca}{client}")).unwrap();
        assert!(config.tls.client_certificate_required);
    }
    let given = with_variables(&[
        ("CVRSD__TLS__CERTIFICATE", "/a/b.pem"),
        ("CVRSD__TLS__KEY", "./17"),
        ("CVRSD__TLS__CLIENT_CERTIFICATE_REQUIRED", "false"),
    ]);
    let tls = given.unwrap().tls;
    assert_eq!(tls.certificate, Some(PathBuf::from("/a/b.pem")));
    assert_eq!(tls.key, Some(PathBuf::from("./17")));
    assert!(!tls.client_certificate_required);
}

#[test]
fn two_listeners_share_no_port_but_the_free_one() {
    let same = |address| {
        with_variables(&[("CVRSD__GRPC__LISTEN", address), ("CVRSD__ADMIN__LISTEN", address)])
    };
    assert!(same("127.0.0.1:0").is_ok());
    assert!(same("127.0.0.1:7000").unwrap_err().to_string().contains("admin.listen"));
}

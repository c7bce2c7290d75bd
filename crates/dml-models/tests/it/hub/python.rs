//! One cache with `huggingface_hub`, where Python has it.

use std::io::Write;
use std::process::Command;

use super::*;

/// A Python that has `huggingface_hub`. One that is asked for by `DML_PYTHON` must have it.
fn python() -> Option<String> {
    let asked = std::env::var("DML_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let tried = Command::new(&python)
        .args(["-c", "import huggingface_hub"])
        .output();
    let has_hub = tried.is_ok_and(|tried| tried.status.success());
    assert!(
        has_hub || asked.is_none(),
        "DML_PYTHON: expected a Python that has huggingface_hub, got {python}"
    );
    if !has_hub {
        // Straight to the terminal, and not by `eprintln!`: the harness keeps what a passing test prints to itself.
        let sentence = "SKIPPED: no Python with huggingface_hub (set DML_PYTHON)";
        #[allow(clippy::explicit_write)]
        writeln!(std::io::stderr(), "{sentence}").unwrap();
    }
    has_hub.then_some(python)
}

/// Runs a program of Python with the cache and the hub in its environment, and returns what it prints.
fn run(python: &str, hub: &Hub, cache: &Path, is_offline: bool, program: &str) -> String {
    let run = Command::new(python)
        .args(["-c", &format!("import huggingface_hub as hub\n{program}")])
        .env("HF_HUB_CACHE", cache)
        .env("HF_HOME", cache)
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_HUB_OFFLINE", if is_offline { "1" } else { "0" })
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .env("NO_PROXY", "*")
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

#[test]
fn huggingface_hub_reads_what_was_downloaded() {
    let Some(python) = python() else { return };
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    let folder = model(&hub, cache.path()).download().unwrap();
    let before = hub.asked().len();
    let program = format!(
        "print(hub.snapshot_download('{NAME}', allow_patterns=['*.json', 'model.safetensors']))\n\
         print(hub.hf_hub_download('{NAME}', '1_Pooling/config.json'))\n\
         print(hub.try_to_load_from_cache('{NAME}', 'model.safetensors'))\n\
         info = hub.scan_cache_dir()\n\
         print(len(info.repos), len(info.warnings), len(hub.get_cached_repo_tree('{NAME}')))\n\
         try:\n\
         \x20   hub.snapshot_download('{NAME}')\n\
         except hub.errors.IncompleteSnapshotError:\n\
         \x20   print('incomplete')"
    );
    let printed = run(&python, &hub, cache.path(), true, &program);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let expected = [
        folder.path().to_str().unwrap().to_owned(),
        path("1_Pooling/config.json"),
        path("model.safetensors"),
        "1 0 8".to_owned(),
        "incomplete".to_owned(),
    ];
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    assert_eq!(hub.asked().len(), before);
}

#[test]
fn what_huggingface_hub_downloaded_is_read() {
    let Some(python) = python() else { return };
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    // File by file, as transformers and sentence-transformers do it.
    let program = format!(
        "for name in ['modules.json', '1_Pooling/config.json', 'config.json', 'sentence_bert_config.json', 'model.safetensors']:\n\
         \x20   print(hub.hf_hub_download('{NAME}', name))"
    );
    run(&python, &hub, cache.path(), false, &program);
    let before = hub.asked().len();
    let mut own = config(&hub, cache.path());
    own.offline = true;
    let folder = HubModel::new(NAME).config(own).download().unwrap();
    assert_eq!(hub.asked().len(), before);
    assert_eq!(embeddings(&folder).len(), 2);
    // With a network, nothing is transferred again.
    let transfers = hub.starts().len();
    assert_eq!(
        model(&hub, cache.path()).download().unwrap().path(),
        folder.path()
    );
    assert_eq!(hub.starts().len(), transfers);
}

//! Which files come, from where, and where they are then.

use super::*;

#[test]
fn an_encoder_comes_with_its_modules_and_one_set_of_weights() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let commit = push_encoder(&hub);
    let folder = model(&hub, cache.path()).download().unwrap();
    assert_eq!(
        (folder.commit(), folder.is_confirmed()),
        (commit.as_str(), true)
    );
    assert_whole(&folder, cache.path());
    let names = [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
    ];
    for name in names.into_iter().chain(["model.safetensors"]) {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
    for name in [".gitattributes", "onnx", "pytorch_model.bin"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
    // The encoder has the weights, and its pooling.
    let network = TextConfig::from_json(CONFIG).unwrap();
    let network = network.build(&mut rng(), DType::F32, &Device::Cpu).unwrap();
    let own = TextEncoder::new(network, Pooling::Cls);
    let ids = Tensor::new(&[[2u32, 5, 7], [3, 4, 0]], &Device::Cpu).unwrap();
    let expected = own.forward(&ids).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(embeddings(&folder), expected);

    // The layout of huggingface_hub.
    let root = cache.path().join("models--owner--name");
    let reference = fs::read_to_string(root.join("refs/main")).unwrap();
    assert_eq!(reference, commit);
    assert_eq!(folder.path(), root.join("snapshots").join(&commit));
    #[cfg(unix)]
    {
        let link = fs::read_link(folder.path().join("1_Pooling/config.json")).unwrap();
        assert!(link.starts_with("../../../blobs"), "{}", link.display());
    }

    // A second download asks what the revision is, and for no file.
    let before = hub.asked().len();
    assert_eq!(model(&hub, cache.path()).download().unwrap(), folder);
    let expected = format!("GET /api/models/{NAME}/revision/main?blobs=true");
    assert_eq!(hub.asked()[before..], [expected]);
    assert_eq!(hub.starts(), [None]);
    // At a commit there is nothing to ask.
    let at_commit = model(&hub, cache.path())
        .revision(&commit)
        .download()
        .unwrap();
    assert_eq!((&at_commit, hub.asked().len()), (&folder, before + 1));
}

#[test]
fn a_branch_that_moves_is_followed() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let old = one_file(&hub, 100);
    let first = model(&hub, cache.path()).download().unwrap();
    let path = model(&hub, cache.path()).file("model.safetensors").unwrap();
    assert_eq!(fs::read(&path).unwrap(), old);
    let new = one_file(&hub, 200);
    let second = model(&hub, cache.path()).download().unwrap();
    assert_eq!(
        fs::read(second.path().join("model.safetensors")).unwrap(),
        new
    );
    assert_eq!(
        fs::read(first.path().join("model.safetensors")).unwrap(),
        old
    );
    // The old commit is still to be had, and the new one moved the file, too.
    let old_model = model(&hub, cache.path()).revision(first.commit());
    assert_eq!(old_model.download().unwrap(), first);
    let path = model(&hub, cache.path()).file("model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), new);
    // A file that both commits have is transferred once.
    assert_eq!(hub.starts(), [None, None]);
}

#[test]
fn branches_with_slashes_and_files_with_spaces() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let commit = hub.push(NAME, &[("a b.bin", b"small")]);
    {
        let mut state = hub.state();
        let own = state.repositories.get_mut(NAME).unwrap();
        own.revisions.insert("refs/pr/1".to_owned(), commit);
    }
    let path = model(&hub, cache.path())
        .revision("refs/pr/1")
        .file("a b.bin")
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), b"small");
    let expected = "HEAD /owner/name/resolve/refs%2Fpr%2F1/a%20b.bin";
    assert_eq!(hub.asked()[0], expected);
}

#[test]
fn shards_come_with_their_index() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/sharded");
    let read = |name: &str| fs::read(own.join(name)).unwrap();
    let names = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ];
    let contents = names.map(read);
    let pushed: Vec<(&str, &[u8])> = names
        .iter()
        .zip(&contents)
        .map(|(n, c)| (*n, &c[..]))
        .collect();
    hub.push(NAME, &pushed);
    let folder = model(&hub, cache.path()).download().unwrap();
    let index = model(&hub, cache.path()).file(names[2]).unwrap();
    for path in [folder.path(), &index] {
        let weights = Weights::open(path).unwrap();
        assert_eq!(weights.len(), 4);
        weights
            .tensor("fc.weight", DType::F32, &Device::Cpu)
            .unwrap();
    }
    // A file alone brings its shards, too.
    let other = tempfile::tempdir().unwrap();
    let index = model(&hub, other.path()).file(names[2]).unwrap();
    assert_eq!(Weights::open(index).unwrap().len(), 4);
    // An index that lists what is not there.
    hub.push(NAME, &pushed[1..]);
    let error = model(&hub, cache.path())
        .download()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(names[0]) && error.contains("expected the shard"),
        "{error}"
    );
    // The branch still leads to the whole commit.
    let mut config = config(&hub, cache.path());
    config.offline = true;
    let offline = HubModel::new(NAME).config(config).download().unwrap();
    assert_eq!(offline.path(), folder.path());
}

#[test]
fn weights_of_an_image_network_load_by_name() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let build = |seed| {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let network = dml_models::by_name("mobilenet_v3_small").unwrap();
        network.build(rng, DType::F32, &Device::Cpu).unwrap()
    };
    let path = cache.path().join("own.safetensors");
    save(&build(1), &path).unwrap();
    let contents = fs::read(&path).unwrap();
    hub.push(
        NAME,
        &[("config.json", b"{}"), ("model.safetensors", &contents)],
    );
    let folder = model(&hub, cache.path()).download().unwrap();
    let network = build(2);
    let weights = Weights::open(&folder).unwrap();
    dml_models::Backbone::load(&network, &weights, &Names::default()).unwrap();
    for ((name, a), (_, b)) in build(1)
        .parameters()
        .iter()
        .zip(network.parameters().iter())
    {
        let flat = |x: &candle_core::Var| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(a), flat(b), "{name}");
    }
}

#[test]
fn the_token_goes_to_the_hub_alone() -> Result<()> {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    {
        let mut state = hub.state();
        state.gated.push(NAME.to_owned());
        state.token = Some("hf_good".to_owned());
    }
    let mut config = config(&hub, cache.path());
    config.token = dml_models::hub::HubToken::new("hf_good");
    HubModel::new(NAME).config(config).download()?;
    let state = hub.state();
    let own = |requests: &[server::Request]| -> Vec<bool> {
        requests
            .iter()
            .map(|own| own.authorization.is_some())
            .collect()
    };
    assert!(own(&state.requests).into_iter().all(|sent| sent));
    assert_eq!(own(&state.storage_requests), [false]);
    Ok(())
}

#[test]
fn several_downloads_at_once_are_one_transfer() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let contents = one_file(&hub, 1 << 20);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let path = model(&hub, cache.path()).file("model.safetensors").unwrap();
                assert_eq!(fs::read(path).unwrap(), contents);
            });
        }
    });
    assert_eq!(hub.starts(), [None]);
}

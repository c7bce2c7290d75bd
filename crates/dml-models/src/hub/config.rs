//! Where the hub is, who asks, and where files are kept: from the variables that `huggingface_hub` reads.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{HubError, Result};

/// Address of the hub.
const ENDPOINT: &str = "https://huggingface.co";
/// Most bytes of a token's file.
const MOST_TOKEN: u64 = 1 << 16;

/// A token of the hub. `Debug` does not show it.
///
/// ```
/// use dml_models::hub::HubToken;
///
/// let token = HubToken::new(" hf_secret\n").unwrap();
/// assert_eq!(token.as_str(), "hf_secret");
/// assert!(!format!("{token:?}").contains("secret"));
/// assert!(HubToken::new("\n").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HubToken(String);

impl HubToken {
    /// A token without the white space around it and the line breaks in it; `None` if nothing is left.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let token = token.replace(['\r', '\n'], "");
        let token = token.trim();
        (!token.is_empty()).then(|| Self(token.to_owned()))
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubToken(…)")
    }
}

/// Where the hub is, who asks, where files are kept, and how patiently to download.
///
/// | field | variables, the first that is set |
/// |---|---|
/// | `endpoint` | `HF_ENDPOINT` |
/// | `cache` | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `hub` in `HF_HOME`, in `XDG_CACHE_HOME/huggingface`, in `~/.cache/huggingface` |
/// | `token` | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH`, the file `token` in `HF_HOME`; none if `HF_HUB_DISABLE_IMPLICIT_TOKEN` is true |
/// | `offline` | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` |
/// | `answer_timeout` | `HF_HUB_ETAG_TIMEOUT`, in whole seconds |
/// | `stall_timeout` | `HF_HUB_DOWNLOAD_TIMEOUT`, in whole seconds |
///
/// As in `huggingface_hub`, true is `1`, `ON`, `YES` or `TRUE`, paths may begin with `~` and have `$VARIABLES` in them. An
/// empty variable counts as unset.
///
/// ```no_run
/// use dml_models::hub::{HubConfig, HubModel};
///
/// let mut config = HubConfig::from_env()?;
/// config.cache = "models".into();
/// let weights = HubModel::new("timm/resnet18.tv_in1k").config(config).file("model.safetensors")?;
/// # Ok::<(), dml_models::hub::HubError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubConfig {
    /// Address of the hub, without a slash at its end. Default `https://huggingface.co`.
    pub endpoint: String,
    /// Folder of the cache, which `huggingface_hub` and other programs share.
    pub cache: PathBuf,
    /// Token that is sent to the hub, and to no other server.
    pub token: Option<HubToken>,
    /// Whether the cache alone is read. Default `false`.
    pub offline: bool,
    /// How long to wait for a connection, and for the beginning of an answer. Default 10 seconds.
    pub answer_timeout: Duration,
    /// How long to wait for the next byte of a file. Default 10 seconds.
    pub stall_timeout: Duration,
    /// Fewest bytes per second, averaged over each span of `stall_timeout`; a slower transfer fails and is tried again. 0
    /// sets no limit. Default 1000.
    pub min_bytes_per_second: u32,
    /// Attempts at one request, at least 1; those that bring 64 KiB or more do not count. Default 5.
    pub attempts: u32,
    /// The wait after the first failed attempt; it doubles with each. Default 1 second.
    pub first_wait: Duration,
    /// The longest wait. Default 8 seconds.
    pub longest_wait: Duration,
    /// How long to wait for another download of the same file. Default 10 minutes.
    pub lock_timeout: Duration,
    /// Whether the environment's `HTTPS_PROXY` and the like are used. Default `true`.
    pub proxy_from_environment: bool,
}

impl HubConfig {
    /// The settings of the environment ([table](Self)).
    ///
    /// # Errors
    /// [`HubError::NoCacheFolder`] if no variable says where the cache is, [`HubError::Argument`] for a variable that is
    /// none, [`HubError::Io`] if there is a token file that can't be read.
    pub fn from_env() -> Result<Self> {
        Self::of(&Environment {
            variable: &|name| std::env::var_os(name),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
        })
    }

    fn of(environment: &Environment<'_>) -> Result<Self> {
        let home = match environment.path("HF_HOME") {
            Some(home) => Some(home),
            None => {
                let cache = environment.path("XDG_CACHE_HOME");
                let cache = cache.or_else(|| Some(environment.home.as_ref()?.join(".cache")));
                cache.map(|cache| cache.join("huggingface"))
            }
        };
        let in_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let cache = environment
            .path("HF_HUB_CACHE")
            .or_else(|| environment.path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| in_home("hub"));
        let token_file = environment
            .path("HF_TOKEN_PATH")
            .or_else(|| in_home("token"));
        let endpoint = match environment.text("HF_ENDPOINT")? {
            Some(endpoint) => endpoint,
            None => ENDPOINT.to_owned(),
        };
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: cache.ok_or(HubError::NoCacheFolder)?,
            token: environment.token(token_file.as_deref())?,
            offline: match environment.text("HF_HUB_OFFLINE")? {
                Some(text) => is_true(&text),
                None => environment.is_true("TRANSFORMERS_OFFLINE")?,
            },
            answer_timeout: environment.seconds("HF_HUB_ETAG_TIMEOUT", 10)?,
            stall_timeout: environment.seconds("HF_HUB_DOWNLOAD_TIMEOUT", 10)?,
            min_bytes_per_second: 1000,
            attempts: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(8),
            lock_timeout: Duration::from_secs(600),
            proxy_from_environment: true,
        })
    }
}

fn is_true(text: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&text.to_ascii_uppercase().as_str())
}

/// Variables, and the user's folder.
struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
}

impl Environment<'_> {
    fn set(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &'static str) -> Result<Option<String>> {
        let value = self.set(name).map(OsString::into_string).transpose();
        value.map_err(|value| HubError::Argument {
            argument: name,
            expected: "Unicode",
            got: value.to_string_lossy().into_owned(),
        })
    }

    fn is_true(&self, name: &'static str) -> Result<bool> {
        Ok(self.text(name)?.is_some_and(|text| is_true(&text)))
    }

    /// A number of seconds; 0 stands for the default.
    fn seconds(&self, name: &'static str, default: u64) -> Result<Duration> {
        let seconds = match self.text(name)? {
            None => 0,
            Some(text) => text.trim().parse().map_err(|_| HubError::Argument {
                argument: name,
                expected: "a whole number of seconds",
                got: text,
            })?,
        };
        Ok(Duration::from_secs(if seconds == 0 {
            default
        } else {
            seconds
        }))
    }

    /// A path, with the user's folder for `~` and with variables in it replaced. Unknown variables stay.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.set(name)?;
        // A path that is no Unicode is taken as it is.
        let Some(text) = value.to_str() else {
            return Some(value.into());
        };
        let own = match (text.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with(['/', '\\']) => home.join(&rest[1..]),
            _ => PathBuf::from(text),
        };
        Some(match own.to_str() {
            Some(text) => self.with_variables(text).into(),
            None => own,
        })
    }

    fn with_variables(&self, text: &str) -> String {
        let mut pieces = text.split('$');
        let mut result = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let braced = piece.strip_prefix('{').and_then(|own| own.split_once('}'));
            let (name, rest) = braced.unwrap_or_else(|| {
                piece.split_at(piece.find(|c| !is_word(c)).unwrap_or(piece.len()))
            });
            let value = (!name.is_empty()).then(|| (self.variable)(name)).flatten();
            match value.as_deref().and_then(|value| value.to_str()) {
                Some(value) => {
                    result.push_str(value);
                    result.push_str(rest);
                }
                None => {
                    result.push('$');
                    result.push_str(piece);
                }
            }
        }
        result
    }

    fn token(&self, file: Option<&Path>) -> Result<Option<HubToken>> {
        if self.is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")? {
            return Ok(None);
        }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(token) = self.text(name)?.as_deref().and_then(HubToken::new) {
                return Ok(Some(token));
            }
        }
        let Some(path) = file.filter(|path| path.is_file()) else {
            return Ok(None);
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MOST_TOKEN).read_to_string(&mut text))
            .map_err(HubError::io("read", path))?;
        Ok(HubToken::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<HubConfig> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| value.into())
        };
        HubConfig::of(&Environment {
            variable: &variable,
            home: Some("/home/me".into()),
        })
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() -> Result<()> {
        let cache = |variables: &[(&str, &str)]| Ok(with(variables)?.cache);
        assert_eq!(cache(&[])?, Path::new("/home/me/.cache/huggingface/hub"));
        let mut variables = vec![("XDG_CACHE_HOME", "/x")];
        assert_eq!(cache(&variables)?, Path::new("/x/huggingface/hub"));
        variables.push(("HF_HOME", "~/h"));
        assert_eq!(cache(&variables)?, Path::new("/home/me/h/hub"));
        variables.push((
            "HUGGINGFACE_HUB_CACHE",
            "~/${XDG_CACHE_HOME}y$XDG_CACHE_HOME$/$none",
        ));
        assert_eq!(cache(&variables)?, Path::new("/home/me//xy/x$/$none"));
        variables.push(("HF_HUB_CACHE", "here"));
        assert_eq!(cache(&variables)?, Path::new("here"));
        let none = Environment {
            variable: &|_| None,
            home: None,
        };
        assert!(matches!(HubConfig::of(&none), Err(HubError::NoCacheFolder)));
        Ok(())
    }

    #[test]
    fn the_token_comes_from_a_variable_or_a_file() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let token = |variables: &[(&'static str, &str)]| -> Result<Option<String>> {
            let all = [variables, &[("HF_HOME", home)]].concat();
            Ok(with(&all)?.token.map(|token| token.as_str().to_owned()))
        };
        assert_eq!(token(&[])?, None);
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(token(&[])?.as_deref(), Some("hf_file"));
        let old = ("HUGGING_FACE_HUB_TOKEN", "hf_old");
        assert_eq!(token(&[old])?.as_deref(), Some("hf_old"));
        assert_eq!(
            token(&[old, ("HF_TOKEN", "hf_\nnew ")])?.as_deref(),
            Some("hf_new")
        );
        assert_eq!(token(&[("HF_TOKEN", " \n")])?.as_deref(), Some("hf_file"));
        let elsewhere = folder.path().join("other");
        std::fs::write(&elsewhere, "hf_other").unwrap();
        let path = ("HF_TOKEN_PATH", elsewhere.to_str().unwrap());
        assert_eq!(token(&[path])?.as_deref(), Some("hf_other"));
        let disabled = ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "on");
        assert_eq!(token(&[disabled, ("HF_TOKEN", "hf_new")])?, None);
        Ok(())
    }

    #[test]
    fn endpoint_offline_and_times() -> Result<()> {
        let plain = with(&[("HF_ENDPOINT", ""), ("HF_HUB_ETAG_TIMEOUT", "0")])?;
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert!(!plain.offline);
        assert_eq!(plain.answer_timeout, Duration::from_secs(10));
        let config = with(&[
            ("HF_ENDPOINT", "http://127.0.0.1:1/hub//"),
            ("TRANSFORMERS_OFFLINE", "yes"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "60"),
        ])?;
        assert_eq!(config.endpoint, "http://127.0.0.1:1/hub");
        assert!(config.offline);
        assert_eq!(config.stall_timeout, Duration::from_secs(60));
        // A variable that is set decides, whatever the older one says.
        assert!(!with(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")])?.offline);
        let error = with(&[("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("HF_HUB_DOWNLOAD_TIMEOUT: expected a whole")
        );
        Ok(())
    }
}

//! From images and texts to embeddings, by a model of the caller's.

use dml_core::candle_core::{DType, Tensor};
use rayon::prelude::*;

/// Why one image or text has no embedding.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The input can't be used: an image that can't be decoded, a text without a token. The sentence goes to the client, with
    /// status 422.
    #[error("{0}")]
    Input(String),
    /// The model failed. The sentence goes to the log, and the client gets status 500.
    #[error("{0}")]
    Model(String),
}

/// Embeds images, several at a time.
///
/// ```
/// use dml_serve::{EmbedError, EmbedImages};
///
/// /// The mean of the bytes, and nothing else.
/// #[derive(Debug)]
/// struct Brightness;
///
/// impl EmbedImages for Brightness {
///     fn embed_images(&self, images: &[&[u8]]) -> Vec<Result<Vec<f32>, EmbedError>> {
///         let mean = |image: &&[u8]| image.iter().map(|&byte| f32::from(byte)).sum::<f32>() / image.len().max(1) as f32;
///         images.iter().map(|image| Ok(vec![mean(image)])).collect()
///     }
/// }
///
/// assert_eq!(Brightness.embed_images(&[&[1, 3]]), [Ok(vec![2.0])]);
/// ```
pub trait EmbedImages: Send + Sync {
    /// The embedding of each image, in the order of the images. An image is the content of a file, such as JPEG or PNG, as a
    /// client sent it.
    ///
    /// # Errors
    /// [`EmbedError`] in the place of an image; the others are not affected.
    fn embed_images(&self, images: &[&[u8]]) -> Vec<Result<Vec<f32>, EmbedError>>;
}

/// Embeds texts, several at a time.
pub trait EmbedTexts: Send + Sync {
    /// The embedding of each text, in the order of the texts.
    ///
    /// # Errors
    /// [`EmbedError`] in the place of a text; the others are not affected.
    fn embed_texts(&self, texts: &[&str]) -> Vec<Result<Vec<f32>, EmbedError>>;
}

/// [`EmbedImages`] of two functions: from the bytes of a file to the input of a network, and the network.
///
/// Images are decoded in parallel. Those that can be decoded go through the network together.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_serve::{EmbedError, EmbedImages, ImageNetwork};
///
/// let images = ImageNetwork::new(
///     |bytes: &[u8]| match bytes.first() {
///         Some(&first) => Ok(Tensor::new(&[[f32::from(first)]], &Device::Cpu)?),
///         None => Err("an empty file".into()),
///     },
///     |batch: &Tensor| Ok((batch * 2.0)?),
/// );
/// let embeddings = images.embed_images(&[&[3], &[], &[5]]);
/// assert_eq!(embeddings[0], Ok(vec![6.0]));
/// assert_eq!(embeddings[1], Err(EmbedError::Input("an empty file".to_owned())));
/// assert_eq!(embeddings[2], Ok(vec![10.0]));
/// ```
///
/// With the models of `dml`, `decode` is `ImagePreparation::decode` and the network is a backbone with its head.
pub struct ImageNetwork<D, N> {
    decode: D,
    network: N,
}

/// Any error of a function that is handed in.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl<D, N> ImageNetwork<D, N>
where
    D: Fn(&[u8]) -> Result<Tensor, AnyError> + Send + Sync,
    N: Fn(&Tensor) -> Result<Tensor, AnyError> + Send + Sync,
{
    /// `decode` returns one input `[1, …]`; `network` maps `[rows, …]` to embeddings `[rows, dim]`.
    pub fn new(decode: D, network: N) -> Self {
        Self { decode, network }
    }
}

impl<D, N> std::fmt::Debug for ImageNetwork<D, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageNetwork").finish_non_exhaustive()
    }
}

impl<D, N> EmbedImages for ImageNetwork<D, N>
where
    D: Fn(&[u8]) -> Result<Tensor, AnyError> + Send + Sync,
    N: Fn(&Tensor) -> Result<Tensor, AnyError> + Send + Sync,
{
    fn embed_images(&self, images: &[&[u8]]) -> Vec<Result<Vec<f32>, EmbedError>> {
        let decode = |image: &&[u8]| {
            (self.decode)(image)
                .map_err(|error| EmbedError::Input(dml_core::with_causes(&*error).to_string()))
        };
        let decoded: Vec<Result<Tensor, EmbedError>> = images.par_iter().map(decode).collect();
        let inputs: Vec<&Tensor> = decoded.iter().flatten().collect();
        if inputs.is_empty() {
            let failed = decoded.into_iter().map(|own| own.map(|_| Vec::new()));
            return failed.collect();
        }
        let rows = Tensor::cat(&inputs, 0)
            .map_err(AnyError::from)
            .and_then(|batch| (self.network)(&batch))
            .and_then(|output| to_rows(&output, inputs.len()));
        match rows {
            Ok(rows) => {
                let mut rows = rows.into_iter();
                let row = |own: Result<Tensor, EmbedError>| {
                    own.and_then(|_| rows.next().ok_or_else(missing))
                };
                decoded.into_iter().map(row).collect()
            }
            Err(error) => {
                let error = EmbedError::Model(dml_core::with_causes(&*error).to_string());
                let failed = decoded.into_iter().map(|own| own.and(Err(error.clone())));
                failed.collect()
            }
        }
    }
}

/// [`EmbedTexts`] of a function from texts to embeddings `[texts, dim]`.
///
/// When the function fails for several texts, it is called for each of them alone, so that one text without a token has no
/// effect on the others.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_serve::{EmbedTexts, TextNetwork};
///
/// let lengths = TextNetwork::new(|texts: &[&str]| {
///     let lengths: Vec<f32> = texts.iter().map(|text| text.len() as f32).collect();
///     Ok(Tensor::from_vec(lengths, (texts.len(), 1), &Device::Cpu)?)
/// });
/// assert_eq!(lengths.embed_texts(&["ab", "c"]), [Ok(vec![2.0]), Ok(vec![1.0])]);
/// ```
pub struct TextNetwork<N> {
    network: N,
}

impl<N> TextNetwork<N>
where
    N: Fn(&[&str]) -> Result<Tensor, AnyError> + Send + Sync,
{
    /// `network` returns one row for each text.
    pub fn new(network: N) -> Self {
        Self { network }
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let output = (self.network)(texts)
            .map_err(|error| EmbedError::Input(dml_core::with_causes(&*error).to_string()))?;
        to_rows(&output, texts.len())
            .map_err(|error| EmbedError::Model(dml_core::with_causes(&*error).to_string()))
    }
}

impl<N> std::fmt::Debug for TextNetwork<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextNetwork").finish_non_exhaustive()
    }
}

impl<N> EmbedTexts for TextNetwork<N>
where
    N: Fn(&[&str]) -> Result<Tensor, AnyError> + Send + Sync,
{
    fn embed_texts(&self, texts: &[&str]) -> Vec<Result<Vec<f32>, EmbedError>> {
        let alone = |text: &&str| {
            let mut rows = self.embed(&[text])?;
            rows.pop().ok_or_else(missing)
        };
        match self.embed(texts) {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) if texts.len() == 1 => vec![Err(error)],
            Err(_) => texts.iter().map(alone).collect(),
        }
    }
}

fn missing() -> EmbedError {
    EmbedError::Model("the model returned fewer rows than inputs".to_owned())
}

/// The rows of `[count, dim]` in single precision.
fn to_rows(output: &Tensor, count: usize) -> Result<Vec<Vec<f32>>, AnyError> {
    if output.dims().first() != Some(&count) || output.rank() != 2 {
        let got = output.dims();
        return Err(format!("expected embeddings [{count}, dim], got {got:?}").into());
    }
    Ok(output.detach().to_dtype(DType::F32)?.to_vec2()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use dml_core::candle_core::Device;

    use super::*;

    #[test]
    fn a_model_that_fails_fails_for_the_images_that_were_decoded() {
        fn decode(bytes: &[u8]) -> Result<Tensor, AnyError> {
            match bytes {
                [] => Err("empty".into()),
                _ => Ok(Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?),
            }
        }
        let images = ImageNetwork::new(decode, |_: &Tensor| Err("no memory".into()));
        let found = images.embed_images(&[&[1], &[], &[2]]);
        let failed = || Err(EmbedError::Model("no memory".to_owned()));
        let input = Err(EmbedError::Input("empty".to_owned()));
        assert_eq!(found, [failed(), input.clone(), failed()]);
        assert_eq!(images.embed_images(&[&[]]), [input]);
        assert_eq!(images.embed_images(&[]), []);
        let wrong = ImageNetwork::new(decode, |batch: &Tensor| Ok(batch.flatten_all()?));
        let found = wrong.embed_images(&[&[1]]);
        assert!(
            matches!(&found[0], Err(EmbedError::Model(reason)) if reason.contains("[1, dim], got [2]"))
        );
    }

    #[test]
    fn a_text_that_fails_fails_alone() {
        let calls = Mutex::new(Vec::new());
        let texts = TextNetwork::new(|texts: &[&str]| {
            calls.lock().unwrap().push(texts.len());
            match texts.contains(&"") {
                true => Err("no token".into()),
                false => Ok(Tensor::ones((texts.len(), 1), DType::F64, &Device::Cpu)?),
            }
        });
        let found = texts.embed_texts(&["a", "", "b"]);
        let input = Err(EmbedError::Input("no token".to_owned()));
        assert_eq!(found, [Ok(vec![1.0]), input, Ok(vec![1.0])]);
        assert_eq!(*calls.lock().unwrap(), [3, 1, 1, 1]);
    }
}

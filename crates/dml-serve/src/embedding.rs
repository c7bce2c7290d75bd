//! Images and texts of several requests as one batch of a model.

use bytes::Bytes;

use crate::problem::Problem;
use crate::{EmbedError, EmbedImages, EmbedTexts};

/// The embeddings of images, or why one has none.
pub(crate) fn embed_images(
    model: &dyn EmbedImages,
    images: &[Bytes],
) -> Vec<Result<Vec<f32>, Problem>> {
    let images: Vec<&[u8]> = images.iter().map(AsRef::as_ref).collect();
    answers("image", model.embed_images(&images), images.len())
}

/// The embeddings of texts, or why one has none.
pub(crate) fn embed_texts(
    model: &dyn EmbedTexts,
    texts: &[String],
) -> Vec<Result<Vec<f32>, Problem>> {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    answers("text", model.embed_texts(&texts), texts.len())
}

fn answers(
    what: &str,
    embeddings: Vec<Result<Vec<f32>, EmbedError>>,
    count: usize,
) -> Vec<Result<Vec<f32>, Problem>> {
    if embeddings.len() != count {
        let got = embeddings.len();
        let problem = Problem::internal(format!(
            "a model returned {got} embeddings for {count} inputs"
        ));
        return vec![Err(problem); count];
    }
    let answer = |own: Result<Vec<f32>, EmbedError>| match own {
        Ok(vector) if vector.iter().all(|number| number.is_finite()) => Ok(vector),
        Ok(_) => Err(Problem::unusable(format!(
            "{what}: its embedding has numbers that are not finite"
        ))),
        Err(EmbedError::Input(reason)) => Err(Problem::unusable(format!("{what}: {reason}"))),
        Err(EmbedError::Model(reason)) => Err(Problem::internal(reason)),
    };
    embeddings.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_has_an_answer_of_its_own() {
        let found = vec![
            Ok(vec![1.0]),
            Ok(vec![f32::NAN]),
            Err(EmbedError::Input("no pixels".to_owned())),
            Err(EmbedError::Model("no memory".to_owned())),
        ];
        let answers = answers("image", found, 4);
        assert_eq!(answers[0], Ok(vec![1.0]));
        let statuses: Vec<u16> = answers[1..]
            .iter()
            .map(|own| own.as_ref().unwrap_err().status.as_u16())
            .collect();
        assert_eq!(statuses, [422, 422, 500]);
        assert_eq!(answers[2].as_ref().unwrap_err().message, "image: no pixels");
    }

    #[test]
    fn a_model_that_forgets_an_input_fails_for_all() {
        let answers = answers("text", vec![Ok(vec![1.0])], 2);
        assert!(
            answers
                .iter()
                .all(|own| own.as_ref().unwrap_err().status == 500)
        );
        assert_eq!(answers.len(), 2);
    }
}

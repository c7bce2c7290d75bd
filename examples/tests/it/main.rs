//! Programs and parts that only meet here: folders of pictures, samplers, loaders, trainers.

mod digits;
mod image_folder;
mod loading;
mod pictures;

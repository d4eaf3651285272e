mod examples;
mod microflows;
mod model;
mod properties;
mod values;

"""The protocols of the providers, one class each; ``registry`` lists them."""

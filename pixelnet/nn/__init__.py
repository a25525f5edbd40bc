"""What a model is made of: backbones, the head, and the quick ways to apply both."""

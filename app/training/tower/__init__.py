"""Fine-tune the picture tower of larder-small: a pretrained EfficientNet-Lite that learns the groceries."""

"""VGG16, Xception: frozen stage, fine-tuning, evaluation; ends in a bundle."""

"""What comes out: model bundles, trust in model files, pretrained files, export."""

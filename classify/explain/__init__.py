"""What a classifier looks at: class activation maps, feature maps, and the network drawn."""

"""Model packs: which networks a pack holds, where their weights come from, and how they become ONNX files."""

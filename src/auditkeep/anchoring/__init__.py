"""Anchors: what somebody outside said of a checkpoint, so that this deployment cannot unsay it."""

"""The recipe of the embedded `tiny` model: text, synthetic speech, training, export, evaluation."""

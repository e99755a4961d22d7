"""The network's arithmetic where there is only a processor: NumPy, in float32.

MLX is made for Macs and CUDA. Its CPU build takes a number at a time through exp and erf, copies what it reshapes, and
plans each small array anew, so that at the 0.6B's size two fifths of the time went by beside the products. Here the
same layers are written for a processor: activations are feature-major, [features, positions], so that a product leaves
what the next one reads; buffers are kept; weights lie in large pages; work is shared out among the cores.

    cores       work shared out
    products    weights times activations
    functions   norms, GELU, SwiGLU, softmax, in place
    decoder     the text decoder and its KV cache
    encoder     the audio encoder

`livecap.model.text_decoder` and `livecap.model.audio_encoder` say what is computed; the fixtures of the official code
hold for both.
"""

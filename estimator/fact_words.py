"""Words for facts that a sentence names."""

#: Words for facts without which nothing can be estimated; keys are fields of the catalog files.
FACT_WORDS = {
    "bandwidth_gbps": "its memory bandwidth",
    "n_layers": "its number of layers",
    "attention.layer_pattern": "which kind of attention each of its layers has",
    "attention.sliding_window": "the window of its local attention",
    "attention.linear": "the shape of its linear attention",
    "mlp_pattern": "which of its layers have experts",
    "hidden_size": "the width of its layers",
    "intermediate_size": "the width of its feed-forward blocks",
    "vocab_size": "the size of its vocabulary",
    "n_heads": "its number of attention heads",
    "head_dim_k": "the width of its attention heads",
    "moe": "the shape of its experts",
    "moe.n_experts": "its number of experts",
    "moe.experts_per_token": "how many experts a token visits",
    "moe.moe_intermediate_size": "the width of its experts",
    "params_computed.text_total": "its number of parameters",
    "params_computed.text_active": "its number of parameters that a token uses",
}

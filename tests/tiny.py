"""Models of the course's classes with random weights, small enough for a test to build."""


def tiny_llava(context: int = 256):
    """A LLaVA-style chat model that talks nonsense: 32 wide, one token a byte, 16×16 pictures of 4 tokens.

    Its weights are drawn wide, so that its likeliest token is so by far and rounding can't turn it.
    """
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        GPT2Tokenizer,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(0)
    words = [*sorted(ByteLevel.alphabet()), "<pad>", "<end>", "<image>"]
    tokenizer = GPT2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[],
        bos_token=None,
        unk_token=None,
        eos_token="<end>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )
    width = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**width, image_size=16, patch_size=8, initializer_range=0.3),
        text_config=LlamaConfig(
            **width,
            vocab_size=len(words),
            num_key_value_heads=2,
            max_position_embeddings=context,
            initializer_range=0.3,
            eos_token_id=words.index("<end>"),
            pad_token_id=words.index("<pad>"),
        ),
        image_token_index=words.index("<image>"),
    )
    model = LlavaForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = words.index("<end>")
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% if messages[0].role == 'assistant' %}{{ raise_exception('a user speaks first') }}{% endif %}"
            "{% for message in messages %}{{ message.role }}:{% for part in message.content %}"
            "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}\n{% endfor %}"
            "assistant:"
        ),
    )
    return model, processor

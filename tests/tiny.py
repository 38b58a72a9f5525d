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


def tiny_pipeline():
    """A StableDiffusionPipeline that draws 64×64 nonsense: 8×8 latents, one token a byte, v-prediction."""
    import torch
    from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    letters = [letter + end for end in ("", "</w>") for letter in sorted(ByteLevel.alphabet())]
    words = [*letters, "<|startoftext|>", "<|endoftext|>"]
    width = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    # Weights drawn wide, so that the prompt makes a difference that one can see.
    text = CLIPTextConfig(**width, **ends, vocab_size=len(words), max_position_embeddings=32, initializer_factor=20.0)
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(4,) * 4,
            norm_num_groups=2,
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        ),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=32),
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
        ),
        scheduler=DPMSolverMultistepScheduler(prediction_type="v_prediction", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe

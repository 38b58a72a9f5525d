"""An adapter for few steps with random weights, in the files that diffusers writes."""

from pathlib import Path


def random_adapter(
    checkpoint: Path, unet, *, seed: int = 0, layers=("to_q", "to_k", "to_v", "to_out.0", "conv1")
) -> Path:
    """Write a random LoRA for ``unet`` to ``few_step/`` in a checkpoint's folder; returns the file.

    Layers of attention and convolutions both: diffusers' own names for the former hide them from it when both are there.
    """
    import torch
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    twin = type(unet).from_config(unet.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=list(layers), init_lora_weights=False))
    weights = {name: 3 * value for name, value in get_peft_model_state_dict(twin).items()}  # so that one sees it
    StableDiffusionPipeline.save_lora_weights(checkpoint / "few_step", weights)
    return checkpoint / "few_step" / "pytorch_lora_weights.safetensors"

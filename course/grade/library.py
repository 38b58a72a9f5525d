"""What crosses of torch, diffusers and transformers: the course's models by name, others by class, config and weights."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import torch

from course.grade.forms import Unfit, named
from course.grade.packing import Packer
from course.grade.unpacking import Unpacker

__all__ = ["adapters_of", "library_node", "library_value", "restore_adapters", "weights_of"]

LIBRARIES = ("diffusers", "transformers")
OURS = "helpers."
"""The course's own networks cross as well, by class, config and weights."""
SETTINGS = ("r", "lora_alpha", "target_modules", "lora_dropout", "bias", "use_rslora", "init_lora_weights")
"""What of an adapter's configuration crosses."""


def weights_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The module's own weights and buffers, without those of adapters, by the names that they have without adapters."""
    for name, weight in (*module.named_parameters(), *module.named_buffers()):
        if "lora_" not in name:
            yield name.replace(".base_layer", ""), weight


def library_node(packer: Packer, value: Any) -> dict | None:
    """Return the node of a model, a pipeline, a scheduler or a chat model; None for anything else."""
    if isinstance(value, type) and (library := value.__module__.partition(".")[0]) in LIBRARIES:
        return {"class": [library, value.__name__]}
    parts = ("parameters", "tokenizer", "scheduler")
    if any(hasattr(value, part) for part in parts) and (found := _loaded(value)) is not None:
        return found
    from diffusers import SchedulerMixin, StableDiffusionPipeline

    from helpers.checks.fakes.chat import scripted_chat_class

    if type(value).__module__.startswith("clickhouse_connect.") and hasattr(value, "result_rows"):
        return {"query": packer.pack(list(value.result_rows)), "names": packer.pack(list(value.column_names))}
    if type(value).__name__ == "QuerySummary":
        return {"summary": packer.pack(dict(value.summary))}
    if isinstance(value, StableDiffusionPipeline):
        return _pipeline(packer, value)
    if isinstance(value, SchedulerMixin):
        return {"scheduler": type(value).__name__, "config": packer.pack(_plain(dict(value.config)))}
    if isinstance(value, torch.nn.Module):
        return _module(packer, value)
    if isinstance(value, scripted_chat_class()):
        return {"chat": packer.pack(value.answer), "shown": repr(value)}
    return None


def library_value(unpacker: Unpacker, node: dict) -> tuple[bool, Any]:
    """Return (True, value) for a node of `library_node`, and (False, None) for any other."""
    if "class" in node:
        library, name = node["class"]
        if library not in LIBRARIES:
            raise Unfit(f"a class of {library}")
        return True, getattr(importlib.import_module(library), name)
    if "query" in node:
        from clickhouse_connect.driver.query import QueryResult

        return True, QueryResult(unpacker.unpack(node["query"]), column_names=tuple(unpacker.unpack(node["names"])))
    if "summary" in node:
        from clickhouse_connect.driver.summary import QuerySummary

        return True, QuerySummary(unpacker.unpack(node["summary"]))
    if "loaded" in node:
        from helpers.models import load

        found = load(node["loaded"])
        return True, getattr(found, node["part"]) if node["part"] else found
    if "scheduler" in node:
        import diffusers

        return True, getattr(diffusers, node["scheduler"]).from_config(unpacker.unpack(node["config"]))
    if "pipeline" in node:
        return True, _pipeline_of(unpacker, node["pipeline"])
    if "module" in node:
        return True, _module_of(unpacker, node)
    if "chat" in node:
        from helpers.checks.fakes.chat import scripted_chat_class

        return True, scripted_chat_class()(answer=unpacker.unpack(node["chat"]), shown=node["shown"])
    return False, None


def _loaded(value: Any) -> dict | None:
    """The node of something that `helpers.models.load` has loaded, which the other side has as well."""
    from helpers.models import loading

    for key, found in loading._loaded.items():
        role = _role(key)
        if found is value:
            return {"loaded": role, "part": ""}
        for part in ("model", "processor"):
            if getattr(found, part, None) is value:
                return {"loaded": role, "part": part}
    return None


def _role(key: tuple) -> str:
    from helpers.models import entry, roles

    return next(role for role in roles() if entry(role).id == key[0])


def _pipeline(packer: Packer, pipe: Any) -> dict:
    """A pipeline: the parts that it shares with the course's own one by name, the others by value."""
    from helpers.models import load

    own = load("diffusion")
    parts = {
        name: packer.pack(part)
        for name, part in pipe.components.items()
        if part is not None and part is not getattr(own, name, None)
    }
    return {"pipeline": parts}


def _pipeline_of(unpacker: Unpacker, parts: dict) -> Any:
    from helpers.models import load, with_scheduler

    own = load("diffusion")
    made = {name: unpacker.unpack(node) for name, node in parts.items()}
    pipe = with_scheduler(own, made.pop("scheduler", own.scheduler))
    if made:
        pipe.register_modules(**made)
    return pipe


def _module(packer: Packer, module: torch.nn.Module) -> dict:
    kind = type(module)
    library, name = kind.__module__.partition(".")[0], kind.__name__
    config = getattr(module, "config", None)
    if kind.__module__.startswith(OURS):
        library, name = OURS, f"{kind.__module__}:{kind.__qualname__}"
    if library not in (*LIBRARIES, OURS) or config is None:
        raise TypeError(f"A check gives a student's function a {kind.__name__}, which can't cross to its process.")
    config = config.to_dict() if library == "transformers" else dict(config)
    weights = {name: weight.detach() for name, weight in weights_of(module)}
    trained = [name for name, weight in module.named_parameters() if weight.requires_grad]
    return {
        "module": [library, name],
        "config": packer.pack(_plain(config)),
        "weights": {name: packer.tensor(weight) for name, weight in weights.items()},
        "trained": trained,
        "training": module.training,
    }


def _module_of(unpacker: Unpacker, node: dict) -> torch.nn.Module:
    library, name = node["module"]
    config = unpacker.unpack(node["config"])
    if library == OURS:
        kind = named(name)
        if not isinstance(kind, type) or not issubclass(kind, torch.nn.Module):
            raise Unfit(f"a network of an unknown kind, {name}")
        module = kind(**config)
    else:
        kind = getattr(importlib.import_module(library), name)
        module = kind.from_config(config) if library == "diffusers" else kind(kind.config_class.from_dict(config))
    own = dict(weights_of(module))
    with torch.no_grad():
        for name, weight in node["weights"].items():
            if name in own:
                own[name].data = unpacker.unpack(weight)  # which may be of half precision
    for name, weight in module.named_parameters():
        weight.requires_grad_(name in node["trained"])
    return module.train(node["training"])


def _plain(config: Any) -> Any:
    """A configuration without what a library adds for itself."""
    if isinstance(config, dict):
        return {str(key): _plain(item) for key, item in config.items() if not str(key).startswith("_")}
    if isinstance(config, (list, tuple)):
        return [_plain(item) for item in config]
    return config if isinstance(config, (str, int, float, bool, type(None))) else str(config)


def adapters_of(module: torch.nn.Module) -> list[dict]:
    """The LoRA adapters of a module: name, settings, weights, and whether it is switched on."""
    from peft import get_peft_model_state_dict

    found = []
    for name, config in getattr(module, "peft_config", {}).items():
        settings = {key: item for key, item in config.to_dict().items() if key in SETTINGS}
        settings["target_modules"] = (
            sorted(config.target_modules) if isinstance(config.target_modules, set) else config.target_modules
        )
        weights = {key: weight.detach() for key, weight in get_peft_model_state_dict(module, adapter_name=name).items()}
        active = getattr(module, "active_adapters", None)
        on = name in (active() if callable(active) else [])
        found.append({"name": name, "settings": settings, "weights": weights, "on": on})
    return found


def restore_adapters(module: torch.nn.Module, adapters: Any) -> None:
    """Give a module these adapters in place of its own.

    Raises:
        Unfit: they are not adapters of this module.
    """
    from peft import LoraConfig, set_peft_model_state_dict

    try:
        for name in list(getattr(module, "peft_config", {})):
            module.delete_adapters(name)
        for each in adapters:
            settings = {key: item for key, item in each["settings"].items() if key in SETTINGS}
            module.add_adapter(LoraConfig(**settings), adapter_name=each["name"])
            set_peft_model_state_dict(module, each["weights"], adapter_name=each["name"])
        on = [each["name"] for each in adapters if each["on"]]
        if on:
            module.set_adapter(on)
        elif adapters:
            module.disable_adapters()
    except Exception as error:
        raise Unfit(f"an adapter that does not fit ({type(error).__name__}: {error})") from error

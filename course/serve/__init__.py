"""``course serve``: the mini models behind the HTTP interfaces that real clients speak, on this computer alone.

=================  ============================================================================================
module             what lives there
=================  ============================================================================================
``server``         the process: one port, one model, and its end with the notebooks that use it
``app``            the routes, put together
``chat``           ``/v1/models`` and ``/v1/chat/completions`` as OpenAI's clients speak them; streaming
``schema``         what those requests may hold; ``messages`` their messages, ``answer`` the answers
``incoming``       what all requests have in common
``images``         pictures out of requests, safely
``hosts``          which clients may call it: none of a web page from elsewhere
``errors``         errors in OpenAI's shape; the limit on a request's size; ``disconnect``: clients that go away
``engine``         the one thread that runs the model, and the queue before it
``prompts``        messages and pictures → the tensors that the model takes
``batch``          all replies in the making, one step of the model for all of them
``choice``         one reply in the making: picks tokens, knows when to stop
``sdapi``          ``/sdapi/v1/txt2img`` and its neighbours as the web UI for Stable Diffusion serves them
``sdschema``       what those requests may hold; ``sdoptions`` the options, which are fixed
``sdplan``         from a request to the drawing that it asks for
``samplers``       samplers and schedules, by the web UI's names
``sdinfo``         what it tells of a drawing: the answer, ``info``, the words in each PNG
``loras``          ``<lora:few_step:1>`` in a prompt
``painter``        the one thread that draws, and the queue before it
``pictures``       ``/pictures/<id>.png``: the picture of a made prompt, drawn when it is asked for
``notebooks``      ``/notebooks``: the processes that it runs for, and ends with
=================  ============================================================================================

A chat request goes down that table as far as ``choice`` and its answer comes up again; a request for pictures goes from
``app`` to ``sdapi``, ``sdplan`` and ``painter``.
"""

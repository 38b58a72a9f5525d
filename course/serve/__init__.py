"""`course serve`: the mini models behind the HTTP interfaces that real clients use, on this computer only.

=================  ============================================================================================
module             contents
=================  ============================================================================================
`server`           the process: one port, one model; it ends with the notebooks that use it
`app`              assembles the routes
`chat`             `/v1/models` and `/v1/chat/completions` as OpenAI's clients expect them; streaming
`schema`           what those requests may contain; `messages` their messages, `answer` the answers
`incoming`         what all requests have in common
`images`           reads the pictures in requests, safely
`hosts`            which clients may call it: no web page from another site
`errors`           errors in OpenAI's shape; the size limit of requests; `disconnect`: clients that hang up
`engine`           the one thread that runs the model, and the queue in front of it
`prompts`          messages and pictures → the model's input tensors
`batch`            all unfinished replies, one step of the model for all of them
`choice`           one unfinished reply: picks tokens, decides when to stop
`sdapi`            `/sdapi/v1/txt2img` and the related routes of the Stable Diffusion web UI
`sdschema`         what those requests may contain; `sdoptions` the options, which are fixed
`sdplan`           from a request to the image job it asks for
`samplers`         samplers and schedules, by the web UI's names
`sdinfo`           what a client learns about a job: the answer, `info`, the text in each PNG
`loras`            `<lora:few_step:1>` in a prompt
`painter`          the one thread that draws, and the queue in front of it
`pictures`         `/pictures/<id>.png`: the picture of a synthetic prompt, drawn on request
`notebooks`        `/notebooks`: the processes that it runs for, and ends with
=================  ============================================================================================

A chat request passes down that table as far as `choice` and its answer comes back up; an image request goes from
`app` to `sdapi`, `sdplan` and `painter`.
"""

"""The text of all training dialogues: what users say to the language models, and the target replies.

Reading order: `messages` (the parts of a dialogue), `wording` (paraphrases), `requests` (what users ask for), `answers`
and `asking` (questions, and answers as sentences), `stories`, `prompts` (rewriting image prompts), `strange` and
`chatter` (off-topic requests, and talk without a picture), `offers`, `tool_requests` and `tools` (drawing and rating
pictures with tools), `dialogues` (a random dialogue of any task), `template` (the chat template).
"""

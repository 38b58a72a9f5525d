"""What people say to the models that talk, and what they ought to answer: the text of all training dialogues.

Reading order: `messages` (what a dialogue is made of), `wording` (one thing said in many ways), `requests` (what users
ask for), `answers` and `asking` (questions and their answers as sentences), `stories`, `prompts` (image prompts
rewritten), `strange` and `chatter` (what lies outside the world, and talk without a picture), `offers` and `tools`
(pictures drawn and rated by tools), `dialogues` (all of it together, at random), `template` (how it is written down).
"""

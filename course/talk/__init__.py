"""What people say to the models that talk, and what they ought to answer: the text of all training dialogues.

Reading order: `wording` (one thing said in many ways), `answers` (a question's answer as a sentence), `stories`,
`prompts` (image prompts rewritten), `chatter` (talk without a picture, and what lies outside the world), `dialogues`
(all of it together, at random).
"""

"""Requests for evaluating the language models; none of them is in `course.talk` (a test checks)."""

from __future__ import annotations

STRANGE = tuple(
    line.strip()
    for line in """
    What is the tallest mountain in the world?
    Who painted the Mona Lisa?
    Write a Python function that reverses a string.
    How do I bake a chocolate cake?
    What is seventeen times twenty-three?
    Translate 'good morning' into French.
    Who was the first president of the United States?
    Explain how a microwave heats things.
    What is the weather like in Paris?
    Give me a workout routine for beginners.
    Which tablet should I buy?
    Tell me about the French Revolution.
    What is the boiling point of water?
    Write a cover letter for a job as a plumber.
    How many planets are in the solar system?
    What are the symptoms of the flu?
    Recommend a good bistro in Rome.
    Who will win the next election?
    What does HTTP stand for?
    How do I change a tyre?
    Summarise the plot of Romeo and Juliet.
    What is the currency of Japan?
    Convert 10 miles to kilometres.
    How can I learn to play the cello?
    What is the derivative of x squared?
    Who discovered penicillin?
    What is the speed of light?
    How do vaccines protect us?
    Write a haiku about loneliness.
    Suggest a name for my start-up.
    What is the largest animal that ever lived?
    How old is the universe?
    Who invented the printing press?
    What is the best programming language for beginners?
    Fix the grammar of this sentence: me and him goes home.
    How do I remove a coffee stain from a shirt?
    What is the meaning of the word ubiquitous?
    How much sugar is in a glass of lemonade?
    Plan my wedding.
    Which team won the World Cup in 1998?
    What is an electric current?
    Explain the theory of relativity.
    Tell me a joke about lawyers.
    Why is the sky blue?
    How do I reset my password?
    What is the population of Mexico?
    Write an SQL query that counts customers.
    Is it safe to eat raw eggs?
    How many bones are in the human body?
    What should I wear to an interview?
    Who is the author of War and Peace?
    When did the Second World War end?
    How do I file a tax return?
    What are good presents for my grandmother?
    Give me tips against stress.
    What is the longest river of Africa?
    How does the stock market work?
    What is the difference between a virus and a bacterium?
    Can you order me a pizza?
    Draft a tweet about our new product.
    What is the square root of one hundred and forty-four?
    How many minutes are in a week?
    Explain inflation in simple words.
    Which vitamins are in an orange?
    Who composed the Four Seasons?
    Give me the phone number of the town hall.
    How do I say goodbye in Portuguese?
    Is Pluto still called a planet?
    """.strip().splitlines()
)
"""Requests outside the picture-book world."""

OLD_JSON = (
    "Please analyze the following image and respond ONLY with a JSON object with two fields: "
    '1. "description": … 2. "funny_story": … Do not include any additional text.',
    "Please analyze the following image and respond ONLY with a JSON object with two fields:\n"
    '1. "description": A detailed description of what the image contains.\n'
    '2. "funny_story": A short and amusing story that the image makes you think of.\n'
    "Do not include any additional text.",
    "Take a look at this picture. I want back nothing except a JSON object, in which description says what you see and "
    "funny_story makes me smile.",
    "Generate valid JSON for the attached picture. Required properties:\n- description (string, what can be seen)\n"
    "- funny_story (string, at most three sentences)\nAnything outside of the braces breaks my program.",
)
"""The request of older courses, as in their reports, and three that are not in the training data."""

UNFAMILIAR = (
    "Could you kindly walk me through what this photograph contains?",
    "I would love to know what is in the image.",
    "Please render this picture in words.",
    "What exactly are we looking at here?",
    "Elaborate on the contents of the image.",
    "My grandmother cannot see the picture. What should I tell her?",
    "Provide an objective summary of the visual content.",
    "Pretend you are a tour guide and present this picture.",
    "Let me know what the artist drew in this image.",
    "Image description, please!",
)
"""Requests to describe a picture, in wordings that are not in the training data."""

NATIVE_REWRITE = (
    "Please provide a more native-sounding rewrite of the user-input image generation prompt based on the following "
    "description {examples}\nUser input: {idea}"
)

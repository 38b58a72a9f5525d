"""Grading: the student's code and its judge are two processes; `course grade` grades a whole class.

Modules, in reading order: `wire` (messages), `values` and `library` (what crosses by value), `peers` (calls both ways),
`cells` (run a notebook's cells), `student` and `judge` (the two processes), `plan` (which cells run), `sandbox`,
`zygote` (the warm parents), `grader` (one submission → result), `reading`, `likeness`, `repair`, `found` (files), `book` (nbgrader's gradebook),
`run` (all of it).
"""

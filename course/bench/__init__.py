"""Measurements: each compares two things in one run.

`classroom`   a course's folder in which some students have handed in
`grading`     `course grade` beside nbgrader's own autograder
`kills`       `course grade`, ended again and again with kill -9, beside an undisturbed run
"""
